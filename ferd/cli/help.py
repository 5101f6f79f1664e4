"""Lay out the help of commands for the width of the terminal: examples in two columns, paragraphs wrapped."""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Iterator, Sequence

INDENT = 2
GAP = 2
WIDEST = 120
MAX_LEFT = 0.55
"""Share of the width that the left column may take; a longer example has its meaning on the line below."""


class HelpFormatter(argparse.HelpFormatter):
    """Formats the details of a command (`Command.details`) as well as the options."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(indent + line if line else "" for line in lay_out(text, min(width, WIDEST)))


def lay_out(text: str, width: int) -> Iterator[str]:
    """Yield the lines of a text.

    Lines that begin with two blanks are rows: an example, at least two blanks, its meaning. A line that begins with
    more blanks continues the meaning above. Neighbouring rows share their columns. Other lines are paragraphs, except
    that a line that ends with a colon stands alone.
    """
    rows: list[tuple[str, str]] = []
    words: list[str] = []
    for line in text.splitlines():
        if line.startswith(" " * INDENT):
            yield from _paragraph(words, width)
            words = []
            if rows and line.startswith(" " * 2 * INDENT):
                rows[-1] = (rows[-1][0], f"{rows[-1][1]} {line.strip()}".strip())
            else:
                example, *meaning = re.split(r"\s{2,}", line.strip(), maxsplit=1)
                rows.append((example, "".join(meaning)))
            continue
        yield from _table(rows, width)
        rows = []
        words.append(line)
        if not line or line.endswith(":"):
            yield from _paragraph(words, width)
            words = []
    yield from _table(rows, width)
    yield from _paragraph(words, width)


def _paragraph(lines: Sequence[str], width: int) -> Iterator[str]:
    text = " ".join(line for line in lines if line)
    if text:
        yield from textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    if lines and not lines[-1]:
        yield ""


def _table(rows: Sequence[tuple[str, str]], width: int) -> Iterator[str]:
    limit = int(MAX_LEFT * width)
    left = max((len(example) for example, meaning in rows if meaning and len(example) <= limit), default=0)
    column = INDENT + left + GAP
    for example, meaning in rows:
        lines = textwrap.wrap(meaning, width - column, break_long_words=False, break_on_hyphens=False)
        head = f"{'':{INDENT}}{example}"
        if not lines:
            yield head
        elif len(example) <= left:
            yield f"{head:<{column}}{lines[0]}"
            yield from (f"{'':{column}}{line}" for line in lines[1:])
        else:
            yield head
            yield from (f"{'':{column}}{line}" for line in lines)
