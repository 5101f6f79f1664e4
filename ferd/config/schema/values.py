"""Types of values that several sections share, and the base of every section."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, ValidationInfo

NAME_PATTERN = r"^[a-z0-9-]{1,32}$"
LINE_PATTERN = r"^\S(.*\S)?$"
LEVELS_PATTERN = r"^[^#+\s]+$"

Name = Annotated[str, Field(pattern=NAME_PATTERN)]
# Strict: `port = true` and `width = "640"` are mistakes and are reported, not converted.
Whole = Annotated[int, Strict()]
Number = Annotated[float, Strict()]
Flag = Annotated[bool, Strict()]


def _relative_to_config(path: Path, info: ValidationInfo) -> Path:
    if "\0" in str(path):
        raise ValueError("a path cannot hold the character NUL")
    folder = info.context and info.context.get("folder")
    return Path(folder) / path if folder and not str(path).startswith("~") else path


File = Annotated[Path, AfterValidator(_relative_to_config)]
"""A path. In a configuration file, a relative path is relative to the folder of that file."""
Fraction = Annotated[Number, Field(ge=0, le=1)]
Seconds = Annotated[Number, Field(ge=0, le=3600)]


class Section(BaseModel):
    """Base of every section: unknown keys are errors, values are frozen, docstrings describe keys."""

    # Without their input: the text of an error that nobody expected must not show a password either.
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True)
