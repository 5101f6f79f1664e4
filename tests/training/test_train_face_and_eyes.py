"""What the small trainings say before they need torch: run as a user runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
BOTH = pytest.mark.parametrize("name", ["face", "eyes"])


def run(name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {key: value for key, value in os.environ.items() if key != "FERD_DATA"}
    return subprocess.run(
        [REPO / "scripts" / f"train-{name}", *arguments],
        env={**inherited, "PYTHON": sys.executable, **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@BOTH
def test_missing_data_is_told_by_name_origin_and_remedy(name: str, tmp_path: Path) -> None:
    done = run(name, "--data", str(tmp_path))
    assert done.returncode == 1
    assert f"train-{name}: missing: " in done.stderr
    assert f"{tmp_path / 'faces.jsonl'}: boxes and points" in done.stderr
    assert f"{tmp_path / 'no_faces'}: pictures without a face" in done.stderr
    assert "--data DIR or FERD_DATA" in done.stderr


def test_only_the_missing_file_is_named(tmp_path: Path) -> None:
    for place in ("faces", "no_faces"):
        (tmp_path / place).mkdir()
    (tmp_path / "faces.jsonl").touch()
    done = run("face", FERD_DATA=str(tmp_path))
    assert done.returncode == 1
    assert "face_detection_yunet_2023mar.onnx" in done.stderr
    assert "no_faces" not in done.stderr


@BOTH
def test_help_needs_neither_data_nor_torch(name: str) -> None:
    done = run(name, "--help")
    assert done.returncode == 0
    assert "--fresh" in done.stdout
    assert "two" in done.stdout  # how long it takes on two cores
