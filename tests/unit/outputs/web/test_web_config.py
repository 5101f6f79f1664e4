"""Hold [web]: off by default, and guarded where other machines can reach it."""

import pytest
from pydantic import ValidationError

from ferd.config import Config
from ferd.config.models import WebConfig


def test_it_is_off_and_on_loopback():
    web = Config().web
    assert (web.enabled, web.bind, web.port, web.local) == (False, "127.0.0.1", 8322, True)


@pytest.mark.parametrize("bind", ["0.0.0.0", "::", "192.0.2.7"])
def test_another_address_demands_a_token(bind, tmp_path):
    with pytest.raises(ValidationError, match="token_file is needed"):
        WebConfig(enabled=True, bind=bind)
    assert not WebConfig(enabled=True, bind=bind, token_file=tmp_path / "token").local
    assert not WebConfig(enabled=True, bind=bind, trusted_proxy="192.0.2.1").local


@pytest.mark.parametrize("bind", ["127.0.0.1", "127.0.0.2", "::1"])
def test_loopback_needs_none(bind):
    assert WebConfig(enabled=True, bind=bind).local


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"bind": "localhost"}, "not an address"),
        ({"allowed_hosts": ["https://ferd.example"]}, "without https://"),
        ({"allowed_hosts": ["ferd.example:443"]}, "without a port"),
        ({"port": 0}, "greater than or equal to 1"),
        ({"max_connections": 1}, "greater than or equal to 4"),
    ],
)
def test_wrong_values_are_refused(keys, message):
    with pytest.raises(ValidationError, match=message):
        WebConfig(**keys)
