"""The version of workbench; the changelog's newest entry says the same."""

__all__ = ["__version__"]

__version__ = "0.4.0"
