"""[web]: off unless asked for, and guarded where others can reach it."""

import pytest
from pydantic import ValidationError

from ferd.config import Config
from ferd.config.web import WebConfig


def test_it_is_off_and_on_loopback():
    web = Config().web
    assert (web.enabled, web.bind, web.port, web.local) == (False, "127.0.0.1", 8322, True)


@pytest.mark.parametrize("bind", ["0.0.0.0", "::", "192.0.2.7"])
def test_another_address_demands_a_token(bind, tmp_path):
    with pytest.raises(ValidationError, match="token_file is needed"):
        WebConfig(enabled=True, bind=bind)
    assert not WebConfig(enabled=True, bind=bind, token_file=tmp_path / "token").local


@pytest.mark.parametrize("bind", ["127.0.0.1", "127.0.0.2", "::1"])
def test_loopback_needs_none(bind):
    assert WebConfig(enabled=True, bind=bind).local


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"bind": "localhost"}, "is no address"),
        ({"allowed_hosts": ["https://ferd.example"]}, "without https://"),
        ({"allowed_hosts": ["ferd.example:443"]}, "without a port"),
        ({"port": 0}, "greater than or equal to 1"),
        ({"max_connections": 1}, "greater than or equal to 4"),
    ],
)
def test_what_is_wrong_is_told(keys, told):
    with pytest.raises(ValidationError, match=told):
        WebConfig(**keys)
