"""Read the names of a model's classes from the forms in which they are exported, and check them.

Nobody agrees on one form: a name a line, numbered from 0 or 1 in front or behind, with bullets or quotes, all in one
line, JSON and Python lists and dictionaries, Keras's class_indices, TensorFlow's label maps (pbtxt), in UTF-8, UTF-16,
UTF-32 or Windows-1252.
"""

from __future__ import annotations

import ast
import codecs
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
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

INVISIBLE = "\u200b\u2060\ufeff"
"""Characters without width at the ends of a label: two labels would look the same."""

_NUMBER_FIRST = re.compile(r"[\[(#]?(\d+)[\])]?(?:\s*(?:[:,;=\t|]|[-=]>|[-\u2013](?=\s))\s*|[.)]\s+|\s+|[-_]|$)(.*)")
_NUMBER_LAST = re.compile(r"(.*?)\s*[:,;=\t|]\s*(\d+)")
_BULLET = re.compile(r"[-*\u2022]\s+(.*)")
_NAMED = re.compile(r"\w+\s*:\s*([\[{].*)", re.DOTALL)
"""A list or dictionary behind its name, as in YAML: "names: [Happy, Sad]"."""
_PBTXT_ITEM = re.compile(r"item\s*\{([^{}]*)\}")
_PBTXT_FIELD = re.compile(r"\b(\w+)\s*:\s*(?:\"([^\"]*)\"|'([^']*)'|(\d+))")
LONGEST_LINE = 2 * MAX_LABEL_LENGTH
"""A longer line holds no label; splitting it could take quadratic time."""


_ENCODING_NAMES = {
    "cp1252": "Windows-1252",
    "latin-1": "Latin-1",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
    "utf-32-le": "UTF-32",
    "utf-32-be": "UTF-32",
}
_SAVE = "save the file as UTF-8 (an editor's Save As has the encoding; or: iconv -f ENCODING -t UTF-8 OLD > NEW)"


def parse_labels(path: Path, classes: int | None = None) -> tuple[str, ...]:
    """Read one label for each class, in the order of the model's outputs.

    Args:
        classes: number of the model's outputs, where it is known; it decides whether an empty line is a class without a
            name, and whether a first line is a heading.

    Raises:
        ModelError: the file holds something else, names a class twice or not at all, or too much.
    """
    text, _ = _decode(path)
    named = _NAMED.fullmatch(text.strip())
    if (text.lstrip()[:1] in ("{", "[") or named) and not _numbered(_rows(text)):
        labels = _from_json(named[1] if named else text, path)
    elif _PBTXT_ITEM.search(text):
        labels = _from_pbtxt(text, path)
    else:
        labels = _from_lines(text, path, classes)
    return check_labels(labels, path)


def check_labels(labels: Sequence[str], source: object) -> tuple[str, ...]:
    """Return the labels, in one Unicode form. Raises ModelError for none, too many, repeated or unprintable ones."""
    if len(labels) > MAX_LABELS:
        raise ModelError(f"{source}: holds {len(labels)} labels; {MAX_LABELS} are supported")
    labels = [unicodedata.normalize("NFC", label.strip().strip(INVISIBLE).strip()) for label in labels]
    for label in labels:
        if UNPRINTABLE.search(label):
            meant = double_encoded(label)
            remedy = "rename the class" if meant is None else f'it is "{meant}", encoded twice: {_SAVE}'
            raise ModelError(
                f"{source}: the label {label[:MAX_LABEL_LENGTH]!r} holds characters that cannot be shown; {remedy}"
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


def double_encoded(label: str) -> str | None:
    """Return what a label is that was encoded as UTF-8, read as Windows-1252 or Latin-1, and encoded again; else None.

    Hardly any other text consists of the bytes of UTF-8: "Müde" became "MÃ¼de".
    """
    meant = label
    for _ in range(3):  # some tools do it more than once
        readings = []
        for encoding in ("cp1252", "latin-1"):
            with suppress(UnicodeError):
                readings.append(meant.encode(encoding).decode("utf-8"))
        if not readings or readings[0] == meant:
            break
        meant = readings[0]
    return None if meant == label else meant


def label_doubts(labels: Sequence[str], file: Path | None) -> list[str]:
    """Return a sentence with its remedy where the letters of the labels may be wrong.

    Args:
        file: where the labels were read; None where that was no text file.
    """
    twice = {label: meant for label in labels if (meant := double_encoded(label)) is not None}
    if twice:
        label, meant = next(iter(twice.items()))
        return [
            f'the label "{label}" seems to be "{meant}", encoded twice. Rename it, --rename "{label}={meant}", or '
            f"{_SAVE}; then add --replace"
        ]
    encoding = None if file is None else encoding_of(file)
    foreign = [label for label in labels if not label.isascii()]
    if file is None or encoding is None or not foreign:
        return []
    return [
        f"{file.name} is not UTF-8. It was read as {encoding}: {', '.join(foreign[:4])}. If that is wrong, {_SAVE}; "
        "then add --replace"
    ]


def encoding_of(file: Path) -> str | None:
    """Return the name of the encoding as which a label file is read; None for UTF-8. Raises ModelError."""
    _, encoding = _decode(file)
    return None if encoding.startswith("utf-8") else _ENCODING_NAMES.get(encoding, encoding.upper())


def check_publishable(labels: Iterable[str], source: object) -> None:
    """Raise ModelError for a label that a subscriber such as Home Assistant could not distinguish from no value."""
    for label in labels:
        if problem := label_problem(label):
            raise ModelError(f'{source}: the class "{label}" {problem}. Give it another name: --rename "{label}=NAME"')


def _decode(path: Path) -> tuple[str, str]:
    """Return the text of a label file, whatever its encoding, and the encoding."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from None
    if len(data) > MAX_FILE_BYTES:
        raise ModelError(f"{path}: is larger than {MAX_FILE_BYTES >> 20} MB, not a file of labels")
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE))
    # Wide text without a mark: every second byte of Latin letters is 0, and other text is no UTF-8.
    zeros = max(data[0::2].count(0), data[1::2].count(0))
    if not wide and (zeros == 0 or (zeros * 3 < len(data) and _is_utf8(data))):
        for encoding in ("utf-8-sig", "cp1252", "latin-1"):
            with suppress(UnicodeDecodeError):
                return data.decode(encoding), encoding
    # With or without a mark: of the readings without control characters the one with most digits and line ends.
    readings = []
    for encoding in ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be"):
        with suppress(UnicodeDecodeError):
            readings.append((data.decode(encoding).removeprefix("\ufeff"), encoding))
    readings = [one for one in readings if not UNPRINTABLE.search(re.sub(r"[\t\r\n]", "", one[0]))]
    if not readings:
        raise ModelError(f"{path}: is not a text file; one label per line is expected")
    return max(readings, key=lambda one: sum(ord(letter) < 128 for letter in one[0]))


def _is_utf8(data: bytes) -> bool:
    with suppress(UnicodeDecodeError):
        data.decode()
        return True
    return False


def _from_json(text: str, path: Path) -> list[str]:
    """Read a list or dictionary of JSON or Python: names, {"0": "Happy"}, {"Happy": 0}, [{"id": 0, "name": "Happy"}].

    It may also stand under a key such as "labels", "classes", "names" or "id2label".
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        try:
            found = ast.literal_eval(text.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            raise ModelError(f"{path}: begins like JSON and is not; one label per line is expected") from None
    for key in ("labels", "classes", "class_names", "names", "id2label", "label2id"):
        if isinstance(found, dict) and isinstance(found.get(key), list | dict):
            found = found[key]
    if isinstance(found, list | tuple) and all(isinstance(label, str) for label in found):
        return [label.strip() for label in found]
    pairs: list[tuple[int, str] | None] = []
    if isinstance(found, list):
        pairs = [_numbered_item(item) for item in found]
    elif isinstance(found, dict):
        pairs = [_numbered_pair(key, value) for key, value in found.items()]
    if pairs and all(pairs):
        return _in_order([pair for pair in pairs if pair], path)
    raise ModelError(f'{path}: a list of labels, {{"0": "Happy"}} or {{"Happy": 0}} is expected in this JSON')


def _numbered_item(item: Any) -> tuple[int, str] | None:
    """Read {"id": 0, "name": "Happy"}."""
    if not isinstance(item, dict):
        return None
    number = next((item[key] for key in ("id", "index", "class") if key in item), None)
    name = next((item[key] for key in ("name", "display_name", "label") if isinstance(item.get(key), str)), None)
    return None if name is None else _numbered_pair(name, number)


def _numbered_pair(key: Any, value: Any) -> tuple[int, str] | None:
    """Read the number and the name of a class, in either order. Keras's imagenet_class_index has a code in front."""
    if isinstance(value, list | tuple) and value and all(isinstance(part, str) for part in value):
        value = value[-1]
    for number, name in ((value, key), (key, value)):
        whole = isinstance(number, float) and number.is_integer()
        known = whole or (isinstance(number, int) and not isinstance(number, bool))
        if isinstance(name, str) and (known or (isinstance(number, str) and re.fullmatch(r"[0-9]{1,6}", number))):
            return int(number), name.strip()
    return None


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
    rows = _rows(text)
    if classes is not None and len(rows) == classes and not all(rows):
        raise ModelError(f"{path}: line {rows.index('') + 1} is empty; write there what the class is called")
    lines = [row for row in rows if row]
    if classes is not None and len(lines) == 1 < classes:
        parts = [part.strip() for part in re.split(r"[,;\t|]", lines[0])]
        lines = parts if len(parts) == classes and all(parts) else lines
    if len(lines) > MAX_LABELS + 2 or max(map(len, lines), default=0) > LONGEST_LINE:
        return lines  # refused as too many or too long
    if len(lines) > 1 and re.fullmatch(r"\w+\s*:", lines[0]) and all(map(_BULLET.fullmatch, lines[1:])):
        del lines[0]  # the name of a list in YAML
    if classes is not None and len(lines) == classes + 1 and _numbered(lines[1:]) and not _numbered(lines):
        del lines[0]  # the heading of a table
    bullets = [found[1] for line in lines if (found := _BULLET.fullmatch(line))]
    return _unquoted(_names(bullets if len(bullets) == len(lines) else lines, path))


def _rows(text: str) -> list[str]:
    """Return the lines without blanks at their ends, and without empty lines at the end."""
    rows = [line.strip() for line in text.splitlines()]
    while rows and not rows[-1]:
        rows.pop()
    return rows


def _unquoted(names: list[str]) -> list[str]:
    """Drop the quotes where all names stand in them."""
    if all(len(name) > 2 and name[0] == name[-1] and name[0] in "\"'" for name in names):
        return [name[1:-1].strip() for name in names]
    return names


def _names(lines: list[str], path: Path) -> list[str]:
    """Return the names in lines, by their numbers where all lines are numbered."""
    pairs = _numbered(lines)
    if pairs is None:
        return lines
    names = [label for _, label in sorted(pairs)]
    if not any(names):
        return [line.rstrip(":,;=. \t") for line in lines]  # the classes are called 0, 1, 2
    if not all(names):
        number = next(number for number, label in pairs if not label)
        raise ModelError(f"{path}: the class {number} has no name; write it behind its number")
    if len(set(names)) < len(names) and all(re.match(r"\d+[\s_-]", line) for line in lines):
        return lines  # "0 fingers", "1 finger", "2 fingers": the numbers belong to the names
    return names


def _numbered(lines: Sequence[str]) -> list[tuple[int, str]] | None:
    """Split lines into (number, label), where all are numbered from 0 or 1 in the same way, in any order; else None."""
    if len(lines) > MAX_LABELS + 2 or max(map(len, lines), default=0) > LONGEST_LINE:
        return None
    for pattern, number, name in ((_NUMBER_FIRST, 1, 2), (_NUMBER_LAST, 2, 1)):
        found = [pattern.fullmatch(line) for line in lines]
        pairs = [(int(match[number][:9]), match[name].strip()) for match in found if match]
        numbers = sorted(number for number, _ in pairs)
        if lines and len(pairs) == len(lines) and numbers in (list(range(len(lines))), list(range(1, len(lines) + 1))):
            return pairs
    return None
