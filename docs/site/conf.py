"""Sphinx's configuration."""

from __future__ import annotations

from docs.site.rendering import connect
from workbench.version import __version__

__all__ = ["setup"]

project = "workbench"
author = "The workbench developers"
release = version = __version__
html_title = f"workbench {__version__}"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns: list[str] = []
html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_show_copyright = False
pygments_dark_style = "github-dark"
html_theme_options: dict[str, object] = {"top_of_page_buttons": []}

# A heading's anchor is the one that GitHub gives it.
myst_heading_anchors = 4
myst_links_external_new_tab = False

# Single backticks: a link where there is such a page, else plain code.
default_role = "named"
add_module_names = False
toc_object_entries_show_parents = "hide"
python_maximum_signature_line_length = 110
python_use_unqualified_type_names = True
python_display_short_literal_types = True
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_custom_sections = [("Attributes", "params_style")]

setup = connect
