"""The supervisor's own process: `python -m workbench.stack`; its log is `<home>/logs/supervisor.log`."""

from __future__ import annotations

import logging
import sys

from workbench.errors import WorkbenchError
from workbench.settings import Settings
from workbench.stack.stack import Stack


def main() -> int:
    """Supervise the stack of this environment; 1 if it could not be started."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        Stack(Settings.load()).supervise(guarded=True, again="--again" in sys.argv[1:])
    except WorkbenchError as error:
        logging.getLogger("workbench.stack").error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
