"""What every promotion refuses before anything is stored, whatever is promoted: names, locks, kinds."""

from __future__ import annotations

import re
from collections.abc import Sequence

from workbench.errors import PromotionRefused
from workbench.runs.versions import VersionStore

__all__ = ["check_locks", "check_name", "refuse_other_kind"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_CALLED = {"notebook": "a notebook", "ingest": "an ingestion", "sweep": "a sweep"}


def check_name(name: str) -> None:
    """Refuse what cannot name a deployment.

    Raises
    ------
    PromotionRefused
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise PromotionRefused(
            f"{name!r} cannot name a deployment; use letters, digits, dots, dashes and underscores"
        )


def check_locks(locks: Sequence[str]) -> None:
    """Refuse what cannot name locks.

    Raises
    ------
    PromotionRefused
    """
    wrong = [locks] if isinstance(locks, str) else [name for name in locks if not _NAME.fullmatch(name)]
    if wrong:
        raise PromotionRefused(
            f"{wrong[0]!r} cannot name a lock; give a list of names of letters, digits, dots, dashes and "
            'underscores, as in locks=["gpu"]'
        )


def refuse_other_kind(versions: VersionStore, name: str, kind: str) -> None:
    """Refuse to make a deployment of another kind of one that there is: its versions could not be compared.

    Raises
    ------
    PromotionRefused
    """
    state = versions.state(name)
    if state is not None and state.kind != kind:
        raise PromotionRefused(
            f"{name} is {_CALLED[state.kind]}, and not {_CALLED[kind]}; choose another name"
        )
