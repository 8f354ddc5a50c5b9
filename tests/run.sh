#!/bin/sh
# The test command: lint, format check, types, import contracts, then every test; what fails first ends it.
#   sh tests/run.sh            everything
#   sh tests/run.sh lint       no tests
#   sh tests/run.sh unit       unit tests only
set -eu
cd "$(dirname "$0")/.."
what="${1:-all}"

heading() { printf '\n== %s\n' "$1"; }

# Numba keeps on disk what it compiles: here once, beside the checks, so that no worker waits for it.
compile='from workbench.db import wire; from workbench.fills import loop, pairing
loop.compile_all(); pairing.compile_pairing(); wire.compile_all()'
if [ "$what" = all ]; then
  python -c "$compile" & compiling=$!
fi
if [ "$what" = all ] || [ "$what" = lint ]; then
  heading "lint";             ruff check .
  heading "format";           ruff format --check .
  heading "types";            mypy
  heading "import contracts"; lint-imports --no-cache
fi
case "$what" in
  lint) ;;
  unit) heading "unit tests"; exec pytest tests/unit -q -n auto ;;
  all)  heading "tests"
        wait "$compiling"
        # A file stays on one worker, since some share a server that takes long to start; the longest,
        # the acceptance tests, come first.
        exec pytest tests -q -n "${WORKERS:-auto}" --dist loadfile --no-loadscope-reorder --durations 10 ;;
  *)    exec pytest "$@" ;;
esac
