"""PostgreSQL and Redis, embedded or the user's own, with databases, roles and migrations set up."""

from __future__ import annotations

import hmac
import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from workbench.db.roles import all_roles, role_password
from workbench.embedded import EmbeddedPostgres, EmbeddedValkey
from workbench.errors import ServerError, ServerUnreachable, SettingsError
from workbench.home.files import replace_file
from workbench.home.locks import exclusive
from workbench.home.secrets import Secret, Secrets
from workbench.paths import shipped
from workbench.project.server_names import keep_names, renamed
from workbench.settings import Settings
from workbench.stack.home_version import note_version
from workbench.stack.model import Progress

__all__ = ["Servers", "SetUp", "redis_version", "setup_lock"]

_SETUP_PATIENCE = 600.0
_STAMP = "stamp"


@dataclass(frozen=True)
class SetUp:
    """What setting up did: the database's revision before and after, and the backup made in between."""

    before: str | None
    after: str | None
    backup: Path | None


class Servers:
    """PostgreSQL and Redis, which all services need.

    Parameters
    ----------
    settings : Settings
        A server given by `database_url` or `redis_url` is used, but never started or stopped.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._home = Path(os.path.realpath(settings.home))
        self._stamp = self._home / "run" / "databases.stamp"
        self.postgres = None if settings.database_url else EmbeddedPostgres(settings)
        self.valkey = None if settings.redis_url else EmbeddedValkey(settings)

    def ensure(self, progress: Progress) -> tuple[str, str]:
        """Start both if needed; return the administrator's database URL and the Redis URL."""
        return self._database_url(progress), self._redis_url(progress)

    def addresses(self) -> tuple[str, str]:
        """The same URLs as `ensure`; starts nothing.

        Raises
        ------
        ServerError
            An embedded server does not run.
        """
        postgres = self.postgres.running() if self.postgres else None
        valkey = self.valkey.running() if self.valkey else None
        if (self.postgres and not postgres) or (self.valkey and not valkey):
            raise ServerError(f"Nothing runs for {self._home} yet; start it with: workbench up --detach")
        database_url = (
            self.postgres.url(postgres.port) if self.postgres and postgres else self._own_database()
        )
        return database_url, self.valkey.url(valkey.port) if self.valkey and valkey else self._own_redis()

    def set_up(self, database_url: str, progress: Progress) -> SetUp:
        """Create missing databases, roles and tables; one process at a time.

        Before migrations of a database that is there, an embedded one is backed up.

        Raises
        ------
        SettingsError
            The project has another name than this home's databases, or a database is another project's.
        """
        from workbench.db.bootstrap import create_databases
        from workbench.db.migrate import outdated, upgrade
        from workbench.stack.backup import back_up

        with exclusive(setup_lock(self._home), patience=_SETUP_PATIENCE, doing="preparing the databases"):
            progress("Preparing the databases")
            self._refuse_another_name()
            create_databases(self._settings, database_url)
            if self._settings.has_shared_names:
                keep_names(self._home, self._settings.names)
            backup = None
            stale = outdated(self._settings, database_url)
            if self.postgres is not None and stale is not None:
                backup = back_up(self._settings, database_url, stale, progress)
                progress(f"Bringing the database from revision {stale} up to date")
            before, after = upgrade(self._settings, database_url)
            note_version(self._home, after if self.postgres is not None else None)
            stamp = self._what_is_set_up(database_url, Secrets(self._home).get(_STAMP))
            replace_file(self._stamp, stamp + "\n", mode=0o600)
        return SetUp(before, after, backup)

    def is_set_up(self, database_url: str) -> bool:
        """Whether `set_up` was done for this server and this version's migrations; does not connect.

        A database that was dropped since is not detected; `set_up` creates it again.
        """
        if self._settings.has_shared_names and renamed(self._home):
            return False  # `set_up` says why
        key = Secrets(self._home).peek(_STAMP)
        try:
            stamp = self._stamp.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return False
        return key is not None and hmac.compare_digest(stamp, self._what_is_set_up(database_url, key))

    def are_down(self) -> bool:
        """Whether an embedded server that should run does not."""
        return any(server is not None and server.running() is None for server in (self.postgres, self.valkey))

    def have_data(self) -> bool:
        """Whether a database exists: False before the first start of an embedded PostgreSQL."""
        return self.postgres is None or self.postgres.data() is not None

    def pids(self) -> dict[str, int | None]:
        """The embedded servers' pids by name, in the order of stopping; None if one does not run."""
        postgres = self.postgres.running() if self.postgres else None
        valkey = self.valkey.running() if self.valkey else None
        return {
            "Valkey": valkey.pid if valkey else None,
            "PostgreSQL": postgres.pid if postgres else None,
        }

    def data_folders(self) -> list[Path]:
        """The data folders of the embedded servers, as far as they exist."""
        postgres = self.postgres.data() if self.postgres else None
        valkey = self.valkey.data if self.valkey else None
        return [folder for folder in (postgres, valkey) if folder is not None]

    def connections(self) -> int:
        """How many clients the embedded servers have now, without this one."""
        return self._postgres_clients() + self._valkey_clients()

    def stop(self, progress: Progress) -> list[str]:
        """Stop the embedded servers; return the names of those that ran."""
        stopped = []
        for name, server in (("Valkey", self.valkey), ("PostgreSQL", self.postgres)):
            if server is not None and server.stop():
                progress(f"Stopped {name}")
                stopped.append(name)
        return stopped

    def _postgres_clients(self) -> int:
        running = self.postgres.running() if self.postgres else None
        if self.postgres is None or running is None:
            return 0
        import psycopg

        query = (
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        try:
            with psycopg.connect(self.postgres.url(running.port), connect_timeout=5) as connection:
                row = connection.execute(query).fetchone()
        except psycopg.Error as error:
            raise ServerUnreachable(f"PostgreSQL does not answer: {error}") from error
        return int(row[0]) if row else 0

    def _valkey_clients(self) -> int:
        running = self.valkey.running() if self.valkey else None
        if self.valkey is None or running is None:
            return 0
        import redis

        client = redis.Redis.from_url(self.valkey.url(running.port), socket_timeout=5)
        try:
            ours = client.client_id()
            return sum(int(one["id"]) != ours for one in client.client_list())
        except redis.RedisError as error:
            raise ServerUnreachable(f"Valkey does not answer: {error}") from error
        finally:
            client.close()

    def _refuse_another_name(self) -> None:
        name = renamed(self._home) if self._settings.has_shared_names else None
        if name is None:
            return
        names = self._settings.names
        raise SettingsError(
            f"the project is called {name!r} now, and its home {self._home} has worked as {names.project!r}, "
            f"with the database {names.database}; put the name back in workbench.toml, or, to begin with "
            f"databases of the new name, remove {self._home / 'run' / 'names.json'}"
        )

    def _what_is_set_up(self, database_url: str, key: str) -> str:
        # An HMAC: a plain hash of the URL would help to guess its password.
        facts = hmac.new(key.encode(), f"{database_url}\n{self._settings.trading_database}".encode(), sha256)
        for role in all_roles():
            facts.update(role_password(self._settings, database_url, role).encode())
        for path in sorted(shipped("sql").rglob("*.sql")):
            facts.update(path.name.encode() + path.read_bytes())
        return facts.hexdigest()

    def _database_url(self, progress: Progress) -> str:
        return self.postgres.ensure(progress) if self.postgres else self._own_database()

    def _redis_url(self, progress: Progress) -> str:
        if self.valkey is not None:
            return self.valkey.ensure(progress)
        redis_version(self._own_redis())
        return self._own_redis()

    def _own_database(self) -> str:
        url = self._settings.database_url
        return Secret(url.get_secret_value() if url else "")

    def _own_redis(self) -> str:
        url = self._settings.redis_url
        return Secret(url.get_secret_value() if url else "")


def setup_lock(home: Path) -> Path:
    """The lock that is held while the databases are changed as a whole."""
    return home / "run" / "setup.lock"


def redis_version(url: str) -> str:
    """The name and version of the server at a Redis URL, as in "Valkey 9.1.2" or "Redis 7.0.15".

    Raises
    ------
    ServerUnreachable
        The server does not answer, or refuses the login.
    """
    import redis

    client = redis.Redis.from_url(url, socket_connect_timeout=5, socket_timeout=5)
    try:
        facts = client.info("server")
    except (redis.RedisError, OSError) as error:
        raise ServerUnreachable(f"Redis does not answer ({error}); is WORKBENCH_REDIS_URL right?") from error
    finally:
        client.close()
    if "valkey_version" in facts:
        return f"Valkey {facts['valkey_version']}"
    return f"Redis {facts['redis_version']}"
