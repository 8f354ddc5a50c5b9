"""Prefect's server behind the guard: `python -m workbench.stack.prefect_server --port PORT`.

The only module outside of `flows/` that imports Prefect. It runs in this process what `prefect server start`
runs, with its background services; settings are read from `PREFECT_*` variables.
"""

from __future__ import annotations

import argparse
import os

from workbench.embedded.ports import LOOPBACK
from workbench.stack.gone import end_with_home
from workbench.stack.guard import Guard

__all__ = ["main"]

_AUTH = "PREFECT_SERVER_API_AUTH_STRING"
_SOCKET_MESSAGE_LIMIT = 4_000_000


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="workbench.stack.prefect_server")
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    # Only the guard checks it: if Prefect had it too, its newer pages would ask for a second login.
    auth_string = os.environ.pop(_AUTH, None)
    if not auth_string:
        raise SystemExit(f"{_AUTH} is not set; Prefect's server is not started without a login")

    end_with_home()
    import uvicorn
    from prefect.server.api.server import create_app

    uvicorn.run(
        Guard(create_app(final=True), auth_string=auth_string, port=port),
        host=LOOPBACK,
        port=port,
        timeout_keep_alive=5,
        # There is no proxy in front, so forwarded headers are not trusted.
        proxy_headers=False,
        server_header=False,
        ws_max_size=_SOCKET_MESSAGE_LIMIT,
        # No line per request, only warnings and errors.
        log_level="warning",
    )


if __name__ == "__main__":
    main()
