"""`python -m docs.site [FOLDER]`: build the site; any warning of Sphinx is an error."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from sphinx.cmd.build import build_main

from docs.site.commands import command_page
from docs.site.guide import write_guide
from docs.site.pages import write_reference
from docs.site.public import groups
from workbench.paths import PACKAGE

HERE = Path(__file__).parent


def main(folder: Path) -> int:
    """Write the sources to a folder that is thrown away, and build the site of them in `folder`."""
    shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="workbench-docs-") as made:
        source = Path(made, "source")
        source.mkdir()
        found = groups()
        write_guide(source, [f"reference/{group.folder}/index" for group in found])
        write_reference(source / "reference", found)
        (source / "reference" / "commands.md").write_text(command_page(), encoding="utf-8")
        return build(source, folder)


def build(source: Path, folder: Path) -> int:
    """Build the site of `source` in `folder`; 0 where Sphinx had nothing to warn of."""
    trees = source.with_name("trees")
    options = ["-W", "--keep-going", "-q", "-b", "html", "-c", str(HERE), "-d", str(trees)]
    return int(build_main([*options, str(source), str(folder)]))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve() if sys.argv[1:] else PACKAGE.parent / "site"))
