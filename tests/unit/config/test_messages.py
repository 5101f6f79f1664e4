"""Every error of the schema speaks of the file and of what to write, in words of ferd's own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

from ferd.config import Config
from ferd.config.messages import MESSAGE, explain

ODD: tuple[Any, ...] = (
    *(0, -1, 10**9, 1e9, float("nan"), True, None, "", " ", "a b", "\0", "x" * 5000),
    *([], [1], ["", ""], [[]], [[1, 2]], list(range(99)), {}, {"a": 1}, {f"a{n}": {} for n in range(40)}),
)
OF_PYDANTIC = re.compile(r"should (be|have|match)|Dictionary|\bvalid (number|string|integer|list)|instance of")


def fields(model: type[BaseModel], before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key of the schema; sections with names of the user's choice have the name "x"."""
    for name, field in model.model_fields.items():
        here = (*before, name)
        yield here
        named = ("x",) if getattr(field.annotation, "__origin__", None) is dict else ()
        for kind in _kinds(field.annotation):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from fields(kind, here + named)


def _kinds(annotation: Any) -> Iterator[Any]:
    yield annotation
    for inner in get_args(annotation):
        yield from _kinds(inner)


@pytest.mark.parametrize("keys", [pytest.param(keys, id=".".join(keys)) for keys in dict.fromkeys(fields(Config))])
def test_no_odd_value_of_any_key_is_answered_in_words_of_the_library(keys):
    for value in ODD:
        tree: Any = value
        for key in reversed(keys):
            tree = {key: tree}
        try:
            Config.model_validate(tree)
        except ValidationError as error:
            for each in error.errors():
                said = explain(each, "", None, {})
                assert not OF_PYDANTIC.search(said), said
                assert "\n" not in said
                assert len(said) < 4 * MESSAGE, said
