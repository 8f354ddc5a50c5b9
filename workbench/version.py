"""The version of workbench; the changelog's newest entry says the same."""

__all__ = ["DISTRIBUTION", "__version__"]

DISTRIBUTION = "quant-workbench"
"""What pip installs; the package and the command are `workbench`."""

__version__ = "0.4.0"
