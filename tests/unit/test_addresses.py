from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferd.addresses import shown

SECRET = "hush"


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("broker.lan", "broker.lan"),
        ("broker.lan:1883", "broker.lan:1883"),
        ("::1", "::1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("[::1]:1883", "[::1]:1883"),
        ("mqtt://broker:1883", "mqtt://broker:1883"),
        ("https://page.lan/", "https://page.lan"),
        ("mqtt://me:hush@broker:1883/x", "mqtt://broker:1883/…"),
        ("mqtt://me:hu%2Fsh@[::1]:1883", "mqtt://[::1]:1883"),
    ],
)
def test_scheme_host_and_port_are_shown(address: str, text: str):
    assert shown(address) == text


@pytest.mark.parametrize(
    "form",
    [
        "me:{}@broker",
        "{}@broker",
        "mqtt://{}@broker",
        "mqtt://me:{}@broker",
        "mqtt://me:a/{}@broker",
        "mqtt://me:a@{}@broker",
        "mqtt://me:a?{}@broker",
        "mqtt://me:a#{}@broker",
        "mqtt://me:a b{}@broker",
        "mqtt:me:{}@broker",
        "mqtt:/me:{}@broker",
        "//me:{}@broker",
        "broker?password={}",
        "broker/{}",
        "broker/#token={}",
        "https://broker/{}/x",
        "https://broker/?key={}",
        "https://broker;{}",
        "https://broker\\{}",
        "{} ://broker",
        "me:{}",
        "me {} broker",
    ],
)
def test_nothing_else_is(form: str):
    assert SECRET not in shown(form.format(SECRET))


@given(st.text(alphabet="abc:/@?#[]\\ %=&;.", max_size=30), st.text(alphabet="abc:/@?#.", max_size=20))
def test_a_password_before_the_host_is_never_shown(before: str, after: str):
    text = shown(f"mqtt://{before}Zz:Zz{before}@host{after}")
    assert "Z" not in text
