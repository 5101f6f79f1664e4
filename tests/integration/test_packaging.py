"""The wheel carries the models: what `pip install` brings is enough to run."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ferd import __version__

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_carries_code_models_and_cards(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for name in (
        "ferd/model_files/expression.tflite",
        "ferd/model_files/expression.json",
        "ferd/model_files/expression-ferplus.tflite",
        "ferd/model_files/expression-ferplus.json",
        "ferd/vision/pipeline.py",
        "ferd/py.typed",
        "ferd/units/ferd.service",
    ):
        assert name in names
    assert not [name for name in names if name.startswith(("tests/", "scripts/", "docs/"))]


def test_the_wheel_runs_from_where_it_is_unpacked(wheel, tmp_path):
    """With the dependencies of this environment, but without this checkout."""
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = (
        "import ferd, sys; sys.argv[0] = 'ferd'; from ferd.cli.main import main;"
        f"assert ferd.__file__.startswith({str(tmp_path)!r}), ferd.__file__;"
        "sys.exit(main(['model', 'show', 'expression', '--json']))"
    )
    child = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    assert str(tmp_path / "ferd/model_files/expression.tflite") in child.stdout


def test_the_version_is_written_once():
    assert __version__ in (ROOT / "CHANGELOG.md").read_text()
    assert "version" not in (ROOT / "pyproject.toml").read_text().partition("[project]")[2].partition("dynamic")[0]
