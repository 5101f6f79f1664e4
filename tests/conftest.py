from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

# No test is timed: a busy machine would fail it.
settings.register_profile("ferd", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ferd")


@pytest.fixture(autouse=True)
def a_state_folder_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test finds what another one kept, or leaves anything in the home of whoever runs it."""
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
