"""ferd buzzer, as users and systemd call it."""

from pathlib import Path

import pytest

from ferd.cli import buzzer as command
from ferd.cli.main import main
from ferd.outputs.buzzer import pin_state as claims
from ferd.outputs.buzzer.output import RECORD_ENV


@pytest.fixture
def record(tmp_path, monkeypatch):
    """What the fake pins did: (what, state) by line."""
    file = tmp_path / "record"
    monkeypatch.setenv(RECORD_ENV, str(file))
    monkeypatch.delenv(claims.FOLDER_ENV, raising=False)
    monkeypatch.setattr(command, "PAUSE_S", 0.0)
    monkeypatch.setattr(command, "ROUNDS_S", 0.0)

    def read():
        return [line.split(" ", 1)[1] for line in file.read_text().splitlines()] if file.exists() else []

    return read


def configured(tmp_path, text):
    file = tmp_path / "ferd.toml"
    file.write_text(text)
    return ["--config", str(file)]


def test_list_says_who_plays_what(capsys, tmp_path):
    text = '[buzzer]\nalarm = "mine"\n[buzzer.patterns]\nmine = [[0.12, 0.12]]\n'
    assert main(["buzzer", "list", *configured(tmp_path, text)]) == 0
    lines = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()}
    assert lines["mine"] == ["alarm", "▄▄··"]
    assert lines["chirp"][0] == "notice"
    assert "alarm" not in lines["urgent"]


def test_test_plays_them_and_says_which(capsys, record):
    assert main(["buzzer", "test", "urgent", "--pin", "18"]) == 0
    assert capsys.readouterr().out.startswith("urgent")
    assert record() == ["sound on", "sound off"] * 3 + ["sound off"]


def test_test_plays_all(capsys, record, tmp_path):
    text = "[buzzer]\npin = 18\n[buzzer.patterns]\n"
    quick = "".join(f"{name} = [[0.01, 0.01]]\n" for name in ("chirp", "double", "urgent", "continuous", "melody"))
    text += quick + 'blind = [[0.01, 0.01, "A5"]]\n'
    assert main(["buzzer", "test", *configured(tmp_path, text)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 6
    assert "sound on 880 Hz" in record()


def test_silence_after_ctrl_c(record, monkeypatch):
    def interrupted(_seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(command.time, "sleep", interrupted)
    assert main(["buzzer", "test", "continuous", "--pin", "18"]) == 130
    assert record() == ["sound on", "sound off", "sound off"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["test"], "--pin N"),
        (["test", "--pin", "99"], "pin = 99"),
        (["test", "nothing", "--pin", "18"], "There are: chirp"),
    ],
)
def test_bad_usage_is_told(capsys, record, arguments, says):
    assert main(["buzzer", *arguments]) == 78
    assert says in capsys.readouterr().err
    assert record() == []


def test_off_without_a_buzzer_is_fine(record):
    assert main(["buzzer", "off"]) == 0
    assert record() == []


def test_off_where_there_are_no_pins_is_fine(capsys, record, tmp_path):
    assert main(["buzzer", "off", *configured(tmp_path, "[buzzer]\npin = 18\n")]) == 0
    assert "nothing to switch off" in capsys.readouterr().out
    assert record() == ["sound off"]


def test_off_takes_what_the_dead_daemon_noted(capsys, record, tmp_path, monkeypatch):
    """The configuration may have been broken since."""
    monkeypatch.setenv(claims.FOLDER_ENV, str(tmp_path))
    claims.note([(21, True), (22, True)])
    assert main(["buzzer", "off", *configured(tmp_path, "[buzzer]\npin = what\n")]) == 0
    assert "GPIO 21, 22" in capsys.readouterr().out
    assert record() == ["sound off"]


def test_off_after_a_service_that_never_came_to_its_pins_says_nothing(capsys, record, tmp_path, monkeypatch):
    monkeypatch.setenv(claims.FOLDER_ENV, str(tmp_path))
    assert main(["buzzer", "off", *configured(tmp_path, "[buzzer]\npin = what\n")]) == 0
    assert capsys.readouterr().err == ""


def test_off_with_a_broken_configuration_says_so(capsys, record, tmp_path):
    assert main(["buzzer", "off", *configured(tmp_path, "[buzzer]\npin = what\n")]) == 78
    assert "is not known" in capsys.readouterr().err


def test_check_says_which_pins_are_used(capsys, tmp_path):
    assert main(["check", configured(tmp_path, "[buzzer]\npin = 18\nbutton = 25\n")[1]]) == 0
    assert "pin on GPIO 18, button on GPIO 25" in capsys.readouterr().out


def test_the_service_calls_it_after_every_end():
    """The minus sign: a service without a buzzer must not fail by it."""
    unit = (Path(__file__).parents[3] / "systemd" / "ferd.service").read_text()
    command = f"test ! -e {claims.FILE} || exec /opt/ferd/venv/bin/ferd buzzer off"
    assert f"\nExecStopPost=-/bin/sh -c '{command}'\n" in unit, "in WorkingDirectory, where the note is"
    assert "\nWorkingDirectory=/run/ferd\n" in unit


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("pin = 1", "greater than or equal to 2"),
        ("pin = 18\nbutton = 18", "pin and button are both on GPIO 18"),
        ('kind = "passive"\nactive_high = false', "docs/buzzer.md"),
        ('alarm = "loud"', 'no pattern is called "loud". There are: chirp'),
        ("[buzzer.patterns]\nx = [[0.1]]", "[seconds on, seconds off]"),
        ('[buzzer.patterns]\nx = [[0.1, 0.1, "H2"]]', "no note"),
        ("[buzzer.patterns]\noff = [[0.1, 0.1]]", "meaning of its own"),
        ("[buzzer.patterns]\nX = [[0.1, 0.1]]", "a-z"),
        ("snooze_s = -1", "for how long"),
        ("pins = 4", "Did you mean pin?"),
    ],
)
def test_a_wrong_section_is_told_with_its_remedy(capsys, tmp_path, text, says):
    assert main(["check", configured(tmp_path, f"[buzzer]\n{text}\n")[1]]) == 78
    error = capsys.readouterr().err
    assert says.lower() in error.lower()
    assert "ferd.toml:" in error
