"""ferd replay --fatigue: measures once a second, alerts, a plot; traces are analysed again."""

import json

import pytest

from ferd.cli.main import main


def trace(tmp_path, closed, name="drive.jsonl", fps=10):
    """A trace of one face whose eyes are read as `closed(t)` says."""
    face = {"track": 1, "box": [200.0, 100.0, 150.0, 150.0], "expression": "neutral", "confidence": 0.9}
    face["scores"] = dict.fromkeys(["anger", "disgust", "fear", "happiness", "sadness", "surprise"], 0.01)
    face["scores"]["neutral"] = 0.94
    lines = []
    for i in range(15 * fps):
        signals = {"eyes_closed": closed(i / fps), "mouth_open": 0.02, "nod": 0.6}
        lines.append({"t": i / fps, "faces": [face | signals], "main": 1, "state": None, "events": [], "alert": None})
    path = tmp_path / name
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


@pytest.fixture
def asleep(tmp_path):
    return trace(tmp_path, lambda t: 0.98 if 5 <= t < 9 else 0.03)


def test_measures_once_a_second_and_the_alerts(asleep, capsys):
    assert main(["replay", str(asleep), "--fatigue"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert sum(line.split()[-1] in {"yes", "not_seen"} for line in out) == 15  # judged, in each second
    printed = [line.split("-- ")[1] for line in out if "--" in line]
    assert printed == ["notice: eyes_closed (fatigue)", "warning: eyes_closed (fatigue)",
                    "alarm: eyes_closed (fatigue)", "over"]  # fmt: skip
    assert out[-1] == "alerts: 1 notice, 1 warning, 1 alarm"


def test_each_line_has_fatigue_and_alert(asleep, capsys):
    assert main(["replay", str(asleep), "--fatigue", "--jsonl"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    at_8 = lines[82]
    assert at_8["fatigue"]["level"] == at_8["alert"]["level"] == "alarm"
    assert at_8["alert"]["active"] == ["fatigue"]
    assert at_8["faces"][0]["eyes_closed"] == 0.98
    assert lines[0]["alert"] is None
    assert [event["event_type"] for line in lines for event in line["events"]].count("alert_began") == 1


def test_without_fatigue_there_are_no_measures(asleep, capsys):
    assert main(["replay", str(asleep), "--jsonl"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert all(line["fatigue"] is None and line["alert"] is None for line in lines)


def test_other_limits_are_tried_on_a_trace(asleep, tmp_path, capsys):
    config = tmp_path / "ferd.toml"
    config.write_text("[fatigue]\neyes_closed_alarm_s = 6.0\n")
    assert main(["replay", str(asleep), "--fatigue", "--config", str(config)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "alerts: 1 notice, 1 warning, 0 alarms"


def test_rules_are_tried_on_a_trace(asleep, tmp_path, capsys):
    config = tmp_path / "ferd.toml"
    config.write_text('[[alerts]]\nname = "calm"\nlabel = "neutral"\nabove = 0.5\nfor_s = 3\n')
    assert main(["replay", str(asleep), "--jsonl", "--config", str(config)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    began = next(line["t"] for line in lines if line["alert"])
    assert began == pytest.approx(3, abs=0.31)  # and what the smoothing takes
    assert lines[-1]["alert"]["reason"] == "neutral"


def test_a_plot_is_drawn(asleep, tmp_path, capsys):
    assert main(["replay", str(asleep), "--plot", str(tmp_path / "drive.png")]) == 0
    assert (tmp_path / "drive.png").read_bytes().startswith(b"\x89PNG")
    assert "alerts: 1 notice" in capsys.readouterr().out


def test_a_plot_that_cannot_be_written_is_reported(asleep, tmp_path, capsys):
    assert main(["replay", str(asleep), "--plot", str(tmp_path / "nowhere" / "drive.png")]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_a_trace_of_an_older_ferd_has_no_eyes(asleep, capsys):
    lines = [json.loads(line) for line in asleep.read_text().splitlines()]
    for line in lines:
        for key in ("eyes_closed", "mouth_open", "nod"):
            del line["faces"][0][key]
    asleep.write_text("\n".join(map(json.dumps, lines)))
    assert main(["replay", str(asleep), "--fatigue"]) == 0
    assert "notice: eyes_not_seen" in capsys.readouterr().out


def test_fatigue_with_a_detector_without_points_is_refused(asleep, tmp_path, capsys):
    config = tmp_path / "ferd.toml"
    config.write_text('[detector]\nkind = "haar"\n')
    assert main(["replay", str(asleep), "--fatigue", "--config", str(config)]) == 78
    assert "where the eyes are" in capsys.readouterr().err


def test_a_label_that_the_model_lacks_is_refused(tmp_path, capsys):
    config = tmp_path / "ferd.toml"
    config.write_text('[[alerts]]\nname = "x"\nlabel = "sadnes"\nabove = 0.5\n')
    assert main(["check", str(config)]) == 78
    assert "Did you mean sadness?" in capsys.readouterr().err
