"""The schema of a deployment's parameters, from which Prefect draws the form of a run and refuses values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.headless.parameters import NotebookParameters

__all__ = ["flow_schema"]


def flow_schema(declared: NotebookParameters, values: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of the flow's parameters, with the notebook's own inside, so that forms show them.

    Where no notebook runs, there is no `sha256`.
    """
    schema = _whole(declared, values)
    if values.get("sha256") is None:
        del schema["properties"]["sha256"]
        schema["required"] = ["notebook"]
    return schema


def _whole(declared: NotebookParameters, values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "title": "Parameters",
        "type": "object",
        "required": ["notebook", "sha256"],
        "additionalProperties": False,
        "properties": {
            "parameters": declared.json_schema() | {"title": "parameters", "position": 0},
            "notebook": {
                "title": "notebook",
                "type": "string",
                "enum": [values["notebook"]],
                "description": "The notebook that was promoted.",
                "position": 1,
            },
            "sha256": {
                "title": "sha256",
                "type": "string",
                "enum": [values.get("sha256")],
                "description": "The content that was promoted; promote again to change it.",
                "position": 2,
            },
            "timeout_seconds": {
                "title": "timeout_seconds",
                "anyOf": [{"type": "number"}, {"type": "null"}],
                "default": None,
                "description": "A run that takes longer is killed.",
                "position": 3,
            },
            "slot": {
                "title": "slot",
                "anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}],
                "default": None,
                "description": "The slot to run, as 2026-11-27T22:30:00+00:00; by default the newest due.",
                "position": 4,
            },
            "memory_limit": {
                "title": "memory_limit",
                "anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}],
                "default": None,
                "description": "Resident memory beyond which a run is killed, such as 4GB.",
                "position": 5,
            },
            "retries": {
                "title": "retries",
                "type": "integer",
                "minimum": 0,
                "maximum": 20,
                "default": 2,
                "description": "How many attempts may follow the first.",
                "position": 6,
            },
            "retry_on": {
                "title": "retry_on",
                "type": "string",
                "enum": ["away", "any"],
                "default": "away",
                "description": "What is tried again: away (a server was), or any failure of a cell.",
                "position": 7,
            },
            "locks": {
                "title": "locks",
                "type": "array",
                "items": {"type": "string"},
                "default": [],
                "description": "Resources that no two runs have at once.",
                "position": 8,
            },
            "version": {
                "title": "version",
                "anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}],
                "default": None,
                "description": "The version to run; by default the one that is in use when the run begins.",
                "position": 9,
            },
        },
    }
