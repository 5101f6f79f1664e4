"""Whose ferd a command concerns: that of the service, of an instance, or the user's own."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from ferd import installation
from ferd.cli import main as cli
from ferd.credentials import INSTANCE_ENV
from ferd.diagnostics import service_files
from ferd.errors import FerdError
from ferd.extras import Environment
from ferd.installation import Installation, concerned

VENV = Environment(Path("/home/me/ferd/.venv"), Path("/usr"), Path("/usr/lib"))
SERVICE = Environment(Path("/opt/ferd/releases/3"), Path("/usr"), Path("/usr/lib"))


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A machine with the service: its unit, its configuration, its state folder."""
    for folder in ("units", "etc/ferd", "var/lib/ferd"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "units/ferd.service").touch()
    (tmp_path / "etc/ferd/ferd.toml").touch()
    (tmp_path / "etc/ferd/desk.toml").touch()
    return tmp_path


def on(machine: Path, config: Path | None = None, *, environment: Environment = VENV, uid: int = 1000) -> Installation:
    return concerned(
        config,
        {},
        units=(machine / "units",),
        system_file=machine / "etc/ferd/ferd.toml",
        state_folders=machine / "var/lib",
        environment=environment,
        uid=uid,
    )


@pytest.mark.parametrize(("environment", "uid"), [(SERVICE, 1000), (SERVICE, 0), (VENV, 0)])
def test_the_command_of_the_service_and_root_concern_the_service(
    machine: Path, environment: Environment, uid: int
) -> None:
    found = on(machine, environment=environment, uid=uid)
    assert found == Installation("ferd.service", machine / "etc/ferd/ferd.toml", machine / "var/lib/ferd")


def test_a_checkout_of_a_user_is_that_user_s_own(machine: Path) -> None:
    found = on(machine)
    assert found.unit is None
    assert found.state == Path(os.environ["XDG_DATA_HOME"]) / "ferd"


def test_a_file_of_an_instance_concerns_that_instance(machine: Path) -> None:
    found = on(machine, machine / "etc/ferd/desk.toml", uid=0)
    assert (found.unit, found.instance, found.state) == ("ferd@desk.service", "desk", machine / "var/lib/ferd-desk")


def test_another_file_of_root_is_no_service(machine: Path) -> None:
    found = on(machine, machine / "my.toml", uid=0)
    assert (found.unit, found.config) == (None, machine / "my.toml")


def test_root_can_leave_the_service_alone(machine: Path) -> None:
    assert concerned(None, {"FERD_OWN": "1"}, units=(machine / "units",), uid=0).unit is None


def test_without_a_service_root_has_a_ferd_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "units").mkdir()
    assert on(tmp_path, uid=0).unit is None


def test_systemd_and_the_user_can_say_where_the_state_is(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(machine / "elsewhere"))
    found = concerned(None, os.environ, units=(machine / "units",), environment=SERVICE, uid=0)
    assert found.explicit
    assert (found.unit, found.state) == (None, machine / "elsewhere")


def test_a_user_without_rights_is_stopped_before_the_work(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(FerdError, match=r"is the service ferd\.service.*sudo ferd model add"):
        on(machine, environment=SERVICE).check_writable("ferd model add")
    on(machine).check_writable("ferd model add")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_wrote_belongs_to_the_service_afterwards(machine: Path, tmp_path: Path) -> None:
    state = machine / "var/lib/private/ferd"
    (state / "models").mkdir(parents=True)
    (machine / "var/lib/ferd").rmdir()
    (machine / "var/lib/ferd").symlink_to("private/ferd")
    (state / "models/mood.tflite").touch()
    (state / "link").symlink_to(tmp_path / "etc/ferd/ferd.toml")
    found = on(machine, uid=0)
    found.hand_over()
    assert (state / "models").stat().st_uid == 0, "systemd does it at the first start"
    os.chown(state, 61234, 61234)
    found.hand_over()
    assert {path.lstat().st_uid for path in state.rglob("*")} == {61234}
    assert (tmp_path / "etc/ferd/ferd.toml").stat().st_uid == 0, "a link does not lead out"
    assert found.user()[0] == 61234


def command(monkeypatch: pytest.MonkeyPatch, found: Installation, *arguments: str) -> int:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setattr(cli, "concerned", lambda config: found)
    for name in ("STATE_DIRECTORY", INSTANCE_ENV):
        monkeypatch.setenv(name, "")  # so that what the command sets is undone
        monkeypatch.delenv(name)
    before = os.umask(0o077)
    try:
        return cli.main(arguments)
    finally:
        os.umask(before)


@pytest.fixture
def zipped(tmp_path: Path) -> Path:
    from ferd.models.registry import shipped_dir

    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "model.tflite").write_bytes((shipped_dir() / "expression.tflite").read_bytes())
    (folder / "labels.txt").write_text("\n".join("abcdefg"))
    return folder


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes what belongs to the service")
def test_root_adds_a_model_to_the_service(
    machine: Path, zipped: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = on(machine, uid=0)
    os.chown(found.state, 61234, 61234)
    assert command(monkeypatch, found, "model", "add", str(zipped), "--name", "mood") == 0
    printed = capsys.readouterr()
    assert f"this concerns ferd.service: {found.config}, state in {found.state}" in printed.err
    assert "sudo systemctl reload ferd.service" in printed.out
    files = [found.state / "models", *(found.state / "models").iterdir(), found.state / "installed-models.json"]
    assert len(files) == 4
    for path in files:
        assert path.stat().st_uid == 61234, path
        assert path.stat().st_mode & stat.S_IROTH, path
    monkeypatch.setattr(service_files, "_reason", lambda file, installation: None)  # pytest's folders are its own
    machine.joinpath("etc/ferd/ferd.toml").write_text('[expression]\nmodel = "mood"\n')
    assert command(monkeypatch, found, "check", str(found.config)) == 0
    assert "for       ferd.service" in capsys.readouterr().out
    assert command(monkeypatch, found, "doctor", "--only", "models", "--config", str(found.config)) == 0


def test_a_user_who_cannot_look_into_the_service_is_pointed_to_root(
    machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = on(machine, environment=SERVICE)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != found.state and access(path, mode))
    assert command(monkeypatch, found, "model", "show", "mood") == 78
    assert "root can: sudo ferd model show" in capsys.readouterr().err
    assert command(monkeypatch, found, "model", "remove", "mood") == 1
    assert "sudo ferd model remove" in capsys.readouterr().err


def test_the_own_models_of_a_user_are_where_they_were(
    zipped: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = Installation(None, None, Path(os.environ["XDG_DATA_HOME"]) / "ferd")
    assert command(monkeypatch, mine, "model", "add", str(zipped), "--name", "mood") == 0
    assert (mine.state / "models/mood.tflite").exists()
    assert "concerns" not in capsys.readouterr().err


def test_the_group_ids_of_missing_groups_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(installation._group_ids("no such group")) == []
