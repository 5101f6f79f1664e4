import pytest
from pages import page


@pytest.fixture(autouse=True, scope="module")
def _state_folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STATE_DIRECTORY", str(tmp_path_factory.mktemp("state")))
        patch.setattr("ferd.outputs.web.live.TAKES_S", 2.0)
        yield


@pytest.fixture(scope="module")
def shown(_state_folder):
    """One page for the tests of a module."""
    with page(alerts=[{"name": "happy", "label": "happiness", "above": 0.5}]) as running:
        running.wait_online()
        yield running
