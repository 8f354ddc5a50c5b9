"""Settings: the environment, read once at the edge and passed down; nothing here opens a connection."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from urllib.parse import SplitResult, quote, unquote, urlsplit, urlunsplit

from pydantic import ByteSize, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from workbench.errors import SettingsError
from workbench.home.names import EVENTS, TRADING_DATABASE, WORK_POOL, Names, names_of
from workbench.project import the_project
from workbench.secrets_file import SecretsFileSource

__all__ = ["Settings"]

# Our text for pydantic's error types, by prefix of the type.
_EXPECTED = {
    "byte_size": "expected a number of bytes, such as 4GB, 500MB or 0",
    "int": "expected a whole number",
    "literal": "expected {expected}",
    "greater_than_equal": "expected {ge} or more",
    "less_than_equal": "expected {le} or less",
}
PREFECT_DATABASE = "prefect"
# A URL that names one of PostgreSQL's own databases means the server, not that database.
_MAINTENANCE_DATABASES = {"", "postgres", "template1"}


class Settings(BaseSettings):
    """The settings from the environment, frozen.

    Every field is read from `WORKBENCH_<FIELD>`, except `prefect_api_url` and `prefect_api_auth_string`,
    which use Prefect's own variables. In a kernel that workbench starts, the secret ones are read from a
    file instead (`workbench.secrets_file`).

    Attributes
    ----------
    home : Path
        The folder of the embedded servers, the secrets, the promoted notebooks and the outputs of runs.
        Default: `.workbench/` in the project (`workbench.project`).
    database_url : SecretStr or None
        `postgresql://user:password@host:port[/database]` of your own PostgreSQL (15 or newer), with a
        login that may create databases and roles; the password may also be in `PGPASSWORD`. Without a
        database in it, each project has its own (`trading_database`). None: the embedded one.
    redis_url : SecretStr or None
        `redis://[:password@]host:port[/db]` of a Redis 6.2 or newer, or Valkey. None: the embedded one.
    prefect_api_url : str or None
        The API of your own Prefect server. None: workbench runs one on loopback.
    prefect_api_auth_string : SecretStr or None
        `user:password` for that server, if it requires a login.
    postgres_user : str or None
        The unprivileged account that runs the embedded PostgreSQL when workbench runs as root.
        Default: `postgres` if that account exists, else `nobody`.
    work_pool : str
        The Prefect work pool (type process) that deployments run in. Default: `workbench`; on your own
        Prefect server one for each project, as `workbench-my-fund`.
    pool_size, pool_overflow : int
        Maximum connections that each service's pool keeps open, and how many more it opens under load.
    cache_size : int
        Maximum bytes of the bar cache on disk ("4GB", "500MB"); 0 for no cache.
    polygon_api_key : SecretStr or None
        The key for Polygon (now Massive).
    alpaca_api_key, alpaca_api_secret : SecretStr or None
        The two parts of the key for Alpaca.
    polygon_per_minute, alpaca_per_minute : int
        Maximum requests a minute to these vendors; 0 for no limit. Default: the limit of their free plans.
    frames : "short" or "plain"
        How IPython and notebooks show DataFrames: "short" shows midnights as dates and shortens run ids;
        "plain" is pandas' own display.
    yahoo_url, polygon_url, alpaca_url : str or None
        Base URLs of the vendors' APIs, for a proxy. None: the vendors' own addresses.

    Raises
    ------
    SettingsError
        From `Settings.load()`, naming the variable that is wrong.
    ProjectMissing
        Without a home, outside of a project.
    """

    model_config = SettingsConfigDict(
        env_prefix="WORKBENCH_",
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
        populate_by_name=True,
        # Pydantic's error is chained to ours; with its input it would show a URL with the password.
        hide_input_in_errors=True,
    )

    home: Path = Field(default_factory=lambda: the_project() / ".workbench")
    database_url: SecretStr | None = None
    redis_url: SecretStr | None = None
    prefect_api_url: str | None = Field(default=None, validation_alias="PREFECT_API_URL")
    prefect_api_auth_string: SecretStr | None = Field(
        default=None, validation_alias="PREFECT_API_AUTH_STRING"
    )
    postgres_user: str | None = None
    work_pool: str = Field(default_factory=lambda values: _work_pool(values))
    pool_size: int = Field(default=10, ge=1)
    pool_overflow: int = Field(default=20, ge=0)
    cache_size: ByteSize = ByteSize(4_000_000_000)
    polygon_api_key: SecretStr | None = None
    alpaca_api_key: SecretStr | None = None
    alpaca_api_secret: SecretStr | None = None
    polygon_per_minute: int = Field(default=5, ge=0)
    alpaca_per_minute: int = Field(default=200, ge=0)
    frames: Literal["short", "plain"] = "short"
    yahoo_url: str | None = None
    polygon_url: str | None = None
    alpaca_url: str | None = None

    def __dir__(self) -> Iterable[str]:
        """Tab completion: the settings, without pydantic's attributes."""
        theirs = set(dir(BaseSettings))
        return [name for name in super().__dir__() if name.startswith("_") or name not in theirs]

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """The fields in `repr`: the home, and those that differ from their defaults."""
        for name, value in super().__repr_args__():
            default = None if name is None else type(self).model_fields[name].default
            if name == "work_pool" and self.prefect_api_url is None:
                default = WORK_POOL
            if name == "home" or name is None or value != default:
                yield name, value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The sources of settings in order: arguments, the environment, a kernel's file of secrets."""
        return init_settings, env_settings, SecretsFileSource(settings_cls)

    @classmethod
    def load(cls) -> Settings:
        """Read the settings from the environment; raises `SettingsError`, which names the wrong variable."""
        try:
            return cls()
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0])
            variable = name if name.isupper() else f"WORKBENCH_{name.upper()}"
            reason = str(first["msg"]).removeprefix("Value error, ")
            reason = next(
                (words for kind, words in _EXPECTED.items() if first["type"].startswith(kind)), reason
            ).format(**first.get("ctx", {}))
            if first["type"] != "value_error" and isinstance(first["input"], str):
                # Only numbers and paths get here; what may be secret is checked below and never shown.
                reason += f" (got {first['input']!r})"
            raise SettingsError(f"{variable}: {reason}") from error

    @field_validator("home", mode="after")
    @classmethod
    def _absolute_home(cls, value: Path) -> Path:
        home = Path(os.path.abspath(value.expanduser()))
        there = next(folder for folder in (home, *home.parents) if os.path.lexists(folder))
        if not there.is_dir():
            what = "it" if there == home else str(there)
            raise ValueError(f"{home} cannot be a folder, because {what} is a file; name another one")
        return home

    @field_validator(
        "database_url",
        "redis_url",
        "prefect_api_url",
        "polygon_api_key",
        "alpaca_api_key",
        "alpaca_api_secret",
        "yahoo_url",
        "polygon_url",
        "alpaca_url",
        mode="before",
    )
    @classmethod
    def _blank_is_unset(cls, value: object) -> object:
        return None if isinstance(value, str) and not value.strip() else value

    @field_validator("prefect_api_url", mode="after")
    @classmethod
    def _prefect_url(cls, value: str | None) -> str | None:
        if value is not None and _parts(value).password:
            raise ValueError("the URL contains a login; set PREFECT_API_AUTH_STRING=user:password instead")
        return value

    @field_validator("yahoo_url", "polygon_url", "alpaca_url", mode="after")
    @classmethod
    def _vendor_url(cls, value: str | None) -> str | None:
        if value is not None:
            parts = _parts(value)
            if parts.scheme not in {"http", "https"} or not parts.hostname:
                raise ValueError(f"expected https://host (got the scheme {parts.scheme!r})")
        return value

    @field_validator("database_url", mode="after")
    @classmethod
    def _postgres_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            parts = _parts(value.get_secret_value())
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
                login = f"{user}:{quote(password, safe='')}@{rest}"
                return SecretStr(urlunsplit(parts._replace(netloc=login)))
        return value

    @field_validator("redis_url", mode="after")
    @classmethod
    def _redis_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            scheme = _parts(value.get_secret_value()).scheme
            if scheme not in {"redis", "rediss", "unix"}:
                raise ValueError(f"expected redis://host:port (got the scheme {scheme!r})")
        return value

    def model_post_init(self, context: Any, /) -> None:
        """Find the names now: later, this process may work in another folder."""
        super().model_post_init(context)
        if self.has_shared_names:
            _ = self.names

    @cached_property
    def names(self) -> Names:
        """What databases, work pool and events are called on servers that several projects use."""
        return names_of(self.home)

    @property
    def has_shared_names(self) -> bool:
        """Whether a name comes from the project, because a server is one that several projects may use."""
        own_redis = self.redis_url is not None and self.database_url is None
        own_prefect = self.prefect_api_url is not None and self.work_pool != WORK_POOL
        return (
            self.has_project_database or own_redis or (own_prefect and self.work_pool == self.names.work_pool)
        )

    @property
    def has_project_database(self) -> bool:
        """Whether the database's name comes from the project: on your own server, unless the URL has one."""
        return self.database_url is not None and not self._named_database()

    @property
    def trading_database(self) -> str:
        """The name of our database.

        On the embedded server `trading_system`. On your own the one in the URL, else one for each project:
        `trading_my_fund` for the project my-fund, `trading_system` for the clone and without a project.
        """
        if self.database_url is None:
            return TRADING_DATABASE
        return self._named_database() or self.names.database

    @property
    def event_prefix(self) -> str:
        """What the names of this database's stream and channels begin with.

        `data_sync` on the embedded Redis, and for the database `trading_system`. On a Redis of your own,
        which several databases may use, `data_sync.trading_my_fund`.
        """
        if self.redis_url is None:
            return EVENTS
        if self.database_url is None:
            return self.names.events
        database = self.trading_database
        return EVENTS if database == TRADING_DATABASE else f"{EVENTS}.{database}"

    @property
    def prefect_database(self) -> str:
        """The name of Prefect's database on the same server."""
        if self.trading_database == TRADING_DATABASE:
            return PREFECT_DATABASE
        return f"{self.trading_database}_{PREFECT_DATABASE}"

    def _named_database(self) -> str:
        """The database in the URL; empty if it names none, or one of PostgreSQL's own."""
        url = self.database_url.get_secret_value() if self.database_url else ""
        name = unquote(urlsplit(url).path.lstrip("/"))
        return "" if name in _MAINTENANCE_DATABASES else name

    @property
    def runs_folder(self) -> Path:
        """The folder of the output notebooks and HTML pages of runs, one subfolder per run."""
        return self.home / "runs"

    @property
    def store_folder(self) -> Path:
        """The content-addressed store of promoted notebooks."""
        return self.home / "store"

    @property
    def logs_folder(self) -> Path:
        """The folder of the servers' and the worker's logs."""
        return self.home / "logs"


def _work_pool(values: dict[str, Any]) -> str:
    """The default work pool: on a Prefect server of one's own, which projects may share, the project's."""
    if values.get("prefect_api_url") is None or "home" not in values:
        return WORK_POOL
    return names_of(values["home"]).work_pool


def _parts(url: str) -> SplitResult:
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
