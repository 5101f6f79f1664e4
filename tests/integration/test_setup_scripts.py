"""`scripts/lib/setup.sh`: environments that no longer fit are recognised, with the reason, and rebuilt."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def bash(script: str, **environ: str) -> subprocess.CompletedProcess[str]:
    program = f"set -euo pipefail\n. scripts/lib/setup.sh\n. scripts/lib/service.sh\n{script}"
    environ = {"PATH": "/usr/bin:/bin:/usr/sbin", "FERD_PYTHON": sys.executable, **environ}
    return subprocess.run(
        ["bash", "-c", program], cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=100
    )


def problem_of(venv: Path, **environ: str) -> str:
    found = bash(f"venv_problem '{venv}'", **environ)
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    venv = tmp_path_factory.mktemp("checkout") / ".venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    return venv


@pytest.fixture
def venv(fresh: Path, tmp_path: Path) -> Path:
    """A copy in which every path is right."""
    copy = tmp_path / "checkout" / ".venv"
    shutil.copytree(fresh, copy, symlinks=True)
    pip = copy / "bin/pip"
    pip.write_text(pip.read_text().replace(str(fresh), str(copy)))
    return copy


def test_a_good_environment_is_kept(venv: Path) -> None:
    assert problem_of(venv) == ""
    (venv / "kept").touch()
    assert bash(f"fit_venv '{venv}'").returncode == 0
    assert (venv / "kept").exists()


def test_another_python_since(venv: Path) -> None:
    """An upgrade from Debian 12 to 13: python3 is another version; the packages lie in the old one's folder."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    (venv / "lib" / version).rename(venv / "lib/python3.9")
    (venv / "pyvenv.cfg").write_text("version = 3.9.2\ninclude-system-site-packages = false\n")
    assert problem_of(venv) == f"it was made for Python 3.9, and its interpreter is now {version[6:]}"


def test_a_python_that_is_gone(venv: Path) -> None:
    for link in venv.glob("bin/python*"):
        link.unlink()
    (venv / "bin/python").symlink_to("/nowhere/python3.11")
    assert "is gone" in problem_of(venv)


def test_a_moved_checkout(venv: Path, tmp_path: Path) -> None:
    moved = tmp_path / "renamed checkout"
    venv.parent.rename(moved)
    assert problem_of(moved / ".venv") == f"it was made in {venv} and moved since"


def test_an_interrupted_installation(venv: Path) -> None:
    (venv / ".installing").touch()
    assert problem_of(venv) == "an installation into it was interrupted"


def test_pip_leaves_the_mark_only_when_it_is_killed(venv: Path) -> None:
    pip = venv / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages/pip/__main__.py"
    pip.write_text("import os, signal; os.kill(os.getppid(), signal.SIGKILL)")
    assert bash(f"pip_install '{venv}' x").returncode == -9
    assert problem_of(venv) == "an installation into it was interrupted"
    (venv / ".installing").unlink()
    pip.write_text("raise SystemExit(1)")
    assert bash(f"pip_install '{venv}' x || echo failed").stdout == "failed\n"
    assert not (venv / ".installing").exists()


def test_a_broken_pip(venv: Path) -> None:
    shutil.rmtree(next(venv.glob("lib/python*/site-packages/pip")))
    assert problem_of(venv) == "its pip is missing or broken"


def test_half_an_environment(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    assert problem_of(tmp_path) == "it is incomplete"


def test_picamera2_that_came_later(venv: Path, tmp_path: Path) -> None:
    (tmp_path / "apt/picamera2").mkdir(parents=True)
    (tmp_path / "apt/picamera2/__init__.py").touch()
    python = tmp_path / "python3"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path}/apt exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    assert "picamera2 was installed since" in problem_of(venv, FERD_PYTHON=str(python))
    settings = venv / "pyvenv.cfg"
    settings.write_text(settings.read_text().replace("= false", "= true"))
    assert problem_of(venv, FERD_PYTHON=str(python)) == ""


def test_a_moved_environment_is_rebuilt_and_the_reason_is_printed(venv: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    venv.rename(moved)
    (moved / ".ferd-0000").touch()
    done = bash(f"fit_venv '{moved}'")
    assert f"{moved} is rebuilt: it was made in {venv} and moved since" in done.stderr
    assert problem_of(moved) == ""
    assert not (moved / ".ferd-0000").exists(), "a stamp of the old environment would skip the installation"


def test_without_a_terminal_no_escape_codes_are_printed() -> None:
    assert bash("say hello").stderr == "==> hello\n"


def release(tmp_path: Path, venv: Path, ferd: str) -> Path:
    home = tmp_path / "opt"
    (home / "releases").mkdir(parents=True)
    shutil.copytree(venv, home / "releases/4", symlinks=True)
    pip = home / "releases/4/bin/pip"
    pip.write_text(pip.read_text().replace(str(venv), str(home / "releases/4")))
    (home / "venv").symlink_to("releases/4")
    (home / "venv/bin/ferd").write_text(f"#!/bin/sh\n{ferd}\n")
    (home / "venv/bin/ferd").chmod(0o755)
    return home


def test_the_installer_replaces_a_release_that_cannot_upgrade_itself(venv: Path, tmp_path: Path) -> None:
    home = release(tmp_path, venv, "echo ferd 0.1.0")
    ask = f"HOME_OF_FERD={home}; release_problem; next_release"
    assert bash(ask).stdout.split() == ["5"]
    (home / "venv/bin/ferd").write_text("#!/bin/sh\necho ModuleNotFoundError >&2; exit 1\n")
    assert bash(ask).stdout.splitlines() == ["its ferd does not start", "5"]


def test_the_command_explains_a_changed_python(venv: Path, tmp_path: Path) -> None:
    home, command = release(tmp_path, venv, 'echo "ran $*"'), tmp_path / "bin/ferd"
    assert bash(f"HOME_OF_FERD={home} COMMAND={command}; write_command").returncode == 0
    ran = subprocess.run([command, "a b", "c"], capture_output=True, text=True, check=True)
    assert ran.stdout == "ran a b c\n"
    next(home.glob("venv/lib/python3*")).rename(home / "venv/lib/python3.9")
    ran = subprocess.run([command, "check"], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "sudo ./scripts/install" in ran.stderr
    assert "Traceback" not in ran.stderr
