"""Which pins a running ferd drives, noted for `ferd buzzer off` after a crash.

The configuration may have been edited since, or be broken: then it does not say which pin is still sounding.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

FOLDER_ENV = "RUNTIME_DIRECTORY"
"""Set by systemd, which removes the folder when the service has ended (after ExecStopPost)."""
FILE = "buzzer-pins.json"
"""The unit's ExecStopPost looks for it."""

Pins = Sequence[tuple[int, bool]]
"""(GPIO number, active_high) of each output."""


def note(pins: Pins) -> None:
    if file := _file():
        with contextlib.suppress(OSError):  # a note for a bad day; the configuration says the same on most days
            file.write_text(json.dumps(list(pins)), encoding="utf-8")


def clear() -> None:
    if file := _file():
        with contextlib.suppress(OSError):
            file.unlink(missing_ok=True)


def noted() -> Pins | None:
    """What was noted and not cleared; None where nothing (readable) was."""
    file = _file()
    try:
        return [(int(pin), bool(high)) for pin, high in json.loads(file.read_text(encoding="utf-8"))] if file else None
    except (OSError, ValueError, TypeError):
        return None


def has_folder() -> bool:
    """Whether this runs for the service: then what is not noted was not driven."""
    return _file() is not None


def _file() -> Path | None:
    folder = os.environ.get(FOLDER_ENV, "").partition(":")[0]
    return Path(folder) / FILE if folder else None
