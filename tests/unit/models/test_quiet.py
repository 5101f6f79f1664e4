"""The one line of LiteRT is left out, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ferd.models import quiet
from ferd.models.quiet import without_noise

LINE = b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n"


@pytest.fixture(autouse=True)
def unheard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(quiet._state, "heard", False)


def test_only_that_line_is_left_out(capfd: pytest.CaptureFixture[str]) -> None:
    with without_noise():
        os.write(2, b"before\n" + LINE + b"WARNING: after\n")
    assert capfd.readouterr().err == "before\nWARNING: after\n"
    with without_noise():
        os.write(2, LINE)
    assert capfd.readouterr().err == LINE.decode(), "it comes once: the second time stderr is left alone"


def test_an_exception_loses_no_output(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="broken"), without_noise():  # noqa: PT012  # what happens inside is the test
        os.write(2, b"why\n")
        raise ValueError("broken")
    assert capfd.readouterr().err == "why\n"
    os.write(2, b"later\n")
    assert capfd.readouterr().err == "later\n"


def test_no_command_prints_it() -> None:
    done = subprocess.run([sys.executable, "-m", "ferd", "check"], capture_output=True, text=True, check=False)
    assert "INFO" not in done.stderr
    assert done.returncode == 0, done.stderr


def test_with_a_closed_stderr_models_still_load() -> None:
    code = "from ferd.config import Config; from ferd.vision.loader import Models; Models(Config()); print('loaded')"
    command = f'exec {sys.executable} -c "{code}" 2>&-'
    done = subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE, text=True, check=False)
    assert done.stdout == "loaded\n"
