"""URLs of servers and vendors: checked without showing a password, and shown without it."""

from __future__ import annotations

import importlib.util
import os
import re
from urllib.parse import SplitResult, parse_qsl, quote, urlsplit, urlunsplit

__all__ = [
    "MASK",
    "masked",
    "outputs_url",
    "parts_of",
    "postgres_url",
    "prefect_url",
    "redis_url",
    "vendor_url",
]

MASK = "***"
"""What is shown in the place of a secret."""
_SECRET_PARAMETER = re.compile(r"pass|secret|token|key", re.IGNORECASE)


def postgres_url(url: str) -> str:
    """PostgreSQL's URL, with the password in `PGPASSWORD` if it has none itself; `ValueError` if unusable."""
    parts = parts_of(url)
    if parts.scheme.partition("+")[0] not in {"postgresql", "postgres"} or not parts.hostname:
        raise ValueError(
            "expected postgresql://user:password@host:port/database "
            f"(got the scheme {parts.scheme!r} and the host {parts.hostname!r})"
        )
    if not parts.username:
        raise ValueError("the URL has no user; expected postgresql://user:password@host:port")
    password = os.environ.get("PGPASSWORD")
    if parts.password is None and password:
        user, _, rest = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{rest}"))
    return url


def redis_url(url: str) -> str:
    """Redis' URL; `ValueError` if unusable."""
    scheme = parts_of(url).scheme
    if scheme not in {"redis", "rediss", "unix"}:
        raise ValueError(f"expected redis://host:port (got the scheme {scheme!r})")
    return url


def prefect_url(url: str) -> str:
    """The URL of Prefect's API; `ValueError` if it contains a login."""
    if parts_of(url).password:
        raise ValueError("the URL contains a login; set PREFECT_API_AUTH_STRING=user:password instead")
    return url


def vendor_url(url: str) -> str:
    """The base URL of a vendor's API; `ValueError` if it is none."""
    parts = parts_of(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"expected https://host (got the scheme {parts.scheme!r})")
    return url


def outputs_url(url: str) -> str:
    """The URL of a place for outputs; `ValueError` if it contains a login, or its protocol cannot be used."""
    parts = parts_of(url)
    if "@" in parts.netloc or parts.query or parts.fragment:
        # The URL is in every run's record.
        raise ValueError(
            "the URL contains a login or parameters; give those to its own library, such as "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for s3://"
        )
    if parts.scheme == "file":
        if parts.netloc not in {"", "localhost"} or not parts.path.startswith("/"):
            raise ValueError("expected three slashes, as in file:///shared/runs")
        return url
    from fsspec.registry import known_implementations

    # Of a chain of protocols, as "simplecache::s3://", there is none.
    protocol = url.partition("://")[0]
    known = known_implementations.get(protocol)
    if known is None or protocol == "memory":
        raise ValueError(
            f"outputs cannot be put below {protocol}://; name a folder, file:///shared/runs, or a URL of "
            "a protocol of fsspec, such as s3://bucket/runs"
        )
    if not parts.netloc:
        raise ValueError(f"expected {parts.scheme}://, and then a bucket or a host")
    package = known["class"].partition(".")[0]
    if importlib.util.find_spec(package) is None:
        raise ValueError(
            f"{parts.scheme}:// needs the package {package}, which is not installed here: "
            f"pip install {package}"
        )
    return url


def parts_of(url: str) -> SplitResult:
    """The parts of a URL.

    Raises
    ------
    ValueError
        The port is not valid. The message shows no part of the URL: what looks like a port may be part of
        a password.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError(
            "the port is not a number from 0 to 65535; in a password write %2F for /, %3F for ?, %23 for #"
        ) from None
    return parts


def masked(url: str) -> str:
    """A URL with `***` for its password, and for the value of each parameter that may be secret.

    Examples
    --------
    >>> masked("postgresql://me:word@db:5432/research")
    'postgresql://me:***@db:5432/research'
    """
    parts = parts_of(url)
    login, at, host = parts.netloc.rpartition("@")
    if parts.password is not None:
        login = f"{login.partition(':')[0]}:{MASK}"
    query = "&".join(
        f"{name}={MASK if _SECRET_PARAMETER.search(name) else value}"
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    )
    return urlunsplit(parts._replace(netloc=f"{login}{at}{host}", query=query))
