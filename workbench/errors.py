"""Every error and warning that reaches a user of workbench.

Each error is one sentence (or two) that says what was wrong, where, and what to do, and keeps the
facts as fields. `str(error)` is meant for people; the fields are meant for programs.

    WorkbenchError
    ├── SettingsError (ValueError)        the environment or a setting is unusable
    │   └── ProjectMissing                a command needs a project, and there is none here
    ├── ProjectRefused                    a project cannot be made there
    ├── ServerError                       a server cannot be started, reached or stopped
    │   ├── ServerUnreachable             PostgreSQL, Redis or Prefect does not answer
    │   ├── NewerHome                     a newer version of workbench has set up this home
    │   ├── OutputsUnreachable            outputs of runs cannot be put where they belong, or read from there
    │   └── PrefectRefused                Prefect answers, but refuses what it was asked for
    ├── DatabaseError                     PostgreSQL refused a statement
    │   ├── PermissionRefused             a role may not do that
    │   └── MigrationError                the schema is not what this version needs
    ├── FrameRefused (ValueError)         a frame cannot be stored; nothing was written
    │   ├── ColumnMismatch                a column is missing or unknown
    │   ├── DuplicateKeys                 two rows of the frame have one key
    │   ├── ValueRefused                  a value that the column cannot hold exactly
    │   ├── NaiveTimestamp                a timestamp without a time zone
    │   ├── MissingReference              a row points to a row that does not exist
    │   └── WriteRefused                  a write lacks an argument, or has one that contradicts the frame
    ├── QueryError (ValueError)           a load that cannot be answered
    │   ├── UnknownSymbol (KeyError)      a symbol that was never stored, or that a source does not have
    │   ├── AmbiguousSource               several data sources hold the symbols
    │   ├── NotKnown                      bars as they were known, of a time of which nothing is kept
    │   └── EmptyRange                    a range that holds nothing
    ├── SourceError                       bars cannot be had from a source
    │   ├── FileRefused (ValueError)      a file that is not a table of bars
    │   ├── KeyRefused                    a vendor refuses the key, or there is none
    │   └── SourceUnreachable             a vendor does not answer, or only with errors
    ├── BacktestError (ValueError)        a backtest cannot be computed from what was given
    │   ├── StrategyError                 a strategy, its parameters or what it returns cannot be used
    │   ├── SweepError                    a sweep cannot be made, resumed or expanded
    │   ├── SweepDiffers                  a sweep is not of the backtest that it is shown beside
    │   └── SaveRefused (TypeError)       a result cannot be saved, or not with these options
    ├── NotebookError                     a notebook cannot be used
    │   ├── ParametersRefused (ValueError)  unknown, missing or wrongly typed notebook parameters
    │   ├── NotebookFailed                a cell raised, the kernel died, or cells never ran
    │   ├── ModuleNotPromoted (ModuleNotFoundError)  a project's module that was not promoted with it
    │   └── FileNotPromoted (FileNotFoundError)  a project's file that was not promoted with it
    ├── RunError                          a run record cannot be used
    │   ├── RunFenced                     the run was declared dead: it may write nothing more
    │   ├── SlotTaken                     another live run has that slot, or has completed it
    │   │   └── DeploymentBusy            another live run of the deployment is under way
    │   └── SlotRefused (ValueError)      a moment at which the deployment was not due
    ├── LockTimeout                       a resource that a run has to itself was not free in time
    ├── EventError                        an event cannot be published or read
    ├── PromotionRefused (ValueError)     a notebook may not be promoted
    │   ├── GateFailed                    it does not pass a gate, such as signals without the future
    │   ├── ScheduleRefused               a schedule that cannot be, or a policy for what is missed
    │   └── NotDeployed (KeyError)        nothing is deployed under that name
    └── DemoFailed                        something that the demo shows did not happen

In brackets: Python's own error that it is as well, and all below it with it. `WriteRefused` is also a
`QueryError`, which it was before it had a name of its own. `workbench.sweep.SweepInterrupted` is no error but
a `KeyboardInterrupt`.

Where work can go on, there is a warning: `WorkbenchWarning`, and of it `NoBarsWarning` and
`SignalsInGapsWarning`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = [
    "AmbiguousSource",
    "BacktestError",
    "ColumnMismatch",
    "DatabaseError",
    "DemoFailed",
    "DeploymentBusy",
    "DuplicateKeys",
    "EmptyRange",
    "EventError",
    "FileNotPromoted",
    "FileRefused",
    "FrameRefused",
    "GateFailed",
    "KeyRefused",
    "LockTimeout",
    "MigrationError",
    "MissingReference",
    "ModuleNotPromoted",
    "NaiveTimestamp",
    "NewerHome",
    "NoBarsWarning",
    "NotDeployed",
    "NotKnown",
    "NotebookError",
    "NotebookFailed",
    "OutputsUnreachable",
    "ParametersRefused",
    "PermissionRefused",
    "PrefectRefused",
    "ProjectMissing",
    "ProjectRefused",
    "PromotionRefused",
    "QueryError",
    "RunError",
    "RunFenced",
    "SaveRefused",
    "ScheduleRefused",
    "ServerError",
    "ServerUnreachable",
    "SettingsError",
    "SignalsInGapsWarning",
    "SlotRefused",
    "SlotTaken",
    "SourceError",
    "SourceUnreachable",
    "StrategyError",
    "SweepDiffers",
    "SweepError",
    "UnknownSymbol",
    "ValueRefused",
    "WorkbenchError",
    "WorkbenchWarning",
    "WriteRefused",
]


class WorkbenchError(Exception):
    """Something workbench was asked for cannot be done."""

    def __init__(self, message: str | None = None) -> None:
        # An exception's docstring is its default message.
        super().__init__(message or (type(self).__doc__ or "").strip().splitlines()[0])

    def __str__(self) -> str:
        # The sentence: a KeyError, which some of these are, would show its repr.
        return Exception.__str__(self)


class SettingsError(WorkbenchError, ValueError):
    """A setting is unusable."""


class ProjectMissing(SettingsError):
    """There is no project here."""


class ProjectRefused(WorkbenchError):
    """A project cannot be made there; nothing was written."""


class ServerError(WorkbenchError):
    """A server cannot be started, reached or stopped."""


class ServerUnreachable(ServerError):
    """A server does not answer."""


class NewerHome(ServerError):
    """A newer version of workbench has set up this home."""


class OutputsUnreachable(ServerError):
    """The outputs of runs cannot be put below the URL of the setting `outputs`, or fetched from there."""


class PrefectRefused(ServerError):
    """Prefect's server answers, but refuses what it was asked for. Fields: `status` (HTTP), `reason`."""

    def __init__(self, message: str | None = None, *, status: int = 0, reason: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class DatabaseError(WorkbenchError):
    """PostgreSQL refused a statement."""


class PermissionRefused(DatabaseError):
    """The role may not do that."""


class MigrationError(DatabaseError):
    """The database's schema is not what this version of workbench needs."""


class FrameRefused(WorkbenchError, ValueError):
    """A frame cannot be stored; nothing was written.

    Fields: `table` (schema-qualified), `column` (None where the whole row is meant), `rows` (positions
    of the first offending rows, counted from 0).
    """

    def __init__(
        self,
        message: str | None = None,
        *,
        table: str | None = None,
        column: str | None = None,
        rows: Sequence[int] = (),
    ) -> None:
        super().__init__(message)
        self.table = table
        self.column = column
        self.rows = tuple(rows)


class ColumnMismatch(FrameRefused):
    """The frame's columns are not the table's."""


class DuplicateKeys(FrameRefused):
    """Two rows of the frame have the same key."""


class ValueRefused(FrameRefused):
    """The column cannot hold a value exactly."""


class NaiveTimestamp(FrameRefused):
    """A timestamp has no time zone."""


class MissingReference(FrameRefused):
    """A row points to a row that does not exist."""


class QueryError(WorkbenchError, ValueError):
    """A load cannot be answered."""


class WriteRefused(FrameRefused, QueryError):
    """A write lacks an argument, or has one that contradicts the frame; nothing was written."""


class UnknownSymbol(QueryError, KeyError):
    """A symbol that was never stored, or that a source does not have. Fields: `symbols`, `known`."""

    def __init__(
        self, message: str | None = None, *, symbols: Sequence[str] = (), known: Sequence[str] = ()
    ) -> None:
        super().__init__(message)
        self.symbols = tuple(symbols)
        self.known = tuple(known)


class AmbiguousSource(QueryError):
    """Several data sources hold the symbols; say which. Field: `sources`."""

    def __init__(self, message: str | None = None, *, sources: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.sources = tuple(sources)


class NotKnown(QueryError):
    """Nothing was known of a series then, or it is not kept, or that run did not read it. Field: `series`."""

    def __init__(self, message: str | None = None, *, series: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.series = tuple(series)


class EmptyRange(QueryError):
    """A time range that holds nothing."""


class SourceError(WorkbenchError):
    """Bars cannot be had from a source."""


class FileRefused(SourceError, ValueError):
    """A file is not a table of bars. Field: `path`."""

    def __init__(self, message: str | None = None, *, path: str | None = None) -> None:
        super().__init__(message)
        self.path = path


class KeyRefused(SourceError):
    """A vendor refuses the key, or there is none: no symbol can be had."""


class SourceUnreachable(SourceError):
    """A vendor does not answer, or only with errors, however often it is asked."""


class BacktestError(WorkbenchError, ValueError):
    """A backtest cannot be computed from what was given."""


class StrategyError(BacktestError):
    """A strategy, its parameters or what it returns cannot be used."""


class SweepError(BacktestError):
    """A sweep cannot be made, resumed or expanded."""


class SweepDiffers(BacktestError):
    """A sweep is not of the backtest that it is shown beside.

    Field: `differences` (by name, what the backtest has and what the sweep has).
    """

    def __init__(
        self, message: str | None = None, *, differences: Mapping[str, tuple[Any, Any]] | None = None
    ) -> None:
        super().__init__(message)
        self.differences = dict(differences or {})


class SaveRefused(BacktestError, TypeError):
    """A result cannot be saved, or not with these options."""


class NotebookError(WorkbenchError):
    """A notebook cannot be used."""


class ParametersRefused(NotebookError, ValueError):
    """Unknown, missing or wrongly typed notebook parameters. Fields: `names`, `known`."""

    def __init__(
        self, message: str | None = None, *, names: Sequence[str] = (), known: Sequence[str] = ()
    ) -> None:
        super().__init__(message)
        self.names = tuple(names)
        self.known = tuple(known)


class NotebookFailed(NotebookError):
    """A notebook did not run to its end.

    Fields: `cell` (as in "In [3]"), `error_name`, `traceback`; of a run that was recorded also `run_id`,
    `output`, the path of the output notebook, and `html`, where the page is, as the record has it (None where
    there is none).
    """

    def __init__(
        self,
        message: str | None = None,
        *,
        cell: int | None = None,
        error_name: str | None = None,
        traceback: str = "",
        run_id: str | None = None,
        output: Path | None = None,
        html: Path | str | None = None,
    ) -> None:
        super().__init__(message)
        self.cell = cell
        self.error_name = error_name
        self.traceback = traceback
        self.run_id = run_id
        self.output = output
        self.html = html


class ModuleNotPromoted(NotebookError, ModuleNotFoundError):
    """A promoted notebook imports a module of the project that was not promoted with it. Field: `name`."""

    def __init__(self, message: str | None = None, *, name: str | None = None) -> None:
        super().__init__(message)
        self.name = name


class FileNotPromoted(NotebookError, FileNotFoundError):
    """A promoted notebook asks for a file of the project that was not promoted with it."""


class RunError(WorkbenchError):
    """A run record cannot be used."""


class RunFenced(RunError):
    """The run was declared dead: it may write nothing more."""


class SlotTaken(RunError):
    """A live run works on the slot, or has completed it: there is one for each."""


class DeploymentBusy(SlotTaken):
    """Another live run of the deployment is under way, so that the slot is skipped: one runs at a time."""


class SlotRefused(RunError, ValueError):
    """A moment is given as a slot at which the deployment was not due."""


class LockTimeout(WorkbenchError):
    """A resource that a run has to itself was not free in time."""


class EventError(WorkbenchError):
    """An event cannot be published or read."""


class PromotionRefused(WorkbenchError, ValueError):
    """A notebook may not be promoted."""


class GateFailed(PromotionRefused):
    """A notebook does not pass one of the gates of its promotion.

    Attributes
    ----------
    gate : str
        Which one.
    gates : list of dict
        What it and those before it found, as `GateResult.to_json` gives it.
    """

    def __init__(
        self, message: str | None = None, *, gate: str = "", gates: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        super().__init__(message)
        self.gate = gate
        self.gates = list(gates)


class ScheduleRefused(PromotionRefused):
    """A schedule cannot be."""


class NotDeployed(PromotionRefused, KeyError):
    """Nothing is deployed under that name."""


class DemoFailed(WorkbenchError):
    """Something that the demo shows did not happen."""


class WorkbenchWarning(UserWarning):
    """Something is odd, and work goes on."""


class SignalsInGapsWarning(WorkbenchWarning):
    """A signal is set wherever a symbol has no bar. Fields: `role` (as in "exits"), `symbol`."""

    def __init__(self, message: str, *, role: str = "", symbol: str = "") -> None:
        super().__init__(message)
        self.role = role
        self.symbol = symbol


class NoBarsWarning(WorkbenchWarning):
    """A load found no bar of a symbol. Fields: `symbols`, `source`."""

    def __init__(self, message: str, *, symbols: Sequence[str] = (), source: str = "") -> None:
        super().__init__(message)
        self.symbols = tuple(symbols)
        self.source = source
