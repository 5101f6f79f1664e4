"""Hold [web]: off by default, and guarded where other machines can reach it."""

import pytest
from pydantic import ValidationError

from ferd.config import Config, WebConfig


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
        ({"url": "ferd.example"}, "not the address of a page"),
        ({"url": "https://me:hush@ferd.example/"}, "not the address of a page"),
        ({"url": "http://ferd.example:70000/"}, "not the address of a page"),
        ({"max_connections": 1}, "greater than or equal to 4"),
    ],
)
def test_wrong_values_are_refused(keys, message):
    with pytest.raises(ValidationError, match=message):
        WebConfig(**keys)


def test_the_address_for_others_is_known_only_where_they_can_reach_the_page(tmp_path, monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "Hall-Pi")
    token = tmp_path / "token"

    def address(**keys):
        return WebConfig(**({"enabled": True, "token_file": token} | keys)).url_for_others

    assert address() is None
    assert address(bind="::1") is None
    assert address(enabled=False, bind="192.0.2.7", url="https://ferd.example/") is None
    assert address(bind="192.0.2.7") == "http://192.0.2.7:8322/"
    assert address(bind="2001:db8::7", port=80) == "http://[2001:db8::7]:80/"
    assert address(bind="0.0.0.0") == address(bind="::") == "http://hall-pi.local:8322/"
    assert address(url="https://ferd.example/hall") == "https://ferd.example/hall"
    monkeypatch.setattr("socket.gethostname", lambda: "pi.example.org")
    assert address(bind="0.0.0.0") == "http://pi.example.org:8322/"
