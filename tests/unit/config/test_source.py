from __future__ import annotations

from pathlib import Path

import pytest

from ferd.config import CameraConfig, Config
from ferd.config.loader import load_config
from ferd.config.source import check_source, login_of
from ferd.errors import ConfigError
from ferd.redaction import redact_value

SECRET = "geheim"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://cam:554", "rtsp://cam:554"),
        ("rtsp://cam:554/1", "rtsp://cam:554/…"),
        ("rtsp://me:geheim@cam:554/1", "rtsp://cam:554/…"),
        ("rtsp://geheim@cam/1", "rtsp://cam/…"),
        ("rtsp://me:ge/h@e:im@cam/1", "rtsp://***"),
        ("rtsp://:geheim@[fe80::1]:554/1", "rtsp://[fe80::1]:554/…"),
        ("http://cam/v?user=me&password=geheim&size=2", "http://cam/…"),
        ("http://cam?geheim", "http://cam/…"),
        ("http://cam/v#geheim", "http://cam/…"),
        ("rtsp://cam/user=admin&password=geheim&channel=1", "rtsp://cam/…"),
        ("rtsp://cam/admin/geheim/ch1", "rtsp://cam/…"),
        ("http://cam/geheim/video.mjpg", "http://cam/…"),
        ("http://cam:80x/geheim", "http://***"),
        ("http://cam;geheim", "http://***"),
        ("rtmp://live/geheim", "rtmp://live/…"),
        (" rtsp://cam/geheim ", "rtsp://cam/…"),
        ("-rtsp://cam/geheim", "***"),
        ("rtsp//me:geheim@cam/1", "***"),
        ("rtsp:/me:geheim@cam/1", "***"),
        ("me:geheim@cam/1", "***"),
        ("http:/cam/v?pw=geheim", "***"),
        ("/home/me@work/clip.mp4", "/home/me@work/clip.mp4"),
        ("clips/film.mp4", "clips/film.mp4"),
        ("usb", "usb"),
    ],
)
def test_what_is_shown_of_a_source(text: str, shown: str) -> None:
    assert redact_value(text) == shown


@pytest.mark.parametrize("password", ["ge@heim", "ge#heim", "ge/heim", "ge?heim", "ge%heim", "ge heim", "geheim@"])
def test_a_raw_character_in_a_password_is_to_be_encoded(password: str) -> None:
    with pytest.raises(ValueError, match=r"write %40 .* source_password_file") as caught:
        check_source(f"rtsp://me:{password}@cam/1")
    assert "heim" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://me:ge%40h%2Fe%23im@cam:554/1",
        "http://me:a:b@cam/",
        "http://cam/a@b/c.mjpg",
        "https://[fe80::1]:8443/x?a=b#c",
        "rtsp://me@cam",
    ],
)
def test_addresses_that_can_be_read_in_one_way_only(url: str) -> None:
    assert check_source(f" {url} ") == url


@pytest.mark.parametrize("url", ["http://cam:99999/", "http://", "rtsp://:554/1", "http://cam:x/"])
def test_no_address(url: str) -> None:
    with pytest.raises(ValueError, match="is not an address"):
        check_source(url)


def test_login() -> None:
    assert login_of("rtsp://me:a%40b@cam/1") == ("me", "a@b")
    assert login_of("rtsp://cam/1") == ("", "")


@pytest.mark.parametrize(
    "line",
    [
        'source = "rtsp//me:geheim@cam/1"',
        'source = "rtsp://me:ge#heim@cam/1"',
        'sourc = "http://cam/?p=geheim"',
        'source = "http://me:geheim@cam/1"\nwidth = "http://me:geheim@cam/1"',
        'source = "http://cam/1"\nsource_password = "geheim"',
        'source = "http://me:geheim@cam/1"\nsource_password_file = "pw"',
    ],
)
def test_no_error_of_a_configuration_shows_a_password(tmp_path: Path, line: str) -> None:
    file = tmp_path / "ferd.toml"
    file.write_text(f"[cameras.desk]\n{line}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert "heim" not in str(caught.value)


def test_a_password_file_needs_an_address_with_a_user() -> None:
    CameraConfig.model_validate({"source": "rtsp://me@cam/1", "source_password_file": "pw"})
    for source in ("rtsp://cam/1", "rtsp://me:geheim@cam/1", "usb"):
        with pytest.raises(ValueError, match="needs the user, and no password"):
            CameraConfig.model_validate({"source": source, "source_password_file": "pw"})


@pytest.mark.parametrize("text", ["16:9", "4:3", " 1.78:1 "])
def test_aspect(text: str) -> None:
    assert CameraConfig.model_validate({"aspect": text}).aspect == text.strip()


@pytest.mark.parametrize("text", ["wide", "16x9", "0:3", "100:1", "1:0", ""])
def test_no_aspect(text: str) -> None:
    with pytest.raises(ValueError, match="such as"):
        CameraConfig.model_validate({"aspect": text})


@pytest.mark.parametrize("text", ["browser", "browser:2"])
def test_the_camera_of_a_browser(text: str) -> None:
    assert check_source(text) == text
    with pytest.raises(ValueError, match="write a number after the colon"):
        check_source("browser:mine")


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"cameras": {"hall": {"source": "browser"}}}, r"cameras\.hall\.source = \"browser\" needs the page"),
        (
            {
                "web": {"enabled": True},
                "cameras": {"hall": {"source": "browser"}, "desk": {"source": "browser"}},
            },
            r'is that of camera hall.*write "browser:2"',
        ),
    ],
)
def test_a_browser_sends_through_the_page_and_for_one_camera(sections: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Config.model_validate(sections)
    cameras = {"hall": {"source": "browser"}, "desk": {"source": "browser:2"}}
    assert Config.model_validate({"web": {"enabled": True}, "cameras": cameras})
