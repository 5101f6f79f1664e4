"""The installer's steps, where an interruption or a second run could leave half of something."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def configuration(tmp_path: Path, ferd: str) -> tuple[int, Path]:
    """Runs that step with a ferd that is this shell script; its exit code, and the settings file."""
    program = tmp_path / "release" / "bin" / "ferd"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(f"#!/bin/sh\n{ferd}\n")
    program.chmod(0o755)
    settings = tmp_path / "etc" / "ferd.toml"
    script = f"""set -euo pipefail
. scripts/lib/setup.sh
. scripts/lib/service.sh
CONFIGURATION={settings} HOME_OF_FERD={tmp_path}
configuration {tmp_path}/release"""
    return subprocess.run(["bash", "-c", script], cwd=ROOT, check=False).returncode, settings


def test_the_settings_file_is_written_whole_or_not_at_all(tmp_path: Path):
    code, settings = configuration(tmp_path, "echo half; exit 1")
    assert code != 0
    assert not settings.exists()
    code, settings = configuration(tmp_path, "echo whole")
    assert code == 0
    assert settings.read_text() == "whole\n"


def test_settings_that_are_there_stay(tmp_path: Path):
    configuration(tmp_path, "echo mine")
    assert configuration(tmp_path, "echo other")[1].read_text() == "mine\n"


def test_what_tells_that_ferd_is_installed_is_written_last():
    """/opt/ferd/venv turns the next run into an upgrade, which does not start what was never started."""
    steps = (ROOT / "scripts" / "install").read_text().splitlines()
    order = [
        next(n for n, line in enumerate(steps) if line.startswith(step))
        for step in ("new_release", "configuration", "system_files", "point_to")
    ]
    assert order == sorted(order)
