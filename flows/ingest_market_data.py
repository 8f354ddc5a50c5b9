"""The flow that loads bars from a source into the database."""

from __future__ import annotations

import argparse

from prefect import flow, get_run_logger
from prefect.runtime import flow_run

from workbench import Settings, Workbench


def _run_name() -> str:
    return str(flow_run.parameters.get("source") or Settings.load().source)


@flow(name="ingest-market-data", flow_run_name=_run_name)
def ingest_market_data(
    symbols: list[str],
    source: str | None = None,
    start: str | None = None,
    end: str | None = None,
    path: str | None = None,
    interval: str | None = None,
    calendar: str | None = None,
) -> dict[str, int]:
    """Load bars of `symbols` in [start, end) from a source into the database.

    Parameters
    ----------
    symbols : list of str
    source : str, optional
        "sample", "file", "yahoo", "polygon" or "alpaca". Default: the setting `source`, else "sample".
    start, end : str, optional
        As in "2024-01-31", UTC. From a vendor, without `start`: from the last stored bar.
    path : str, optional
        The file, for source "file".
    interval : str, optional
        The length of a vendor's bars: "1d" (default), "1h" and so on.
    calendar : str, optional
        The exchange calendar to check bars against, as "XNYS" or "24/7"; "none" for none. Default:
        the setting `calendar`, else "XNYS" for vendors and the sample, none for a file.

    Returns
    -------
    dict
        Number of rows inserted, updated, unchanged and refused, and of symbols that failed; each failed one
        is in the log, and in `ingestion_status`.
    """
    logger = get_run_logger()
    with Workbench() as wb:
        series = wb.ingest(
            symbols,
            source=source,
            start=start,
            end=end,
            path=path,
            interval=interval,
            calendar=calendar,
            progress=lambda one: (
                logger.error("%s from %s: %s", one.symbol, one.data_source, one.error)
                if one.error
                else logger.info(
                    "%s from %s: %s, %s refused", one.symbol, one.data_source, one.written, one.refused
                )
            ),
            on_wait=logger.info,
        )
    return {
        "inserted": sum(one.written.inserted for one in series),
        "updated": sum(one.written.updated for one in series),
        "unchanged": sum(one.written.unchanged for one in series),
        "refused": sum(one.refused for one in series),
        "failed": sum(bool(one.error) for one in series),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Ingest bars inside a Prefect flow, in this process.")
    parser.add_argument("symbols", nargs="+")
    parser.add_argument("--source")
    parser.add_argument("--path")
    parser.add_argument("--interval")
    parser.add_argument("--calendar")
    arguments = parser.parse_args()
    ingest_market_data(
        arguments.symbols,
        source=arguments.source,
        path=arguments.path,
        interval=arguments.interval,
        calendar=arguments.calendar,
    )
