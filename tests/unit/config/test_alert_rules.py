"""[fatigue] and [[alerts]]: what is wrong is told with its remedy; what is right is understood."""

import pytest

from ferd.config import load_config
from ferd.config.alerts import check_labels
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
    "twice": ((RULE + 'faces = "absent"\n') * 2, "stands there twice"),
    "the same slug": (RULE + 'faces = "absent"\n[[alerts]]\nname = "X"\nfaces = "absent"', "are the same in topics"),
    "reserved": ('[[alerts]]\nname = "Fatigue"\nfaces = "absent"', "are the same in topics"),
    "not a list": ('[alerts]\nname = "x"', "must be a list"),
    "negative": (RULE + 'faces = "absent"\nfor_s = -1', "for_s"),
    "times out of order": ("[fatigue]\neyes_closed_warning_s = 5.0", "must rise in this order"),
    "a blink": ("[fatigue]\neyes_closed_notice_s = 0.2", "eyes_closed_notice_s"),
    "perclos out of order": ("[fatigue]\nperclos_notice = 0.5", "must be above 0 and not above perclos_warning"),
    "no switch": ('[fatigue]\nenabled = "on"', "must be true or false"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_told(tmp_path, name):
    text, told = BAD[name]
    with pytest.raises(ConfigError) as error:
        load(tmp_path, text)
    assert told in str(error.value)
    assert "ferd.toml" in str(error.value)


def test_a_rule_says_what_it_asks_for(tmp_path):
    config = load(tmp_path, RULE + 'label = "sadness"\nabove = 0.6\nfor_s = 30\nbuzzer = "chirp"\n')
    (rule,) = config.alerts
    ((condition),) = rule.conditions
    assert (condition.label, condition.above, condition.below, condition.faces) == ("sadness", 0.6, None, None)
    assert rule.level == "notice"
    assert rule.mqtt


def test_rules_combine(tmp_path):
    config = load(tmp_path, RULE + 'all = [{label = "sadness", above = 0.5}, {label = "anger", below = 0.2}]')
    assert [c.label for c in config.alerts[0].conditions] == ["sadness", "anger"]


def test_a_pattern_of_ones_own_is_known(tmp_path):
    load(tmp_path, RULE + 'faces = "absent"\nbuzzer = "morse"\n[buzzer.patterns]\nmorse = [[0.1, 0.1]]')


def test_labels_that_the_model_lacks_are_told_with_the_nearest(tmp_path):
    config = load(tmp_path, RULE + 'any = [{label = "sadnes", above = 0.5}, {label = "phone", above = 0.5}]')
    with pytest.raises(ConfigError) as error:
        check_labels(config.alerts, LABELS, "expression")
    told = str(error.value).splitlines()
    assert "unknown label sadnes. Did you mean sadness?" in told[0]
    assert "unknown label phone. The model expression has: anger, happiness, sadness, neutral" in told[1]


def test_defaults_are_off():
    config = load_config(None, {})
    assert not config.fatigue.enabled
    assert config.alerts == []


def test_fatigue_by_environment():
    assert load_config(None, {"FERD_FATIGUE__ENABLED": "true"}).fatigue.enabled
