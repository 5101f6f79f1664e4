"""Hold the replay of the last minutes with other settings, and what is written into ferd.toml."""

import pytest
from brokers import wait_for
from pages import page

from ferd.config import Config
from ferd.errors import FerdError
from ferd.extras import Environment
from ferd.outputs.web.config_edit import edit_config, write_config
from ferd.outputs.web.history import Recorder
from ferd.outputs.web.tuning import apply_settings, replay, summarise
from ferd.sources.demo import DemoScene
from ferd.vision.loader import Models
from ferd.vision.pipeline import Pipeline

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


def test_the_same_settings_give_the_same_labels():
    config = Config.model_validate({"fatigue": {"enabled": True}})
    parts = Models(config)
    pipeline, recorder, demo = Pipeline.of(parts, config, config.cameras["camera"]), Recorder(), DemoScene(fps=5)
    demo.open()
    for _ in range(60):
        recorder.add(pipeline.step(demo.read()))
    frames = recorder.frames()
    assert {frame.label for frame in frames} >= {"neutral", "happiness"}
    assert [f.label for f in replay(frames, recorder.labels, config, 50.0)] == [f.label for f in frames]
    calm = apply_settings(config, {"smoothing": {"min_hold_s": 3.0}})
    assert [f.label for f in replay(frames, recorder.labels, calm, 50.0)] != [f.label for f in frames]
    assert 22 <= len(summarise(frames, recorder.labels)["label"]) <= 25


def test_wrong_settings_are_refused(config):
    for given in (
        {"smoothing": {"on_threshold": 0.1, "off_threshold": 0.5}},
        {"fatigue": {"eyes_closed_alarm_s": 0.1}},
        {"node": {}},
    ):
        with pytest.raises(ValueError, match=r"off_threshold|eyes_closed_alarm_s|node"):
            apply_settings(config, given)


def test_the_file_keeps_its_comments_and_its_mode(file):
    made = edit_config(
        file, {"smoothing": {"time_constant_s": 0.5, "on_threshold": 0.4}, "alerts": [{"name": "happy", "above": 0.7}]}
    )
    assert "-time_constant_s = 0.2   # calm enough" in made.diff
    assert "+time_constant_s = 0.5   # calm enough" in made.diff
    assert "on_threshold" not in made.text, "a default stays one"
    assert file.read_text() == FILE, "nothing is written before it is asked for"
    write_config(made)
    assert file.read_text() == FILE.replace("0.2", "0.5").replace("above = 0.5", "above = 0.7")
    assert file.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in file.parent.iterdir()] == ["ferd.toml"]


def test_the_lines_near_a_change_show_no_password(file):
    """The page shows the difference: a mistyped address or a note must not come along."""
    near = "# the old door: rtsp:/me:hush@cam, password hush2\n"
    file.write_text(FILE.replace("[smoothing]\n", f"{near}[smoothing]\n"))
    made = edit_config(file, {"smoothing": {"time_constant_s": 0.5}})
    assert "hush" not in made.diff
    assert " [smoothing]\n" in made.diff
    write_config(made)
    assert near in file.read_text()


def test_a_file_that_has_changed_is_not_overwritten(file):
    made = edit_config(file, {"smoothing": {"time_constant_s": 0.5}})
    file.write_text(FILE + "# and more\n")
    with pytest.raises(FerdError, match="has changed since"):
        write_config(made)
    assert file.read_text().endswith("# and more\n")


def test_settings_in_use_can_still_be_saved(file):
    """Use comes first, then save: the file is compared with itself, not with what runs."""
    with page(
        file=file, smoothing={"time_constant_s": 0.2}, alerts=[{"name": "happy", "label": "happiness", "above": 0.5}]
    ) as shown:
        given = {"smoothing": {"min_hold_s": 0.7}}
        assert shown.post("/api/tune/use", given).status_code == 202
        wait_for(lambda: shown.get("/api/tune").json()["smoothing"]["min_hold_s"] == 0.7, 10)
        assert shown.get("/api/tune").json()["saved"]["smoothing"]["min_hold_s"] != 0.7
        assert "+min_hold_s = 0.7" in shown.post("/api/tune/diff", given).json()["diff"]
        commands = shown.post("/api/tune/diff", given).json()["commands"]
        assert commands.splitlines()[1] == "sudo systemctl reload ferd"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Environment, "is_image", True)
            assert shown.post("/api/tune/diff", given).json()["commands"] == ""


def test_the_changed_keys_are_listed_for_a_change_by_hand(file, monkeypatch):
    given = {
        "smoothing": {"time_constant_s": 0.5},
        "fatigue": {"eyes_closed_alarm_s": 4.0},
        "alerts": [{"name": "happy", "above": 0.7}],
    }
    made = edit_config(file, given)
    keys = '[smoothing] time_constant_s = 0.5 [fatigue] eyes_closed_alarm_s = 4.0 [[alerts]] name = "happy" above = 0.7'
    assert " ".join(made.lines.split()) == keys
    assert made.writable
    monkeypatch.setattr("os.access", lambda path, _mode: path != file.parent)
    assert not made.writable


def test_a_password_near_the_change_is_not_shown(file):
    file.write_text('[cameras.desk]\nsource = "rtsp://me:s3cr%2Ft@cam/1"\n\n' + FILE)
    made = edit_config(file, {"smoothing": {"time_constant_s": 0.5}, "fatigue": {"eyes_closed_alarm_s": 4.0}})
    assert "s3cr" not in made.diff + made.lines
    assert "s3cr%2Ft@cam" in made.text


def test_a_missing_file_is_reported(file):
    file.unlink()
    with pytest.raises(FerdError, match="cannot be read"):
        edit_config(file, {"smoothing": {"time_constant_s": 0.5}})


def test_a_missing_section_is_added(file):
    assert "[fatigue]\neyes_closed_alarm_s = 4.0" in edit_config(file, {"fatigue": {"eyes_closed_alarm_s": 4.0}}).text


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
