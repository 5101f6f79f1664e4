from __future__ import annotations

import pytest
from brokers import mosquitto


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with mosquitto(tmp_path_factory.mktemp("broker")) as broker:
        yield broker
