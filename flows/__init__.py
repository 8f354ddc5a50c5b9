"""Prefect flows, one per file, thin: they call workbench."""
