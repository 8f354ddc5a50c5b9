"""`OpenedRun`: the page and the output notebook of a run, on this machine."""

from __future__ import annotations

import html
from dataclasses import dataclass
from pathlib import Path

__all__ = ["OpenedRun"]


@dataclass(frozen=True, repr=False)
class OpenedRun:
    """What `wb.runs.open` gives: `run_id`, and the paths `page` (None where there is none) and `notebook`."""

    run_id: str
    page: Path | None
    notebook: Path

    def __repr__(self) -> str:
        return f"<OpenedRun {self.run_id[:8]}: {self.page or self.notebook}>"

    def _repr_html_(self) -> str:
        links = [
            f'<a href="{html.escape(path.as_uri())}" target="_blank">{html.escape(str(path))}</a>'
            for path in (self.page, self.notebook)
            if path is not None
        ]
        return f"run {html.escape(self.run_id)}: {', '.join(links)}"
