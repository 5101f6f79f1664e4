"""Read the names of a model's classes from the forms in which they are exported, and check them.

Nobody agrees on one form: a name a line, numbered from 0 or 1 in front or behind, JSON lists and dictionaries, Keras's
class_indices, TensorFlow's label maps (pbtxt), in UTF-8, UTF-16 or Windows-1252.
"""

from __future__ import annotations

import codecs
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ferd.errors import ModelError
from ferd.names import label_problem

UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters, and those that change the direction of writing: they would act on the terminal or page that
shows the label."""

MAX_LABELS = 2000
"""ImageNet has 1,000 classes, and a background."""
MAX_LABEL_LENGTH = 200
MAX_FILE_BYTES = 1 << 20

_NUMBER_FIRST = re.compile(r"(\d+)(?:\s*[:,;=\t]\s*|[.)]\s+|\s+|$)(.*)")
_NUMBER_LAST = re.compile(r"(.*?)\s*[:,;=\t]\s*(\d+)")
_PBTXT_ITEM = re.compile(r"item\s*\{(.*?)\}", re.DOTALL)
_PBTXT_FIELD = re.compile(r"(\w+)\s*:\s*(?:\"([^\"]*)\"|'([^']*)'|(\d+))")


def parse_labels(path: Path, classes: int | None = None) -> tuple[str, ...]:
    """Read one label for each class, in the order of the model's outputs.

    Args:
        classes: number of the model's outputs, where it is known; it decides whether an empty line is a class without a
            name, and whether a first line is a heading.

    Raises:
        ModelError: the file holds something else, names a class twice or not at all, or too much.
    """
    text = _decode(path)
    if text.lstrip()[:1] in ("{", "["):
        labels = _from_json(text, path)
    elif _PBTXT_ITEM.search(text):
        labels = _from_pbtxt(text, path)
    else:
        labels = _from_lines(text, path, classes)
    return check_labels(labels, path)


def check_labels(labels: Sequence[str], source: object) -> tuple[str, ...]:
    """Return the labels. Raises ModelError when there are none or too many, one is repeated or cannot be shown."""
    if len(labels) > MAX_LABELS:
        raise ModelError(f"{source}: holds {len(labels)} labels; {MAX_LABELS} are supported")
    for label in labels:
        if UNPRINTABLE.search(label):
            raise ModelError(
                f"{source}: the label {label[:MAX_LABEL_LENGTH]!r} holds characters that cannot be shown; "
                "rename the class"
            )
        if len(label) > MAX_LABEL_LENGTH:
            raise ModelError(
                f"{source}: the label {label[:20]!r}… has {len(label)} characters; {MAX_LABEL_LENGTH} are supported"
            )
    repeated = [label for label, count in Counter(labels).items() if count > 1]
    if repeated or not labels:
        problem = f"holds {', '.join(sorted(repeated)[:8])} twice" if repeated else "holds no label"
        raise ModelError(f"{source}: {problem}; one distinct label for each class is needed")
    return tuple(labels)


def check_publishable(labels: Iterable[str], source: object) -> None:
    """Raise ModelError for a label that a subscriber such as Home Assistant could not distinguish from no value."""
    for label in labels:
        if problem := label_problem(label):
            raise ModelError(f'{source}: the class "{label}" {problem}. Give it another name: --rename "{label}=NAME"')


def _decode(path: Path) -> str:
    """Return the text of a label file, whatever its encoding."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from None
    if len(data) > MAX_FILE_BYTES:
        raise ModelError(f"{path}: is larger than {MAX_FILE_BYTES >> 20} MB, not a file of labels")
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    # Text that was written without a mark: every second byte of Latin letters is 0.
    little, big = data[1::2].count(0) * 3 > len(data), data[0::2].count(0) * 3 > len(data)
    encodings = ["utf-16" if wide else "utf-16-le" if little else "utf-16-be"] if wide or little or big else []
    for encoding in encodings or ["utf-8-sig", "cp1252", "latin-1"]:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise ModelError(f"{path}: is not a text file; one label per line is expected")


def _from_json(text: str, path: Path) -> list[str]:
    """Read a list, {"0": "Happy"}, {"Happy": 0}, or one of these under "labels", "classes" or "names"."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise ModelError(f"{path}: begins like JSON and is not; one label per line is expected") from None
    for key in ("labels", "classes", "class_names", "names"):
        if isinstance(found, dict) and isinstance(found.get(key), list | dict):
            found = found[key]
    if isinstance(found, list) and all(isinstance(label, str) for label in found):
        return [label.strip() for label in found]
    if isinstance(found, dict) and found:
        pairs = [_numbered_pair(key, value) for key, value in found.items()]
        if all(pairs):
            return _in_order([pair for pair in pairs if pair], path)
    raise ModelError(f'{path}: a list of labels, {{"0": "Happy"}} or {{"Happy": 0}} is expected in this JSON')


def _numbered_pair(key: str, value: Any) -> tuple[int, str] | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value, key.strip()
    return (int(key), value.strip()) if isinstance(value, str) and re.fullmatch(r"\d{1,6}", key) else None


def _from_pbtxt(text: str, path: Path) -> list[str]:
    pairs = []
    for item in _PBTXT_ITEM.findall(text):
        fields = {name: double or single or number for name, double, single, number in _PBTXT_FIELD.findall(item)}
        name = fields.get("display_name") or fields.get("name")
        if not name or not fields.get("id", "").isdigit():
            raise ModelError(f"{path}: an item of this label map lacks its id or name")
        pairs.append((int(fields["id"]), name.strip()))
    return _in_order(pairs, path)


def _in_order(pairs: Sequence[tuple[int, str]], path: Path) -> list[str]:
    """Order (number, label) by number. Raises ModelError unless they count from 0 or 1 without a gap."""
    numbers = sorted(number for number, _ in pairs)
    if numbers not in (list(range(len(pairs))), list(range(1, len(pairs) + 1))):
        raise ModelError(
            f"{path}: its numbers are {', '.join(map(str, numbers[:8]))}…; they must count from 0 or 1 without a gap"
        )
    return [label for _, label in sorted(pairs)]


def _from_lines(text: str, path: Path, classes: int | None) -> list[str]:
    rows = [line.strip() for line in text.splitlines()]
    while rows and not rows[-1]:
        rows.pop()
    if classes is not None and len(rows) == classes and not all(rows):
        raise ModelError(f"{path}: line {rows.index('') + 1} is empty; write there what the class is called")
    lines = [row for row in rows if row]
    if classes is not None and len(lines) == classes + 1 and _numbered(lines[1:]) and not _numbered(lines):
        del lines[0]  # the heading of a table
    pairs = _numbered(lines)
    if pairs is None:
        return lines
    names = [label for _, label in sorted(pairs)]
    if not any(names):
        return [line.rstrip(":,;=. \t") for line in lines]  # the classes are called 0, 1, 2
    if not all(names):
        number = next(number for number, label in pairs if not label)
        raise ModelError(f"{path}: the class {number} has no name; write it behind its number")
    if len(set(names)) < len(names) and all(re.match(r"\d+\s", line) for line in lines):
        return lines  # "0 fingers", "1 finger", "2 fingers": the numbers belong to the names
    return names


def _numbered(lines: Sequence[str]) -> list[tuple[int, str]] | None:
    """Split lines into (number, label), where all are numbered from 0 or 1 in the same way; None otherwise.

    Numbers in front of a label stand in order; behind it, as in a table, they may come in any.
    """
    if not lines:
        return None
    first = [_NUMBER_FIRST.fullmatch(line) for line in lines]
    pairs = [(int(found[1][:9]), found[2].strip()) for found in first if found]
    if len(pairs) == len(lines) and [n for n, _ in pairs] in (list(range(len(lines))), list(range(1, len(lines) + 1))):
        return pairs
    last = [_NUMBER_LAST.fullmatch(line) for line in lines]
    pairs = [(int(found[2][:9]), found[1].strip()) for found in last if found]
    numbers = sorted(number for number, _ in pairs)
    if len(pairs) == len(lines) and numbers in (list(range(len(lines))), list(range(1, len(lines) + 1))):
        return pairs
    return None
