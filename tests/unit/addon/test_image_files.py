"""What the Dockerfiles copy exists, reaches the builder, and is in the folder that scripts/build-addon makes."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
LET_THROUGH = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
COPIED = sorted(
    {
        source
        for file in ("Dockerfile", "addon/Dockerfile")
        for line in (ROOT / file).read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    }
)


@pytest.mark.parametrize("source", COPIED)
def test_what_is_copied_reaches_the_builder(source: str) -> None:
    assert (ROOT / source).exists()
    assert source in LET_THROUGH
    assert source in (ROOT / "scripts/build-addon").read_text()


def test_nothing_else_reaches_the_builder() -> None:
    assert sorted(LET_THROUGH) == COPIED


def test_the_compose_file_names_the_keys_of_the_configuration() -> None:
    """A misspelt variable would end the container with an error about an unknown key."""
    from ferd.config.messages import field_of

    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    names = [name for name in services["ferd"]["environment"] if name.startswith("FERD_")]
    assert names
    for name in names:
        assert field_of(tuple(name.removeprefix("FERD_").lower().split("__"))) is not None, name
