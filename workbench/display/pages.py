"""Protection of generated pages against foreign scripts: a Content-Security-Policy, and a filter for HTML.

A page contains texts from data (errors, names, outputs of a notebook), and is opened with its reader's
rights. Only scripts whose hashes are in the page's policy run, and the hashes are computed from the scripts
of our own templates before anything else is inserted.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from typing import Any

__all__ = ["content_policy", "safe_html"]

# In addition to nh3's defaults: the tags of frames' styles, cards, progress bars and SVG drawings.
_TAGS = {
    *("center", "font", "input", "label", "meter", "progress", "style", "tfoot"),
    *("svg", "g", "path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "text", "tspan"),
    *("desc", "title", "defs", "linearGradient", "radialGradient", "stop", "clipPath", "pattern"),
}
_ATTRIBUTES = {
    *(
        "align",
        "border",
        "cellpadding",
        "checked",
        "class",
        "color",
        "dir",
        "disabled",
        "for",
        "height",
        "id",
    ),
    *("lang", "max", "min", "open", "role", "size", "style", "tabindex", "title", "type", "value", "width"),
    *("clip-path", "cx", "cy", "d", "dominant-baseline", "dx", "dy", "fill", "fill-opacity", "font-family"),
    *("font-size", "font-weight", "gradientUnits", "offset", "opacity", "points", "preserveAspectRatio", "r"),
    *("rx", "ry", "shape-rendering", "stop-color", "stop-opacity", "stroke", "stroke-dasharray"),
    *("stroke-linecap", "stroke-linejoin", "stroke-opacity", "stroke-width", "text-anchor", "transform"),
    *("viewBox", "x", "x1", "x2", "xmlns", "y", "y1", "y2"),
}
_SCHEMES = {"http", "https", "mailto", "data"}
_OF_DATA = "data:image/"


def content_policy(scripts: Sequence[str]) -> str:
    """The Content-Security-Policy of a page with exactly these scripts.

    Nothing is fetched, no form is sent, and no other script runs, including event handlers like `onclick`.

    Parameters
    ----------
    scripts : sequence of str
        The exact texts between `<script>` and `</script>`, without carriage returns.

    Returns
    -------
    str
        For `<meta http-equiv="Content-Security-Policy" content="…">`.
    """
    hashes = " ".join(f"'sha256-{_sha256(script)}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {hashes or repr('none')}; style-src 'unsafe-inline'; "
        "img-src data: blob:; font-src data:; media-src data:; form-action 'none'; base-uri 'none'"
    )


def safe_html(html: str) -> str:
    """Remove everything from untrusted HTML that runs code, fetches, redirects or sends data.

    Tables, styles, cards and drawings are kept; scripts, frames, forms, `<meta>`, event handlers and other
    URL schemes (`javascript:…`) are removed. Links are kept, and send no referrer.
    """
    import nh3

    return nh3.clean(
        html,
        tags=nh3.ALLOWED_TAGS | _TAGS,
        clean_content_tags={"script"},
        attributes=_attributes(),
        attribute_filter=_kept,
        generic_attribute_prefixes={"data-", "aria-"},
        url_schemes=_SCHEMES,
        link_rel="noopener noreferrer",
    )


@cache
def _attributes() -> dict[str, set[str]]:
    import nh3

    return {**nh3.ALLOWED_ATTRIBUTES, "*": _ATTRIBUTES}


def _kept(tag: str, name: str, value: str) -> Any:
    """Filter of attributes: `data:` URLs only for embedded pictures, inputs only of harmless types."""
    if name in ("href", "src") and value.lstrip().lower().startswith("data:"):
        return value if tag == "img" and value.startswith(_OF_DATA) else None
    if name == "type" and value not in ("checkbox", "radio", "range"):
        return None
    return value


def _sha256(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
