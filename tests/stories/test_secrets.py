"""A secret stands nowhere but in its file: not in a log, a topic, an output or the process list."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from brokers import Ear, mosquitto, wait_for
from certificates import Authority
from ferd_process import Ferd, ferd

SECRET = "hush-Kq7-hush"
START_S = 30.0

Trouble = tuple[int, list[str], str]
"""The port, settings of [mqtt], and what the log says."""


def configuration(folder: Path, port: int, *settings: str) -> Path:
    (folder / "secret").write_text(f"{SECRET}\n")
    (folder / "secret").chmod(0o600)
    file = folder / "ferd.toml"
    file.write_text(
        "\n".join(
            [
                f'[node]\nname = "test-pi"\n[mqtt]\nhost = "127.0.0.1"\nport = {port}',
                'username = "ferd"\npassword_file = "secret"',
                *settings,
                '[cameras.desk]\nsource = "demo"',
                "[cameras.hall]",
                f'source = "http://127.0.0.1:9/{SECRET}/video.mjpg"',
                "[cameras.yard]",
                f'source = "rtsp://127.0.0.1:9/user=me&password={SECRET}"',
                "[cameras.door]",
                f'source = "rtsp://me:{SECRET}@127.0.0.1:9/stream?token={SECRET}"\n',
            ]
        )
    )
    return file


def seen_in_the_process_list(daemon: Ferd) -> str:
    process = Path(f"/proc/{daemon.process.pid}")
    return "".join((process / name).read_bytes().decode(errors="replace") for name in ("cmdline", "environ", "comm"))


@contextmanager
def wrong_password(folder: Path) -> Iterator[Trouble]:
    with mosquitto(folder, users={"ferd": "another"}) as broker:
        yield broker.port, [], "refused"


@contextmanager
def wrong_authority(folder: Path) -> Iterator[Trouble]:
    with mosquitto(folder, users={"ferd": SECRET}, tls=Authority(folder).sign("broker")) as broker:
        yield broker.port, ["tls = true", f'ca_file = "{Authority(folder, "other").file}"'], "untrusted"


@contextmanager
def refused_topics(folder: Path) -> Iterator[Trouble]:
    with mosquitto(folder, users={"ferd": SECRET}, acl="user ferd\ntopic ferd/test-pi/status\n") as broker:
        yield broker.port, [], "publish refused"


@contextmanager
def no_broker(folder: Path) -> Iterator[Trouble]:
    with mosquitto(folder, started=False) as broker:
        yield broker.port, ["persist_events = true"], "absent"


@pytest.mark.parametrize("trouble", [wrong_password, wrong_authority, refused_topics, no_broker])
def test_no_trouble_makes_ferd_say_it(tmp_path: Path, trouble: Callable[[Path], AbstractContextManager[Trouble]]):
    with trouble(tmp_path) as (port, settings, word):
        file = configuration(tmp_path, port, *settings)
        with ferd("run", "--verbose", "--config", str(file), folder=tmp_path) as daemon:
            wait_for(lambda: word in daemon.log, START_S, daemon.log)
            wait_for(lambda: "name=door" in daemon.log, START_S, daemon.log)
            listed = seen_in_the_process_list(daemon)
            assert daemon.stop() == 0
    assert SECRET not in daemon.log
    assert SECRET not in listed


def test_no_topic_says_it(tmp_path: Path):
    with mosquitto(tmp_path, users={"ferd": SECRET}) as broker:
        file = configuration(tmp_path, broker.port)
        with Ear(broker.port, username="ferd", password=SECRET) as ear:
            with ferd("run", "--verbose", "--config", str(file), folder=tmp_path) as daemon:
                ear.wait("ferd/test-pi/desk/state", timeout_s=START_S)
                ear.wait("ferd/test-pi/health", timeout_s=START_S)
                ear.say("ferd/test-pi/request/reload", "")
                time.sleep(0.5)
                assert daemon.stop() == 0
            said = str(ear.heard)
    assert "ferd/test-pi/info" in said
    assert SECRET not in said
    assert SECRET not in daemon.log


def test_a_user_name_with_a_password_in_it(tmp_path: Path):
    """An easy mistake: "USER:PASSWORD" as the user name. The broker refuses it."""
    with mosquitto(tmp_path, users={"ferd": SECRET}) as broker:
        file = tmp_path / "ferd.toml"
        file.write_text(
            f'[node]\nname = "test-pi"\n[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\nusername = "ferd:{SECRET}"\n'
            '[cameras.desk]\nsource = "demo"\n'
        )
        texts = []
        for command in (("check", str(file)), ("doctor", "--config", str(file)), ("watch", "--config", str(file))):
            with ferd(*command, folder=tmp_path) as process:
                process.process.wait(120)
            texts.append(process.log)
        with ferd("run", "--verbose", "--config", str(file), folder=tmp_path) as daemon:
            wait_for(lambda: "refused" in daemon.log, START_S, daemon.log)
            assert daemon.stop() == 0
        texts.append(daemon.log)
    assert "as ferd:*** without a password" in texts[0]
    assert "mqtt.username has a colon" in texts[0]
    assert "refuses the login" in texts[1]
    assert SECRET not in "".join(texts)


@pytest.mark.parametrize(
    "command",
    [
        ("check", "ferd.toml"),
        ("doctor", "--config", "ferd.toml"),
        ("config", "default"),
        ("config", "schema"),
        ("cameras",),
        ("watch", "--config", "ferd.toml"),
        ("replay", f"rtsp://me:{SECRET}@127.0.0.1:9/"),
    ],
)
def test_no_command_prints_it(tmp_path: Path, command: tuple[str, ...]):
    configuration(tmp_path, 1)
    with ferd(*command, folder=tmp_path, environ={"FERD_MQTT__USERNAME": "ferd"}) as process:
        process.process.wait(60)
    assert process.log
    assert SECRET not in process.log


@pytest.mark.parametrize(
    "line",
    [
        f'[mqtt]\npassword = "{SECRET}"',
        f'[mqtt]\npass = "{SECRET}"',
        f'[mqtt]\nhost = "mqtt://ferd:{SECRET}@broker"',
        f'[mqtt]\nhost = "ferd:{SECRET}@broker/"',
        f'[mqtt]\npassword_file = ["{SECRET}"]',
        f'[cameras.desk]\nsource = "ftp://me:{SECRET}@host/film"',
        f"[mqtt]\npassword_file = {SECRET}",
        f'[mqtt]\nusername = "ferd"\npassword_file = "{SECRET}"',
        f'[mqtt]\nusername = "ferd"\npassword_file = "a/{SECRET}"',
        f'[mqtt]\nusername = "ferd"\npassword_file = "{SECRET}/a"',
    ],
)
def test_a_secret_at_the_wrong_place_is_told_without_it(tmp_path: Path, line: str):
    file = tmp_path / "ferd.toml"
    file.write_text(line + "\n")
    with ferd("check", str(file), folder=tmp_path) as process:
        assert process.process.wait(60) == 78
    assert "ferd.toml" in process.log or "mqtt.password_file: " in process.log
    assert SECRET not in process.log


def test_a_secret_in_the_environment_is_told_without_it(tmp_path: Path):
    with ferd("check", folder=tmp_path, environ={"FERD_MQTT__PASSWORD": SECRET}) as process:
        assert process.process.wait(60) == 78
    assert "environment FERD_MQTT__PASSWORD" in process.log
    assert SECRET not in process.log
