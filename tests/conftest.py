from __future__ import annotations

import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# No test is timed: a busy machine would fail it.
settings.register_profile("ferd", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ferd")


@pytest.fixture(autouse=True)
def a_state_folder_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test finds what another one kept, or leaves anything in the home of whoever runs it."""
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setenv("FERD_OWN", "1")  # on a machine with the service, root's commands would change its models
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))


TESTS = Path(__file__).parent


def pytest_configure() -> None:
    # Under nohup SIGHUP is ignored, and every ferd that a test starts would inherit that and never reload.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test by its folder: unit, integration or story; those that start a broker, and a few more, as slow."""
    for item in items:
        folder = item.path.relative_to(TESTS).parts[0]
        item.add_marker({"unit": "unit", "stories": "story"}.get(folder, "integration"))
        if hasattr(item.module, "mosquitto") or item.path.stem in ("test_app", "test_camera_worker", "test_drowsiness"):
            item.add_marker("slow")
