"""One SQL statement as a person wrote it: its `:parameters`, its first word, and where in it something is."""

from __future__ import annotations

import re
from dataclasses import dataclass

from workbench.errors import QueryError

__all__ = ["Statement", "parse"]

# What cannot be told apart without reading literals and comments; an unfinished one reaches to the end.
_TOKENS = re.compile(
    r"""
      (?P<comment> --[^\n]* )
    | (?P<block> /\* )
    | (?P<literal>
        (?<!\w)[eE]'(?:[^'\\]|\\.|'')*(?:'|\Z)
      | '(?:[^']|'')*(?:'|\Z)
      | "(?:[^"]|"")*(?:"|\Z)
      | (?<![\w$])\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z)
      | ::|:=
      )
    | (?P<numbered> (?<![\w$])\$\d+ )
    | (?<![\w\])]):(?P<name>[^\W\d]\w*)
    | (?P<end> ; )
    | (?P<word> [^\W\d]\w* )
    """,
    re.VERBOSE | re.DOTALL,
)
_BLOCK = re.compile(r"/\*|\*/")


@dataclass(frozen=True)
class Statement:
    """A statement, and what is sent for it.

    Attributes
    ----------
    text : str
        As it was written.
    sent : str
        As PostgreSQL gets it: `$1`, `$2`, … for the parameters, without a semicolon.
    names : tuple of str
        The parameters' names; `$1` is the first.
    first_word : str
        In lower case, comments and opening brackets left out: `select`.
    """

    text: str
    sent: str
    names: tuple[str, ...]
    first_word: str
    _pieces: tuple[tuple[int, int], ...]

    def position(self, sent: int) -> int:
        """Where in `text` that is what is at `sent` in `sent`; both count from 0."""
        begin, written = max(piece for piece in self._pieces if piece[0] <= sent)
        return min(written + sent - begin, len(self.text))

    def marked(self, position: int) -> str:
        """The line of `text` at a position, and below it a caret that points there."""
        start = self.text.rfind("\n", 0, position) + 1
        line = self.text[start:].partition("\n")[0]
        number = self.text.count("\n", 0, start) + 1
        label = f"line {number}: " if "\n" in self.text.strip() else ""
        before = re.sub(r"[^\t]", " ", label + line[: position - start])
        return f"{label}{line.rstrip()}\n{before}^"


def parse(text: str) -> Statement:
    """Take a statement apart; nothing is put into its text.

    `:name` is a parameter, but not in literals, quoted names and comments, and not right behind a letter, a
    digit or a closing bracket: `'12:30'`, `x::date` and `a[1:n]` hold none.

    Raises
    ------
    QueryError
        There is no statement, there are several, or it holds `$1` or a NUL.
    """
    if "\x00" in text:
        raise QueryError("the statement holds a NUL character, which no SQL may")
    pieces: list[tuple[int, int]] = [(0, 0)]
    names: list[str] = []
    sent, first_word, copied, position, end = "", "", 0, 0, len(text)
    while (token := _TOKENS.search(text, position)) is not None:
        begin, position = token.span()
        if token["block"]:
            position = _end_of_block(text, position)
        elif token["numbered"]:
            raise QueryError(f"write :name for a parameter, not {token[0]}")
        elif token["word"]:
            first_word = first_word or token[0].lower()
        elif token["end"]:
            if not _is_blank(text[position:]):
                raise QueryError("these are several statements: run them one by one")
            end = begin
            break
        elif name := token["name"]:
            names += [] if name in names else [name]
            sent += text[copied:begin] + f"${names.index(name) + 1}"
            copied = position
            pieces.append((len(sent), position))
    if _is_blank(text[:end]):
        raise QueryError("there is no statement; as in: SELECT * FROM data_ingestion.ingestion_status")
    return Statement(text, sent + text[copied:end], tuple(names), first_word, tuple(pieces))


def _is_blank(text: str) -> bool:
    """Whether there is nothing in it but spaces, comments and semicolons."""
    position = 0
    while position < len(text):
        if text.startswith("--", position):
            # -1, where no other line follows, becomes the end.
            position = text.find("\n", position) % (len(text) + 1)
        elif text.startswith("/*", position):
            position = _end_of_block(text, position + 2)
        elif text[position].isspace() or text[position] == ";":
            position += 1
        else:
            return False
    return True


def _end_of_block(text: str, position: int) -> int:
    """Where the comment ends that began before `position`; comments nest."""
    depth = 1
    for bracket in _BLOCK.finditer(text, position):
        depth += 1 if bracket[0] == "/*" else -1
        if depth == 0:
            return bracket.end()
    return len(text)
