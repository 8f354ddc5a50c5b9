"""Projects: the folders in which people work, each with a `workbench.toml` at its root."""

from workbench.project.find import (
    MARKER,
    VARIABLE,
    find_project,
    notebooks_folder,
    project_environment,
    the_project,
)

__all__ = [
    "MARKER",
    "VARIABLE",
    "find_project",
    "notebooks_folder",
    "project_environment",
    "the_project",
]
