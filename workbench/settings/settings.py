"""The class `Settings`: every setting with its meaning, its checks, and the order of its sources."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import (
    ByteSize,
    Field,
    ModelWrapValidatorHandler,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from workbench.display.card import card_html
from workbench.project.file import project_file
from workbench.project.server_names import EVENTS, TRADING_DATABASE, WORK_POOL, Names, names_of
from workbench.secrets_file import SecretsFileSource
from workbench.settings.complaints import said_plainly
from workbench.settings.kinds import (
    Currency,
    DatabaseUrl,
    Folder,
    OutputsPlace,
    PrefectUrl,
    RedisUrl,
    VendorUrl,
    Zone,
)
from workbench.settings.origins import ORIGINS, Kind, Origin, OriginsSource
from workbench.settings.sources import EnvironmentSource, HomeSource, ProjectSource
from workbench.settings.table import table_of

__all__ = ["Settings"]

PREFECT_DATABASE = "prefect"
# A URL that names one of PostgreSQL's own databases means the server, not that database.
_MAINTENANCE_DATABASES = {"", "postgres", "template1"}


class Settings(BaseSettings):
    """The settings, frozen: arguments first, then the environment, then the project's `workbench.toml`.

    Every field is read from `WORKBENCH_<FIELD>`, except `prefect_api_url` and `prefect_api_auth_string`,
    which use Prefect's own variables; those that have a key, from the project's file as well
    (`workbench.project.keys`). In a kernel that workbench starts, the secret ones are read from a file
    instead (`workbench.secrets_file`). `origins` tells where each comes from.

    Attributes
    ----------
    home : Path
        The folder of the embedded servers, the secrets, the promoted notebooks and the outputs of runs.
        Default: `.workbench/` in the project (`workbench.project`).
    outputs : Path, str or None
        The folder of the output notebooks and pages of runs, or a URL below which they are put at a run's
        end: `file:///shared/runs` or one of another protocol of fsspec, such as `s3://bucket/runs`, without
        a login in it. None: `runs/` in the home.
    database_url : SecretStr or None
        `postgresql://user:password@host:port[/database]` of your own PostgreSQL (15 or newer), with a
        login that may create databases and roles; the password may also be in `PGPASSWORD`. Without a
        database in it, each project has its own (`trading_database`). None, or "embedded": the embedded one.
    redis_url : SecretStr or None
        `redis://[:password@]host:port[/db]` of a Redis 6.2 or newer, or Valkey. None, or "embedded": the
        embedded one.
    prefect_api_url : str or None
        The API of your own Prefect server. None: workbench runs one on loopback.
    prefect_api_auth_string : SecretStr or None
        `user:password` for that server, if it requires a login.
    postgres_user : str or None
        The unprivileged account that runs the embedded PostgreSQL when workbench runs as root.
        Default: `postgres` if that account exists, else `nobody`.
    source : str
        The source that `wb.ingest` reads without `source=`.
    data_source : str or None
        The data source whose bars are loaded without `source=`. None: the only one that holds the symbols.
    calendar : str or None
        The exchange's calendar that bars are checked against without `calendar=`. None: the source's own.
    timezone : str or None
        The IANA time zone of schedules that are promoted without `timezone=`. None: it must be given.
    currency : str or None
        The code, such as "EUR", that reports made by `wb` show behind amounts. None: amounts without one.
    work_pool : str
        The Prefect work pool (type process) that deployments run in. Default: `workbench`; on your own
        Prefect server one for each project, as `workbench-my-fund`.
    pool_size, pool_overflow : int
        Maximum connections that each service's pool keeps open, and how many more it opens under load.
    cache_size : int
        Maximum bytes of the bar cache on disk ("4GB", "500MB"); 0 for no cache.
    history_keep_days : int
        How many days versions of bars are kept that were replaced, for `load_market_data(as_known=…)`.
    retention_keep_days : int
        How many days are kept what runs left, promoted notebooks that nothing needs, and Prefect's records of
        runs (`workbench clean`); 0 for ever.
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
        From `Settings.load()`, naming the variable or the key that is wrong.
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

    # In the project, by `HomeSource`: without one the error is to be ours, not pydantic's.
    home: Folder = Path(".workbench")
    outputs: OutputsPlace = None
    database_url: DatabaseUrl = None
    redis_url: RedisUrl = None
    prefect_api_url: PrefectUrl = Field(default=None, validation_alias="PREFECT_API_URL")
    prefect_api_auth_string: SecretStr | None = Field(
        default=None, validation_alias="PREFECT_API_AUTH_STRING"
    )
    source: Literal["sample", "file", "yahoo", "polygon", "alpaca"] = "sample"
    data_source: str | None = None
    calendar: str | None = None
    timezone: Zone | None = None
    currency: Currency | None = None
    postgres_user: str | None = None
    work_pool: str = Field(default_factory=lambda values: _work_pool(values))
    pool_size: int = Field(default=10, ge=1)
    pool_overflow: int = Field(default=20, ge=0)
    cache_size: ByteSize = ByteSize(4_000_000_000)
    history_keep_days: int = Field(default=730, ge=1)
    retention_keep_days: int = Field(default=730, ge=0)
    polygon_api_key: SecretStr | None = None
    alpaca_api_key: SecretStr | None = None
    alpaca_api_secret: SecretStr | None = None
    polygon_per_minute: int = Field(default=5, ge=0)
    alpaca_per_minute: int = Field(default=200, ge=0)
    frames: Literal["short", "plain"] = "short"
    yahoo_url: VendorUrl = None
    polygon_url: VendorUrl = None
    alpaca_url: VendorUrl = None

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
        """The sources in order: arguments, environment, a kernel's file of secrets, the project's file."""
        file = project_file()
        environment = EnvironmentSource(settings_cls, env_settings)
        secrets, project = SecretsFileSource(settings_cls), ProjectSource(settings_cls, file)
        kinds: dict[Kind, PydanticBaseSettingsSource] = {
            "argument": init_settings,
            "environment": environment,
            "secrets": secrets,
            "project": project,
        }
        return (*kinds.values(), HomeSource(settings_cls), OriginsSource(settings_cls, kinds, file))

    @model_validator(mode="wrap")
    @classmethod
    def _keep_origins(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Keep the origins beside the fields: settings are equal if their values are, wherever from."""
        origins = data.pop(ORIGINS, {}) if isinstance(data, dict) else {}
        settings = handler(data)
        settings.__dict__[ORIGINS] = origins
        return settings

    @classmethod
    def load(cls, **given: Any) -> Settings:
        """Read the settings; those in `given` count before all others.

        Raises
        ------
        SettingsError
            The message names the variable, or the key of `workbench.toml`, that is wrong.
        """
        try:
            return cls(**given)
        except ValidationError as error:
            raise said_plainly(error, cls, project_file()) from error

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy, in which what is updated counts as an argument."""
        copy = super().model_copy(update=update, deep=deep)
        if "home" in (update or {}):
            copy.__dict__.pop("names", None)  # those of the home before
        copy.__dict__[ORIGINS] = {**self.origins, **dict.fromkeys(update or {}, Origin("argument"))}
        return copy

    @property
    def origins(self) -> Mapping[str, Origin]:
        """Where each setting comes from, by its name."""
        known: Mapping[str, Origin] = self.__dict__.get(ORIGINS, {})
        return {name: known.get(name, Origin("default")) for name in type(self).model_fields}

    def _repr_html_(self) -> str:
        rows = [(one.name, f"{one.value} ({one.origin})") for one in table_of(self, self.origins)]
        return card_html("Settings", rows, note="workbench config shows the same, with keys and variables.")

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
        """The folder in which runs write output notebooks and HTML pages, one subfolder per run."""
        return self.outputs if isinstance(self.outputs, Path) else self.home / "runs"

    @property
    def outputs_url(self) -> str | None:
        """The URL below which outputs are put at a run's end; None where they stay in `runs_folder`."""
        return self.outputs if isinstance(self.outputs, str) else None

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
