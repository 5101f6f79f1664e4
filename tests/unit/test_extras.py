"""Every way in which ferd can be installed has its own command that adds a package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ferd import extras
from ferd.extras import Environment, how_to_add, how_to_install, installed_extras, requirements_of

MATPLOTLIB = "matplotlib<4,>=3.9"
DECLARED = (
    "numpy<3,>=1.24",
    "matplotlib<4,>=3.9; extra == 'plot'",
    "gpiozero<3,>=2.0.1; extra == 'pi'",
    "lgpio==0.2.2.0; (python_version < '3.13') and extra == 'pi'",
    "old==1; (python_version < '3.0') and extra == 'pi'",
    'ferd[pi,plot]; extra == "all"',
)


def venv(folder: Path, settings: str = "home = /usr/bin\n") -> Environment:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyvenv.cfg").write_text(settings)
    return Environment(folder, Path("/usr"), folder / "lib")


def test_a_virtual_environment(tmp_path: Path) -> None:
    env = venv(tmp_path / "my venv")
    assert how_to_install(MATPLOTLIB, environment=env) == (
        f"'{tmp_path}/my venv/bin/python' -m pip install 'matplotlib<4,>=3.9'"
    )


def test_pipx(tmp_path: Path) -> None:
    env = venv(tmp_path / "ferd")
    (env.prefix / "pipx_metadata.json").touch()
    assert env.install([MATPLOTLIB]) == "pipx inject ferd 'matplotlib<4,>=3.9'"


@pytest.mark.parametrize("settings", ["home = /usr/bin\nuv = 0.5.9\n", "uv=0.5.9"])
def test_an_environment_of_uv_has_no_pip(tmp_path: Path, settings: str) -> None:
    env = venv(tmp_path / "v", settings)
    assert env.install(["a"]) == f"uv pip install --python {tmp_path}/v/bin/python a"


def test_a_tool_of_uv(tmp_path: Path) -> None:
    env = venv(tmp_path / "ferd")
    (env.prefix / "uv-receipt.toml").touch()
    assert env.install(["a"]).startswith("uv pip install --python ")


def test_the_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "SERVICE_HOME", tmp_path)
    env = venv(tmp_path / "releases/1")
    assert env.install([MATPLOTLIB]) == f"sudo {tmp_path}/venv/bin/python -m pip install 'matplotlib<4,>=3.9'"
    (tmp_path / "constraints.txt").write_text("numpy==1.24.2\n")
    assert f"--constraint {tmp_path}/constraints.txt 'matplotlib" in env.install([MATPLOTLIB])


def test_the_python_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "EXTERNALLY-MANAGED").touch()
    env = Environment(Path("/usr"), Path("/usr"), tmp_path)
    assert env.install([MATPLOTLIB, "gpiozero>=2"]) == "sudo apt install python3-matplotlib python3-gpiozero"
    assert "--break-system-packages nobody-packages-it" in env.install(["nobody-packages-it"])


def test_requirements_for_this_python() -> None:
    wanted = ["gpiozero<3,>=2.0.1", *(["lgpio==0.2.2.0"] if sys.version_info < (3, 13) else [])]
    assert list(requirements_of("pi", DECLARED)) == wanted
    assert set(requirements_of("all", DECLARED)) == {*wanted, MATPLOTLIB}
    assert list(requirements_of("other", DECLARED)) == []


def test_a_ferd_without_metadata_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(extras, "_declared", lambda: ())
    assert "pip install 'ferd[plot]'" in how_to_add("plot", venv(tmp_path / "v"))


def test_installed_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "_declared", lambda: ("pytest; extra == 'plot'", "no-such-package; extra == 'demo'"))
    assert installed_extras() == ("plot",)


def test_the_command_for_this_environment_is_understood_by_it() -> None:
    """The environment in which the tests run: its own command, without installing anything."""
    command = how_to_install("pip")
    if " -m pip install " not in command:
        pytest.skip("not an environment with pip")
    subprocess.run(["sh", "-c", f"{command} --dry-run --no-index --quiet"], check=True, capture_output=True)


def test_no_message_of_ferd_names_an_extra_itself() -> None:
    root = Path(extras.__file__).parent
    for file in root.rglob("*.py"):
        if file.name != "extras.py":
            assert "pip install" not in file.read_text(encoding="utf-8"), f"{file}: use ferd.extras.how_to_add"


def test_the_container_image(tmp_path: Path) -> None:
    """It has neither pip nor apt's lists, and what is installed in it is gone with it."""
    env = venv(tmp_path / "python")
    outside = (env.add_camera, env.add_picamera2, env.allow_camera)
    (env.prefix / "ferd-image").touch()
    assert env.install(["a<2", "b"]) == "docker build --build-arg MORE='a<2 b' --tag ferd ."
    inside = (env.add_camera, env.add_picamera2, env.allow_camera)
    assert [text for text in inside if "apt" in text or "sudo" in text] == []
    assert all("sudo" in text for text in outside)
    assert "--device /dev/video0" in inside[0]
