from __future__ import annotations

from collections.abc import Iterator

import pytest
from postgres import Postgres, postgres, why_not


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    with postgres() as server:
        yield server


@pytest.fixture
def database(server: Postgres) -> Postgres:
    """With the schema and no row."""
    server.clear()
    return server
