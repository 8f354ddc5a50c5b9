"""Parses one user-written SQL statement: its `:parameters`, its first word, and positions in it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from workbench.errors import QueryError

__all__ = ["Statement", "parse"]

# Literals and comments must be parsed to find the rest; an unfinished one extends to the end.
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
    """A statement as written and as sent.

    Attributes
    ----------
    text : str
        As written.
    sent : str
        As sent to PostgreSQL: `$1`, `$2`, … for the parameters, without a semicolon.
    names : tuple of str
        The parameters' names; `$1` is the first.
    first_word : str
        In lower case, without comments and opening brackets: `select`.
    """

    text: str
    sent: str
    names: tuple[str, ...]
    first_word: str
    _pieces: tuple[tuple[int, int], ...]

    def position(self, sent: int) -> int:
        """The position in `text` of the position `sent` in `sent`; both from 0."""
        begin, written = max(piece for piece in self._pieces if piece[0] <= sent)
        return min(written + sent - begin, len(self.text))

    def marked(self, position: int) -> str:
        """The line of `text` at a position, with a caret below that position."""
        start = self.text.rfind("\n", 0, position) + 1
        line = self.text[start:].partition("\n")[0]
        number = self.text.count("\n", 0, start) + 1
        label = f"line {number}: " if "\n" in self.text.strip() else ""
        before = re.sub(r"[^\t]", " ", label + line[: position - start])
        return f"{label}{line.rstrip()}\n{before}^"


def parse(text: str) -> Statement:
    """Parse a statement; no values are inserted into its text.

    `:name` is a parameter, except in literals, quoted names and comments, and directly after a letter, a
    digit or a closing bracket: `'12:30'`, `x::date` and `a[1:n]` have no parameters.

    Raises
    ------
    QueryError
        There is no statement, there are several, or it contains `$1` or a NUL.
    """
    if "\x00" in text:
        raise QueryError("the statement contains a NUL character, which is not allowed in SQL")
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
        raise QueryError("there is no statement; e.g.: SELECT * FROM data_ingestion.ingestion_status")
    return Statement(text, sent + text[copied:end], tuple(names), first_word, tuple(pieces))


def _is_blank(text: str) -> bool:
    """Whether the text has only spaces, comments and semicolons."""
    position = 0
    while position < len(text):
        if text.startswith("--", position):
            # -1, for the last line, becomes the end of the text.
            position = text.find("\n", position) % (len(text) + 1)
        elif text.startswith("/*", position):
            position = _end_of_block(text, position + 2)
        elif text[position].isspace() or text[position] == ";":
            position += 1
        else:
            return False
    return True


def _end_of_block(text: str, position: int) -> int:
    """The end of the comment that began before `position`; comments nest."""
    depth = 1
    for bracket in _BLOCK.finditer(text, position):
        depth += 1 if bracket[0] == "/*" else -1
        if depth == 0:
            return bracket.end()
    return len(text)
