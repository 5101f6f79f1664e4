"""What configuration keys are made of: names, numbers, paths, and the section that holds them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, ValidationInfo

NAME_PATTERN = r"^[a-z0-9-]{1,32}$"

Name = Annotated[str, Field(pattern=NAME_PATTERN)]
# Strict: `port = true` and `width = "640"` are slips of the pen, and are told.
Whole = Annotated[int, Strict()]
Number = Annotated[float, Strict()]
Flag = Annotated[bool, Strict()]


def _beside_the_configuration(path: Path, info: ValidationInfo) -> Path:
    folder = info.context and info.context.get("folder")
    return Path(folder) / path if folder and not str(path).startswith("~") else path


File = Annotated[Path, AfterValidator(_beside_the_configuration)]
"""A path; a relative one in a configuration file counts from that file's folder."""
Fraction = Annotated[Number, Field(ge=0, le=1)]
Seconds = Annotated[Number, Field(ge=0, le=3600)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
