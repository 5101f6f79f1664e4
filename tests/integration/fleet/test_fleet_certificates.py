"""examples/fleet/certificates.sh: a real ferd and a real mosquitto that wants a client certificate."""

from __future__ import annotations

import getpass
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from brokers import Ear, Mosquitto, free_port, wait_for
from ferd_process import ferd

from ferd.config.fleet import load_fleet

FLEET = Path(__file__).parents[3] / "examples/fleet"
LONG_S = 60.0


def certificates(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [FLEET / "certificates.sh", *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    for arguments in (["authority"], ["broker", "DNS:localhost,IP:127.0.0.1"], ["node", "hall-17", "bus-7"]):
        done = certificates(folder, *arguments)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def broker(folder: Path, tmp_path: Path) -> Iterator[tuple[int, Ear]]:
    """As examples/fleet/mosquitto.conf says, with an access list. Its port, and an ear at a second one."""
    text = (FLEET / "mosquitto.conf").read_text()
    port, ears = free_port(), free_port()
    (tmp_path / "acl").write_text("pattern write ferd/%u/#\npattern read ferd/%u/#\n")
    for old, new in {
        "listener 8883": f"listener {port} 127.0.0.1",
        "/etc/mosquitto/certs": str(folder / "broker"),
        "/etc/mosquitto/ferd-acl": str(tmp_path / "acl"),
        "persistence true": "",
    }.items():
        assert old in text
        text = text.replace(old, new)
    broker = Mosquitto(tmp_path, port, [])
    plain = f"listener {ears} 127.0.0.1\nallow_anonymous true\n"
    broker.rewrite(f"per_listener_settings true\nuser {getpass.getuser()}\nlog_dest none\n{plain}\n{text}")
    broker.start()
    try:
        with Ear(ears) as ear:
            yield port, ear
    finally:
        broker.stop()


def configure(folder: Path, tmp_path: Path, node: str, port: int, credentials: str) -> None:
    """Write the configuration of a node as the example has it, with its credentials beside it."""
    text = load_fleet(FLEET / "fleet.toml").render(node)
    for old, new in {
        '"broker.lan"': '"localhost"',
        "8883": str(port),
        '"usb"': '"demo"',
        '"picamera2"': '"demo"',
    }.items():
        text = text.replace(old, new)
    (tmp_path / "ferd.toml").write_text(text)
    for file in (folder / "credentials" / credentials).iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())


def test_a_ferd_with_its_certificate_is_let_in_under_its_name(
    folder: Path, tmp_path: Path, broker: tuple[int, Ear]
) -> None:
    port, ear = broker
    configure(folder, tmp_path, "hall-17", port, "hall-17")
    with ferd("run", "--config", str(tmp_path / "ferd.toml"), folder=tmp_path) as daemon:
        wait_for(lambda: "online" in ear.payloads("ferd/hall-17/status"), LONG_S, daemon.log)


def test_a_ferd_with_the_certificate_of_another_may_not_write_its_topics(
    folder: Path, tmp_path: Path, broker: tuple[int, Ear]
) -> None:
    port, ear = broker
    configure(folder, tmp_path, "hall-17", port, "bus-7")
    with ferd("run", "--config", str(tmp_path / "ferd.toml"), folder=tmp_path) as daemon:
        wait_for(lambda: "refused" in daemon.log, LONG_S, "it was let in")
    assert ear.payloads("ferd/hall-17/status") == []


def test_a_certificate_of_another_authority_is_refused(folder: Path, tmp_path: Path, broker: tuple[int, Ear]) -> None:
    port, ear = broker
    other = tmp_path / "other"
    other.mkdir()
    assert certificates(other, "authority").returncode == certificates(other, "node", "hall-17").returncode == 0
    (other / "credentials/hall-17/authority.pem").write_bytes((folder / "ca/authority.pem").read_bytes())
    configure(other, tmp_path, "hall-17", port, "hall-17")
    with ferd("run", "--config", str(tmp_path / "ferd.toml"), folder=tmp_path) as daemon:
        wait_for(lambda: "unknown ca" in daemon.log.lower() or "lost" in daemon.log, LONG_S, "it was let in")
    assert ear.payloads("ferd/hall-17/status") == []


def test_keys_are_secret_and_nothing_is_overwritten(folder: Path) -> None:
    for key in (*folder.rglob("*.key"), *folder.rglob("*key.pem")):
        assert key.stat().st_mode & 0o077 == 0
    before = {file: file.read_bytes() for file in folder.rglob("*.pem")}
    for arguments in (["authority"], ["broker", "DNS:localhost"], ["node", "hall-17"]):
        done = certificates(folder, *arguments)
        assert done.returncode == 1
        assert "exists already: remove it to make it again" in done.stderr
    assert {file: file.read_bytes() for file in folder.rglob("*.pem")} == before


def test_wrong_use_is_explained(tmp_path: Path) -> None:
    for arguments, said in (
        ([], "certificates.sh authority"),
        (["broker"], "give the names of the broker"),
        (["broker", "broker.lan"], "give the names of the broker"),
        (["node"], "give the names of the nodes"),
        (["node", "Hall 17"], "1 to 32 of a-z, 0-9 and hyphen"),
        (["node", "hall-17"], "there is no ca/authority.key here"),
    ):
        done = certificates(tmp_path, *arguments)
        assert done.returncode != 0
        assert said in done.stdout + done.stderr
    assert not (tmp_path / "credentials/hall-17").exists()


def test_it_shows_until_when_they_are_valid(folder: Path) -> None:
    shown = certificates(folder, "show").stdout
    assert shown.count("notAfter=") == 4
    assert "credentials/bus-7/mqtt-cert.pem" in shown


def test_the_certificates_are_for_their_purpose_only(folder: Path) -> None:
    """Also under the strict rules that Python 3.13 applies."""
    for file, purpose, good in (
        ("broker/cert.pem", "sslserver", True),
        ("credentials/hall-17/mqtt-cert.pem", "sslclient", True),
        ("credentials/hall-17/mqtt-cert.pem", "sslserver", False),
    ):
        command = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", "ca/authority.pem", file]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) == good, done.stdout + done.stderr
