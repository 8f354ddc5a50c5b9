"""Kinds of values that several settings share, each with its check."""

from __future__ import annotations

import os
import re
import zoneinfo
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, SecretStr

from workbench.secrets_file import EMBEDDED
from workbench.settings.urls import outputs_url, postgres_url, prefect_url, redis_url, vendor_url
from workbench.spelling import did_you_mean, near_names

__all__ = ["Currency", "DatabaseUrl", "Folder", "OutputsPlace", "PrefectUrl", "RedisUrl", "VendorUrl", "Zone"]


def _usable_folder(path: Path) -> Path:
    """The absolute path of a folder that may yet have to be made; `ValueError` where a file is in the way."""
    folder = Path(os.path.abspath(path.expanduser()))
    there = next(one for one in (folder, *folder.parents) if os.path.lexists(one))
    if not there.is_dir():
        what = "it" if there == folder else str(there)
        raise ValueError(f"{folder} cannot be a folder, because {what} is a file; name another one")
    return folder


def _known_zone(name: str) -> str:
    """An IANA time zone; `ValueError` where it is none, with the most similar one."""
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        near = did_you_mean(near_names(name, zoneinfo.available_timezones()))
        raise ValueError(f"expected a time zone such as America/New_York (got {name!r}){near}") from None
    return name


def _code(name: str) -> str:
    if not re.fullmatch(r"[A-Z]{3,5}", name):
        raise ValueError(f"expected a currency's code, such as USD or EUR (got {name!r})")
    return name


def _embedded(value: object) -> object:
    """The word "embedded" means none of one's own, whatever the project's file says."""
    return None if isinstance(value, str) and value.strip().lower() == EMBEDDED else value


def _folder_or_url(value: object) -> object:
    """A place for outputs: a URL where it looks like one, else a folder."""
    if isinstance(value, str) and "://" in value:
        return outputs_url(value)
    return _usable_folder(Path(value)) if isinstance(value, str | Path) else value


def _checked(check: Callable[[str], str]) -> AfterValidator:
    return AfterValidator(lambda url: None if url is None else check(url))


def _checked_secret(check: Callable[[str], str]) -> AfterValidator:
    return AfterValidator(lambda url: None if url is None else SecretStr(check(url.get_secret_value())))


Folder = Annotated[Path, AfterValidator(_usable_folder)]
"""An absolute folder, which may yet have to be made."""
OutputsPlace = Annotated[Path | str | None, BeforeValidator(_folder_or_url)]
"""An absolute folder, or the URL of a place that fsspec can write to; None for the home's."""
Zone = Annotated[str, AfterValidator(_known_zone)]
"""An IANA time zone."""
Currency = Annotated[str, AfterValidator(_code)]
"""The code of a currency."""
DatabaseUrl = Annotated[SecretStr | None, BeforeValidator(_embedded), _checked_secret(postgres_url)]
"""PostgreSQL's URL; None for the embedded one."""
RedisUrl = Annotated[SecretStr | None, BeforeValidator(_embedded), _checked_secret(redis_url)]
"""Redis' URL; None for the embedded one."""
PrefectUrl = Annotated[str | None, _checked(prefect_url)]
"""The URL of Prefect's API; None for the embedded one."""
VendorUrl = Annotated[str | None, _checked(vendor_url)]
"""The base URL of a vendor's API; None for the vendor's own."""
