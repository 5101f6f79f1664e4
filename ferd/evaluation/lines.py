"""Files with one JSON object a line, as they tell of pictures: what can be used, and what is wrong with the rest."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from ferd.errors import FerdError
from ferd.fs import exists, is_file

T = TypeVar("T")


def read_lines(data: Path, problems: list[str], take: Callable[[dict[str, Any]], T]) -> Iterator[tuple[int, T]]:
    """(number, what `take` makes of the line). `take` raises KeyError, TypeError or ValueError with the reason.

    What is wrong with a line is added to the problems; empty lines are nothing.
    """
    try:
        text = data.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise FerdError(f"{data}: cannot be read ({error.strerror})") from None
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            yield number, take(_row(line))
        except json.JSONDecodeError as error:
            problems.append(f"{data}:{number}: is not JSON ({error.msg} at column {error.colno})")
        except KeyError as error:
            problems.append(f"{data}:{number}: has no {error}")
        except (TypeError, ValueError) as error:
            problems.append(f"{data}:{number}: {error}")


def _row(line: str) -> dict[str, Any]:
    row = json.loads(line)
    if not isinstance(row, dict):
        raise TypeError("is not an object in braces")
    return row


def picture_of(data: Path, row: dict[str, Any]) -> Path:
    """The picture that a line names, beside the file."""
    file = row["file"]
    if not isinstance(file, str) or not file or "\0" in file:
        raise TypeError("file must be the name of a picture")
    return data.parent / file


def why_unread(file: Path) -> str:
    """For a picture that could not be read."""
    if is_file(file):
        return f"{file}: does not decode"
    return f"{file}: {'is no file' if exists(file) else 'is not there'}"
