"""Other settings on the last minutes: the same settings tell the same; and what is written into the file."""

import pytest
from brokers import wait_for
from pages import page

from ferd.config import Config
from ferd.errors import FerdError
from ferd.outputs.web.recorder import Recorder
from ferd.outputs.web.save import change, write
from ferd.outputs.web.tune import changed, replayed, strip
from ferd.sources.demo import DemoScene
from ferd.vision.pipeline import Models

FILE = """\
# the car's own
[smoothing]
time_constant_s = 0.2   # calm enough

[[alerts]]
name = "happy"  # for a smile
label = "happiness"
above = 0.5
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "ferd.toml"
    path.write_text(FILE)
    path.chmod(0o640)
    return path


@pytest.fixture
def config(file):
    from ferd.config import load_config

    return load_config(file)


def test_the_same_settings_tell_the_same():
    config = Config.model_validate({"fatigue": {"enabled": True}})
    parts = Models(config)
    pipeline, recorder, demo = parts.pipeline(config.cameras["camera"]), Recorder(), DemoScene(fps=5)
    demo.open()
    for _ in range(60):
        recorder.add(pipeline.step(demo.read()))
    moments = recorder.moments()
    assert {moment.told for moment in moments} >= {"neutral", "happiness"}
    assert [m.told for m in replayed(moments, recorder.labels, config, 50.0)] == [m.told for m in moments]
    calm = changed(config, {"smoothing": {"min_hold_s": 3.0}})
    assert [m.told for m in replayed(moments, recorder.labels, calm, 50.0)] != [m.told for m in moments]
    assert 22 <= len(strip(moments, recorder.labels)["label"]) <= 25


def test_what_is_wrong_changes_nothing(config):
    for given in (
        {"smoothing": {"on_threshold": 0.1, "off_threshold": 0.5}},
        {"fatigue": {"eyes_closed_alarm_s": 0.1}},
        {"node": {}},
    ):
        with pytest.raises(ValueError, match=r"off_threshold|eyes_closed_alarm_s|node"):
            changed(config, given)


def test_the_file_keeps_its_comments_and_its_mode(file):
    made = change(
        file, {"smoothing": {"time_constant_s": 0.5, "on_threshold": 0.4}, "alerts": [{"name": "happy", "above": 0.7}]}
    )
    assert "-time_constant_s = 0.2   # calm enough" in made.diff
    assert "+time_constant_s = 0.5   # calm enough" in made.diff
    assert "on_threshold" not in made.text, "a default stays one"
    assert file.read_text() == FILE, "nothing is written before it is asked for"
    write(made)
    assert file.read_text() == FILE.replace("0.2", "0.5").replace("above = 0.5", "above = 0.7")
    assert file.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in file.parent.iterdir()] == ["ferd.toml"]


def test_a_file_that_changed_meanwhile_is_not_overwritten(file):
    made = change(file, {"smoothing": {"time_constant_s": 0.5}})
    file.write_text(FILE + "# and more\n")
    with pytest.raises(FerdError, match="changed meanwhile"):
        write(made)
    assert file.read_text().endswith("# and more\n")


def test_what_is_in_use_already_can_still_be_saved(file):
    """Use comes first, then save: the file is compared with itself, not with what runs."""
    with page(
        file=file, smoothing={"time_constant_s": 0.2}, alerts=[{"name": "happy", "label": "happiness", "above": 0.5}]
    ) as shown:
        given = {"smoothing": {"min_hold_s": 0.7}}
        assert shown.post("/api/tune/use", given).status_code == 202
        wait_for(lambda: shown.get("/api/tune").json()["smoothing"]["min_hold_s"] == 0.7, 10)
        assert shown.get("/api/tune").json()["saved"]["smoothing"]["min_hold_s"] != 0.7
        assert "+min_hold_s = 0.7" in shown.post("/api/tune/diff", given).json()["diff"]


def test_for_a_change_by_hand_the_keys_stand_alone(file, monkeypatch):
    given = {
        "smoothing": {"time_constant_s": 0.5},
        "fatigue": {"eyes_closed_alarm_s": 4.0},
        "alerts": [{"name": "happy", "above": 0.7}],
    }
    made = change(file, given)
    keys = '[smoothing] time_constant_s = 0.5 [fatigue] eyes_closed_alarm_s = 4.0 [[alerts]] name = "happy" above = 0.7'
    assert " ".join(made.lines.split()) == keys
    assert made.writable
    monkeypatch.setattr("os.access", lambda path, _mode: path != file.parent)
    assert not made.writable


def test_a_password_near_the_change_is_not_shown(file):
    file.write_text('[cameras.desk]\nsource = "rtsp://me:s3cr/t@cam/1"\n\n' + FILE)
    made = change(file, {"smoothing": {"time_constant_s": 0.5}, "fatigue": {"eyes_closed_alarm_s": 4.0}})
    assert "s3cr" not in made.diff + made.lines
    assert "s3cr/t@cam" in made.text


def test_a_file_that_is_no_more_is_told(file):
    file.unlink()
    with pytest.raises(FerdError, match="cannot be read"):
        change(file, {"smoothing": {"time_constant_s": 0.5}})


def test_a_section_that_was_not_there_comes(file):
    assert "[fatigue]\neyes_closed_alarm_s = 4.0" in change(file, {"fatigue": {"eyes_closed_alarm_s": 4.0}}).text


def test_saved_through_the_page(file):
    """Shown, written, in use; and a save without having seen the difference is refused."""
    with page(
        file=file, smoothing={"time_constant_s": 0.2}, alerts=[{"name": "happy", "label": "happiness", "above": 0.5}]
    ) as shown:
        given = {"smoothing": {"time_constant_s": 0.6}}
        shown_diff = shown.post("/api/tune/diff", given).json()
        assert "+time_constant_s = 0.6" in shown_diff["diff"]
        assert shown.post("/api/tune/save", given).status_code == 409
        assert shown.post("/api/tune/save", {**given, "base": shown_diff["base"]}).status_code == 200
        assert "time_constant_s = 0.6   # calm enough" in file.read_text()
