"""What the training says before it needs torch: run as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]


# No test may get past the check of the data: behind it, the script would fetch 2 GB.


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name != "FERD_DATA"}
    return subprocess.run(
        [REPO / "scripts" / "train-expression", *arguments],
        env={**inherited, "PYTHON": sys.executable, **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_missing_data_is_told_by_name_origin_and_remedy(tmp_path: Path) -> None:
    done = run("--data", str(tmp_path))
    assert done.returncode == 1
    assert f"{tmp_path / 'ferplus.webp'}: the FER2013 pictures" in done.stderr
    assert f"{tmp_path / 'ferplus.npz'}: the FER+ votes" in done.stderr
    assert "--data DIR or FERD_DATA" in done.stderr


def test_only_the_missing_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "ferplus.npz").touch()
    done = run(FERD_DATA=str(tmp_path))
    assert done.returncode == 1
    assert "ferplus.webp" in done.stderr
    assert "ferplus.npz" not in done.stderr


def test_check_data_is_content_when_the_files_are_there(tmp_path: Path) -> None:
    (tmp_path / "ferplus.npz").touch()
    (tmp_path / "ferplus.webp").touch()
    assert run("--data", str(tmp_path), "--check-data").returncode == 0


def test_help_needs_neither_data_nor_torch() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert "--fresh" in done.stdout
