"""Whatever the configuration, right or wrong: no command prints a secret that stands in it."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ferd.cli import hints
from ferd.cli.common import set_up_logging
from ferd.cli.main import main
from ferd.config import load_config
from ferd.config.exposure import exposed_secrets
from ferd.errors import ConfigError
from ferd.outputs.mqtt.broker_settings import broker_settings
from ferd.sources.factory import open_source
from ferd.sources.stream import StreamCamera

MARK = "Qq7hushQq7"
SOURCES = (
    "rtsp://me:{}@cam.lan:554/1",
    "rtsp://{}@cam.lan/1",
    "RTSPS://me:{}@[fe80::1]:554/1",
    "http://cam.lan/video?user=me&password={}",
    "http://cam.lan?{}",
    "https://cam.lan/#{}",
    "http://cam.lan/{}/video.mjpg",
    "rtsp://cam.lan/user=me&password={}&channel=1",
    "http://me:a@{}@cam.lan/1",
    "http://me:{}/x@cam.lan/1",
    "http:/me:{}@cam.lan/1",
    "http//me:{}@cam.lan/1",
    "/http://me:{}@cam.lan/1",
    "me:{}@cam.lan",
    "me:{}",
    "usb:{}",
    "cam.lan:554/user=me&password={}",
    "socks5://me:{}@proxy:1080",
    "http://proxy.lan:3128/http://me:{}@cam.lan/1",
    "rtmp://cam.lan/live/{}",
    "ftp://me:{}@cam.lan/film.mp4",
    "auto {}@",
)
HOSTS = (
    "mqtt://me:{}@broker.lan",
    "me:{}@broker.lan",
    "broker.lan/{}",
    "broker.lan?{}",
    "ssl://broker.lan:8883/{}",
    "{} ",
)
USERS = ("me:{}", ":{}", "vhost:me:{}", "https://me:{}@broker.lan", "me/{}", "{}" * 8)
PATHS = ("/mqtt?token={}", "/mqtt/{}", "/{}", "{}", "mqtt?{}", "wss://me:{}@broker.lan/mqtt")
LINES = st.one_of(
    st.sampled_from(SOURCES).map(lambda form: ("cameras.door", f"source = {json.dumps(form)}")),
    st.sampled_from(SOURCES).map(lambda form: ("cameras.door", f"width = {json.dumps(form)}")),
    st.sampled_from(SOURCES).map(lambda form: ("cameras.door", f"{json.dumps(form)} = 1")),
    st.sampled_from(SOURCES).map(lambda form: ("cameras.door", f"source = {form}")),
    st.sampled_from(HOSTS).map(lambda form: ("mqtt", f"host = {json.dumps(form)}")),
    st.sampled_from(HOSTS).map(lambda form: ("mqtt", f'hosts = ["other.lan", {json.dumps(form)}]')),
    st.sampled_from(HOSTS).map(lambda form: ("mqtt", f"hosts = {json.dumps(form)}")),
    st.sampled_from(HOSTS).map(lambda form: ("web", f"allowed_hosts = [{json.dumps(form)}]")),
    st.sampled_from(HOSTS).map(lambda form: ("web", f"bind = {json.dumps(form)}")),
    st.sampled_from(USERS).map(lambda form: ("mqtt", f"username = {json.dumps(form)}")),
    st.sampled_from(USERS).map(lambda form: ("mqtt", f"username = [{json.dumps(form)}]")),
    st.sampled_from(PATHS).map(lambda form: ("mqtt", f'transport = "websockets"\nwebsocket_path = {json.dumps(form)}')),
    st.sampled_from(
        (
            'password = "{}"',
            'passwd = "{}"',
            'password_file = "{}"',
            'password_file = ["{}"]',
            'username = "me"\npassword_file = "{}"',
            'username = "me"\npassword_file = "secret"',
            'username_file = "{}"',
            'username_file = ["{}"]',
            'token = "{}"',
            "password_file = {}",
            "username = me:{}",
        )
    ).map(lambda line: ("mqtt", line)),
    st.sampled_from(('token_file = ["{}"]', 'token = "{}"', 'enabled = true\ntoken_file = "{}"')).map(
        lambda line: ("web", line)
    ),
    st.sampled_from(('source_password_file = ["{}"]', 'source_password = "{}"')).map(
        lambda line: ("cameras.door", line)
    ),
)


def written(folder: Path, section: str, line: str) -> Path:
    (folder / "secret").write_text(f"{MARK}\n")
    file = folder / "ferd.toml"
    file.write_text(f"[{section}]\n{line.replace('{}', MARK)}\n")
    file.chmod(0o644)
    return file


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(LINES)
@example(("mqtt", 'username = "me:{}"'))
def test_nothing_that_is_said_of_a_configuration(tmp_path: Path, change: tuple[str, str]):
    file = written(tmp_path, *change)
    said = []
    try:
        config = load_config(file)
    except ConfigError as error:
        said.append(str(error))
    else:
        said += [repr(config), str(config), *exposed_secrets(config, file)]
        for camera in config.cameras.values():
            with contextlib.suppress(ConfigError):
                source = open_source(camera, live=True)
                said += [source.name, repr(source)]
        try:
            broker = broker_settings(config.mqtt)
        except ConfigError as error:
            said.append(str(error))
        else:
            said += [str(broker), repr(broker), *broker.warnings]
            said.append(hints.subscribe(config.mqtt, file, broker.username))
            said.append(hints.switched_off("door", "hall", config.mqtt, broker.username, None))
    assert said
    assert MARK not in "\n".join(said)


@pytest.mark.parametrize("form", USERS)
def test_the_user_name_is_not_printed_by_check(tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]):
    file = written(tmp_path, "mqtt", f"username = {json.dumps(form)}")
    assert main(["check", str(file)]) == 0
    text = "".join(capsys.readouterr())
    assert "broker    localhost:1883, as " in text
    assert "mqtt.username in" in text  # every user can read the file
    assert MARK not in text


@pytest.mark.parametrize("form", SOURCES)
def test_the_source_of_an_option_is_not_printed(form: str, capsys: pytest.CaptureFixture[str]):
    assert main(["replay", form.format(MARK)]) != 0
    assert MARK not in "".join(capsys.readouterr())


def fail(reason: str) -> None:
    raise OSError(reason)


def test_a_log_line_and_a_traceback_show_no_login(monkeypatch: pytest.MonkeyPatch):
    """Libraries quote the address that they could not open."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    text = io.StringIO()
    monkeypatch.setattr(sys, "stderr", text)
    try:
        set_up_logging(logging.DEBUG)
        try:
            fail(f"cannot open 'rtsp://me:{MARK}@cam.lan/1'")
        except OSError:
            logging.getLogger("av").exception("failed url=http://cam.lan/%s/x", MARK)
    finally:
        root.handlers, root.level = before, level
    assert "cannot open 'rtsp://cam.lan/…'" in text.getvalue()
    assert MARK not in text.getvalue()


def test_an_unexpected_error_of_the_schema_shows_no_value():
    from ferd.config import CameraConfig

    with pytest.raises(ValueError, match="CameraConfig") as caught:
        CameraConfig.model_validate({"source": f"ftp://me:{MARK}@cam.lan/1"})
    assert MARK not in str(caught.value)


def test_the_name_of_a_network_camera():
    for form in SOURCES:
        assert MARK not in StreamCamera(form.format(MARK)).name
