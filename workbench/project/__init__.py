"""Projects: the folders in which people work, each with a `workbench.toml` at its root."""

from workbench.project.find import (
    MARKER,
    RUN_PATH,
    VARIABLE,
    find_project,
    notebooks_folder,
    project_environment,
    the_project,
)

__all__ = [
    "MARKER",
    "RUN_PATH",
    "VARIABLE",
    "find_project",
    "notebooks_folder",
    "project_environment",
    "the_project",
]
