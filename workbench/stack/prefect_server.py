"""Prefect's server behind the guard: `python -m workbench.stack.prefect_server --port PORT`.

Beside `flows/` the only module that imports Prefect. It serves what `prefect server start` serves, with its
services, from this process; settings come by `PREFECT_*` variables.
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
    # The guard alone asks for it: where Prefect knows of it, newer pages have everyone sign in a second time.
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
        # No proxy stands before it: what a client claims of itself is not believed.
        proxy_headers=False,
        server_header=False,
        ws_max_size=_SOCKET_MESSAGE_LIMIT,
        # Without the lines of every request, with those of what goes wrong.
        log_level="warning",
    )


if __name__ == "__main__":
    main()
