"""The doctor as a whole: the command, its exit codes, and an examination that breaks."""

import json

import pytest

from ferd.cli.doctor import FindingPrinter
from ferd.cli.main import main
from ferd.config import Config
from ferd.diagnostics.examine import examine
from ferd.diagnostics.finding import error, ok, worst


def test_an_examination_that_breaks_is_a_finding_and_the_others_go_on():
    def breaks(_config):
        yield ok("first", "fine")
        raise RuntimeError("oh")

    found = list(examine(Config(), {"a": breaks, "b": lambda _config: [ok("second", "fine")]}))
    assert [(finding.about, finding.verdict) for finding in found] == [
        ("first", "ok"),
        ("a", "error"),
        ("second", "ok"),
    ]
    assert worst(found) == "error"


def test_models_are_loaded_and_timed(capsys):
    assert main(["doctor", "--only", "models", "--json"]) == 0
    found = {finding["about"]: finding for finding in json.loads(capsys.readouterr().out)}
    assert "ms a call" in found["model"]["found"]
    assert "face" in found["detector"]["found"]


def test_exit_code_by_the_worst(tmp_path, capsys, monkeypatch):
    config = tmp_path / "ferd.toml"
    config.write_text('[cameras.desk]\nsource = "/dev/video99"\n')
    assert main(["doctor", "--only", "cameras", "--config", str(config)]) == 1
    assert "Is the camera plugged in?" in capsys.readouterr().out
    config.write_text("[mqtt]\nprot = 1\n")
    assert main(["doctor", "--only", "software", "--config", str(config)]) == 78
    assert "Did you mean" in capsys.readouterr().out
    config.write_text('[expression]\nmodel = "nothing"\n')
    assert main(["doctor", "--only", "models", "--config", str(config)]) == 1


@pytest.mark.parametrize("part", ["heart"])
def test_an_unknown_part(part, capsys):
    assert main(["doctor", "--only", part]) == 2
    assert "known: software, models" in capsys.readouterr().err


def test_a_finding_of_several_lines_stays_in_its_column(capsys):
    show = FindingPrinter(as_json=False)
    show(error("camera", "there is none\npicamera2 is not installed", "plug one in"))
    lines = capsys.readouterr().out.splitlines()
    assert [line.index(word) for line, word in zip(lines, ("there", "picamera2", "->"), strict=True)] == [18, 18, 18]


def test_a_long_name_is_not_glued_to_what_was_found(capsys: pytest.CaptureFixture[str]):
    """Of several brokers each is named with its address."""
    printer = FindingPrinter(as_json=False)
    printer(error("broker 127.0.0.1:18840", "127.0.0.1:18840: Connection refused", "start it"))
    assert "broker 127.0.0.1:18840 127.0.0.1:18840: Connection refused" in capsys.readouterr().out
