from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferd.redaction import redact_address, redact_text, redact_username, redact_value

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
    assert redact_address(address) == text


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
    assert SECRET not in redact_address(form.format(SECRET))


@given(st.text(alphabet="abc:/@?#[]\\ %=&;.", max_size=30), st.text(alphabet="abc:/@?#.", max_size=20))
def test_a_password_before_the_host_is_never_shown(before: str, after: str):
    text = redact_address(f"mqtt://{before}Zz:Zz{before}@host{after}")
    assert "Z" not in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("auto", "auto"),
        ("usb:1", "usb:1"),
        ("16:9", "16:9"),
        ("clips/film 2.mp4", "clips/film 2.mp4"),
        ("./clips/film.mp4", "./clips/film.mp4"),
        ("~/me@work/film.mp4", "~/me@work/film.mp4"),
        ("/dev/v4l/by-id/usb-046d:0825", "/dev/v4l/by-id/usb-046d:0825"),
        ("admin:hush", "***"),
        ("usb:hush", "***"),
        ("cam.lan:554/user=admin&password=hush", "***"),
        ("cam.lan/x;hush", "***"),
        ("/rtsp://me:hush@cam/1", "***"),
        ("/me:hush@cam/1", "***"),
        ("./rtsp://me:hush@cam/1", "***"),
        ("//me:hush@cam/1", "***"),
        ("~me:hush@cam/1", "***"),
        ("socks5://me:hush@proxy:1080", "socks5://proxy:1080"),
    ],
)
def test_a_value_is_shown_if_it_cannot_hold_a_secret(value: str, text: str):
    assert redact_value(value) == text


def test_a_file_that_exists_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("me@work=1.mp4").touch()
    assert redact_value("me@work=1.mp4") == "me@work=1.mp4"
    assert redact_value("me@work=2.mp4") == "***"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("hall-pi", "hall-pi"),
        ("me@example.org", "me@example.org"),
        ("u:hush", "u:***"),
        ("vhost:u:hush", "vhost:***"),
        (":hush", ":***"),
        ("hush" * 16, "***"),
        ("https://u:hush@host", "https:***"),
        ("u/hush", "***"),
    ],
)
def test_a_user_name(name: str, text: str):
    assert redact_username(name) == text


def test_addresses_in_a_text():
    text = "open 'rtsp://me:hush@cam:554/1': refused, http://127.0.0.1:8322/ is fine (ftp://x?hush)"
    assert redact_text(text) == "open 'rtsp://cam:554/…': refused, http://127.0.0.1:8322/ is fine (ftp://x/…"


NOISE = st.text(alphabet="abz09:/@?#&=;%\\ ._-~[]", max_size=12)


@given(NOISE, st.sampled_from([":", "@", "?", "&", "=", "#", ";", "%", "\\", "//"]), NOISE, NOISE)
def test_no_value_with_a_mark_of_a_login_or_query_is_shown(before: str, mark: str, between: str, after: str):
    """Random values seldom are paths that exist; those may be shown."""
    text = f"{before}{mark}{between}Qq7{after}"
    shown = redact_value(text)
    # What stands between "//" and the first slash behind it is the host, and shown.
    assert "Qq7" not in shown.replace(_host_of(shown), "") or text.startswith(("~", "./", "../"))


def _host_of(shown: str) -> str:
    return shown.partition("://")[2].partition("/")[0] or "\0"
