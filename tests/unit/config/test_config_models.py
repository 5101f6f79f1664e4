"""[fatigue] and [[alerts]]: errors come with their remedy; valid rules are parsed."""

import pytest

from ferd.config import check_labels, load_config
from ferd.errors import ConfigError

LABELS = ("anger", "happiness", "sadness", "neutral")


def load(tmp_path, text):
    (tmp_path / "ferd.toml").write_text(text)
    return load_config(tmp_path / "ferd.toml", {})


RULE = '[[alerts]]\nname = "x"\n'
BAD = {
    "no condition": (RULE, "exactly one of these is needed"),
    "no name": ('[[alerts]]\nfaces = "absent"', "alerts.0.name"),
    "two forms": (RULE + 'faces = "absent"\nall = [{faces = "present"}]', "exactly one of these is needed"),
    "no limit": (RULE + 'label = "sadness"', "either above or below"),
    "two limits": (RULE + 'label = "sadness"\nabove = 0.1\nbelow = 0.2', "either above or below"),
    "no label": (RULE + "above = 0.1", "label is missing"),
    "faces and label": (RULE + 'faces = "absent"\nlabel = "sadness"', "faces stands alone"),
    "not a share": (RULE + 'label = "sadness"\nabove = 60', "alerts.0.above = 60"),
    "typing error": (RULE + 'lable = "sadness"', "Did you mean label?"),
    "typing error inside": (RULE + 'all = [{lable = "sadness", above = 0.5}]', "Did you mean label?"),
    "half a condition inside": (RULE + 'any = [{label = "sadness"}]', "either above or below"),
    "level": (RULE + 'faces = "absent"\nlevel = "loud"', "'notice', 'warning' or 'alarm'"),
    "pattern": (RULE + 'faces = "absent"\nbuzzer = "chrip"', 'no pattern is called "chrip"'),
    "twice": ((RULE + 'faces = "absent"\n') * 2, "is used twice"),
    "the same slug": (RULE + 'faces = "absent"\n[[alerts]]\nname = "X"\nfaces = "absent"', "are the same in topics"),
    "reserved": ('[[alerts]]\nname = "Fatigue"\nfaces = "absent"', "are the same in topics"),
    "not a list": ('[alerts]\nname = "x"', "must be a list"),
    "negative": (RULE + 'faces = "absent"\nfor_s = -1', "for_s"),
    "times out of order": ("[fatigue]\neyes_closed_warning_s = 5.0", "must rise in this order"),
    "a blink": ("[fatigue]\neyes_closed_notice_s = 0.2", "eyes_closed_notice_s"),
    "perclos out of order": ("[fatigue]\nperclos_notice = 0.5", "must be above 0 and not above perclos_warning"),
    "unknown gesture": ('[gestures]\nuse = ["wink_lft"]', "wink_left"),
    "no gesture": ("[gestures]\nuse = []", "gestures.use"),
    "a nod that is held": ("[gestures]\nhold_s = {nod = 1.0}", "is a movement and not held"),
    "a wink of two seconds": ("[gestures]\nhold_s = {wink_left = 2.0}", "it ends within 1.5 s"),
    "a blink of no time": ("[gestures]\nhold_s = {double_blink = 0}", "hold_s"),
    "unknown wake": ('[gestures]\nwake = "shout"', "gestures.wake"),
    "a gesture while they are off": (RULE + 'gesture = "nod"', "set enabled = true in [gestures]"),
    "a gesture that is not used": (
        '[gestures]\nenabled = true\nuse = ["shake"]\n' + RULE + 'gesture = "nod"',
        "add it to use in [gestures]",
    ),
    "a gesture and a label": (RULE + 'gesture = "nod"\nlabel = "sadness"\nabove = 0.5', "gesture stands alone"),
    "a gesture for a while": (
        "[gestures]\nenabled = true\n" + RULE + 'gesture = "nod"\nfor_s = 5',
        "a gesture is a moment",
    ),
    "too slow a camera": ("[fatigue]\nenabled = true\n[cameras.cabin]\nfps = 2", "fatigue.allow_low_fps = true"),
    "no switch": ('[fatigue]\nenabled = "on"', "must be true or false"),
}


@pytest.mark.parametrize("name", BAD)
def test_errors_are_reported(tmp_path, name):
    text, message = BAD[name]
    with pytest.raises(ConfigError) as error:
        load(tmp_path, text)
    assert message in str(error.value)
    assert "ferd.toml" in str(error.value)


def test_a_rule_with_one_condition(tmp_path):
    config = load(tmp_path, RULE + 'label = "sadness"\nabove = 0.6\nfor_s = 30\nbuzzer = "chirp"\n')
    (rule,) = config.alerts
    ((condition),) = rule.conditions
    assert (condition.label, condition.above, condition.below, condition.faces) == ("sadness", 0.6, None, None)
    assert rule.level == "notice"
    assert rule.mqtt


def test_rules_combine(tmp_path):
    config = load(tmp_path, RULE + 'all = [{label = "sadness", above = 0.5}, {label = "anger", below = 0.2}]')
    assert [c.label for c in config.alerts[0].conditions] == ["sadness", "anger"]


def test_a_user_defined_pattern_is_accepted(tmp_path):
    load(tmp_path, RULE + 'faces = "absent"\nbuzzer = "morse"\n[buzzer.patterns]\nmorse = [[0.1, 0.1]]')


def test_unknown_labels_are_reported_with_the_nearest(tmp_path):
    config = load(tmp_path, RULE + 'any = [{label = "sadnes", above = 0.5}, {label = "phone", above = 0.5}]')
    with pytest.raises(ConfigError) as error:
        check_labels(config.alerts, LABELS, "expression")
    lines = str(error.value).splitlines()
    assert "unknown label sadnes. Did you mean sadness?" in lines[0]
    assert "unknown label phone. The model expression has: anger, happiness, sadness, neutral" in lines[1]


def test_defaults_are_off():
    config = load_config(None, {})
    assert not config.fatigue.enabled
    assert config.alerts == []


@pytest.mark.parametrize("more", ["allow_low_fps = true", "enabled = false"])
def test_a_slow_camera_is_allowed_explicitly_or_without_fatigue(more, tmp_path):
    text = "[fatigue]\nenabled = true\n" + more if "enabled" not in more else f"[fatigue]\n{more}"
    (tmp_path / "ferd.toml").write_text(f"{text}\n[cameras.cabin]\nfps = 1\n")
    assert load_config(tmp_path / "ferd.toml", {}).cameras["cabin"].fps == 1


def test_fatigue_by_environment():
    assert load_config(None, {"FERD_FATIGUE__ENABLED": "true"}).fatigue.enabled
