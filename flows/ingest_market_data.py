"""The flow that brings bars from a source into the database."""

from __future__ import annotations

import argparse

from prefect import flow, get_run_logger

from workbench import Workbench


@flow(name="ingest-market-data", flow_run_name="{source}")
def ingest_market_data(
    symbols: list[str],
    source: str = "sample",
    start: str | None = None,
    end: str | None = None,
    path: str | None = None,
) -> dict[str, int]:
    """Bring bars of `symbols` in [start, end) from a source into the database.

    Parameters
    ----------
    symbols : list of str
    source : str
        "sample" or "file".
    start, end : str, optional
        As in "2024-01-31", UTC.
    path : str, optional
        The file, for source "file".

    Returns
    -------
    dict
        Rows inserted, updated, unchanged and refused.
    """
    logger = get_run_logger()
    with Workbench() as wb:
        series = wb.ingest(
            symbols,
            source=source,
            start=start,
            end=end,
            path=path,
            progress=lambda one: logger.info(
                "%s from %s: %s, %s refused", one.symbol, one.data_source, one.written, one.refused
            ),
        )
    return {
        "inserted": sum(one.written.inserted for one in series),
        "updated": sum(one.written.updated for one in series),
        "unchanged": sum(one.written.unchanged for one in series),
        "refused": sum(one.refused for one in series),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Ingest bars inside a Prefect flow, in this process.")
    parser.add_argument("symbols", nargs="+")
    parser.add_argument("--source", default="sample")
    parser.add_argument("--path")
    arguments = parser.parse_args()
    ingest_market_data(arguments.symbols, source=arguments.source, path=arguments.path)
