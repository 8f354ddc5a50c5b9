"""A notebook as one HTML page that needs no network.

Imports nbconvert and plotly when a page is made. The page's template, style and script lie in `page/`.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.display.pages import content_policy, safe_html
from workbench.errors import NotebookError
from workbench.headless.iri_check import put_off_iri_grammar
from workbench.headless.parameters import NotebookParameters
from workbench.home.files import replace_file
from workbench.runs.notebook import Cell, Notebook, is_run, read_notebook

if TYPE_CHECKING:
    from nbconvert import HTMLExporter

__all__ = ["FAILURE_TAG", "write_html"]

FAILURE_TAG = "papermill-error-cell-tag"
"""Marks the cell that says why a run failed; papermill drops such a cell when the notebook is run again."""

_PAGE = Path(__file__).parent / "page"
_PLOTLY = "application/vnd.plotly.v1+json"
# Without scripts, and what loads them from a network (widgets, mermaid): their text form is shown instead.
_PRIORITY = [
    _PLOTLY,
    "text/html",
    "text/markdown",
    "image/svg+xml",
    "image/png",
    "image/jpeg",
    "text/latex",
    "text/plain",
]


def write_html(notebook: Path, target: Path, about: Sequence[tuple[str, str]] = ()) -> None:
    """Write `notebook`, as it stands with its outputs, to `target` as one self-contained page.

    Plotly figures are interactive (its script is in the page, once, if there is a figure). The page
    follows the reader's light or dark preference. Formulas stay as they are written. The parameters stand
    at the top, with their values in this run, and so their cells are left out.

    Parameters
    ----------
    notebook, target : Path
    about : sequence of (str, str), optional
        Facts of the run beside its parameters, as names and texts (`workbench.runs.record.about`).

    Raises
    ------
    NotebookError
        The notebook cannot be read or shown, or the page cannot be written.
    """
    notebook, target = Path(notebook), Path(target)
    document = read_notebook(notebook)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the notebook's format, which a reader cannot change
            page = _render(document, notebook, about)
    except Exception as error:
        raise NotebookError(f"{notebook.name} cannot be shown as a page: {error}.") from error
    try:
        replace_file(target, page.encode("utf-8", errors="replace"))
    except OSError as error:
        raise NotebookError(f"The page {target} cannot be written: {error.strerror}.") from error


def _render(document: Notebook, notebook: Path, about: Sequence[tuple[str, str]]) -> str:
    put_off_iri_grammar()
    import nbformat
    from nbconvert import HTMLExporter
    from traitlets.config import Config

    config = Config()
    config.NbConvertBase.display_data_priority = _PRIORITY
    config.HTMLExporter.sanitize_html = True  # by our own filter
    config.CoalesceStreamsPreprocessor.enabled = False  # quadratic over long lines, and done by the run
    exporter = HTMLExporter(
        config=config, template_name=_PAGE.name, extra_template_basedirs=[str(_PAGE.parent)]
    )
    exporter.register_filter("figure_json", _script_json)
    exporter.register_filter("clean_html", _clean_html)
    _make_valid(document, title=_heading(document) or notebook.stem)
    facts = _run_facts(document, notebook) | {"about": about}
    if facts["parameters"]:
        document["cells"] = [cell for cell in document["cells"] if not _repeats_parameters(cell)]
    node = nbformat.reads(json.dumps(document), as_version=4)
    resources = {"run": facts | _assets(document, exporter)}
    page, _ = exporter.from_notebook_node(node, resources=resources)
    return str(page)


def _make_valid(document: Notebook, *, title: str) -> None:
    """Add fields that nbconvert requires, and JupyterLab and papermill leave out."""
    document["metadata"].setdefault("title", title)
    document["metadata"].pop("kernelspec", None)
    document.setdefault("nbformat_minor", 4)
    for cell in document["cells"]:
        if cell["cell_type"] == "code":
            cell.setdefault("execution_count", None)
            cell.setdefault("outputs", [])


def _run_facts(document: Notebook, notebook: Path) -> dict[str, Any]:
    """What the page's header says of the run."""
    papermill = document["metadata"].get("papermill") or {}
    failed = any(FAILURE_TAG in cell["metadata"]["tags"] for cell in document["cells"])
    facts = []
    if papermill.get("start_time"):
        facts.append(f"run {str(papermill['start_time'])[:16].replace('T', ' ')} UTC")
    if papermill.get("duration") is not None:
        facts.append(f"{papermill['duration']:.1f} s")
    return {
        "file": notebook.name,
        "failed": failed,
        "failed_cell": _failed_cell(document) if failed else None,
        "facts": facts,
        "parameters": _parameters(document, notebook.name, papermill.get("parameters") or {}),
    }


def _failed_cell(document: Notebook) -> dict[str, Any] | None:
    """The cell in which a failed run ended, the last that was begun: its id, and its number."""
    begun = [
        cell
        for cell in document["cells"]
        if is_run(cell) and (cell["metadata"].get("papermill") or {}).get("status", "pending") != "pending"
    ]
    return {"id": begun[-1].get("id"), "number": len(begun)} if begun else None


def _repeats_parameters(cell: Cell) -> bool:
    """Whether a cell only repeats the header's table; one with outputs is shown."""
    tagged = {"parameters", "injected-parameters"} & set(cell["metadata"]["tags"])
    return bool(tagged) and cell["cell_type"] == "code" and not cell["outputs"]


def _parameters(document: Notebook, name: str, given: dict[str, Any]) -> list[dict[str, Any]]:
    """The parameters as the header's rows: each one's value in this run, and its note."""
    try:
        declared = NotebookParameters.from_document(document, name).items
    except NotebookError:
        declared = ()  # a page is made of any notebook, also of one that could not be run
    rows = []
    for item in declared:
        value = given.get(item.name, item.default)
        notes = [item.description] if item.description else []
        if value != item.default and not item.required:
            notes.append(f"(default {json.dumps(item.default, ensure_ascii=False)})")
        rows.append(
            {
                "name": item.name,
                "value": json.dumps(value, ensure_ascii=False),
                "note": " ".join(notes),
                "given": value != item.default,
            }
        )
    return rows


def _assets(document: Notebook, exporter: HTMLExporter) -> dict[str, str]:
    dark_css, _, _ = exporter.environment.loader.get_source(exporter.environment, "static/theme-dark.css")
    assets = {"css": _text("page.css"), "dark_css": dark_css, "plotly_js": "", "figures_js": ""}
    assets["policy"] = content_policy([])
    if any(
        _PLOTLY in output.get("data", {}) for cell in document["cells"] for output in cell.get("outputs", [])
    ):
        import plotly.io
        from plotly.offline import get_plotlyjs

        dark = plotly.io.templates["plotly_dark"].to_plotly_json()
        # In HTML a script ends at the first "</script", wherever it stands.
        assets["plotly_js"] = get_plotlyjs().replace("</script", "<\\/script")
        assets["figures_js"] = _text("figures.js").replace("DARK_TEMPLATE", _script_json(dark))
        assets["policy"] = content_policy([assets["plotly_js"], assets["figures_js"]])
    return assets


def _clean_html(html: str | bytes) -> str:
    return safe_html(html.decode() if isinstance(html, bytes) else html)


def _text(name: str) -> str:
    return (_PAGE / name).read_text(encoding="utf-8")


def _script_json(value: Any) -> str:
    """JSON that may stand in a <script>: no text in it can end the script."""
    return json.dumps(value).replace("<", "\\u003c")


def _heading(document: Notebook) -> str:
    for cell in document["cells"]:
        if cell["cell_type"] == "markdown" and FAILURE_TAG not in cell["metadata"]["tags"]:
            heading = re.search(r"^#\s+(.+)$", cell["source"], flags=re.MULTILINE)
            if heading:
                return re.sub(r"[*_`]", "", heading[1]).strip()
    return ""
