"""smoothing.profile sets the defaults of the other keys; a key that is set overrides it."""

import pytest
from pydantic import ValidationError

from ferd.config import SmoothingConfig, load_config
from ferd.config.schema.recognition import QUICK


def test_calm_is_the_default():
    assert SmoothingConfig() == SmoothingConfig(profile="calm")
    assert SmoothingConfig().caution > 0


def test_quick_brings_its_own_defaults():
    quick, calm = SmoothingConfig(profile="quick"), SmoothingConfig()
    assert quick.rules() == calm.rules() | QUICK
    assert quick.time_constant_s < calm.time_constant_s


@pytest.mark.parametrize("profile", ["calm", "quick"])
def test_a_key_that_is_set_overrides_the_profile(profile):
    assert SmoothingConfig(profile=profile, time_constant_s=0.7).time_constant_s == 0.7


def test_what_the_profile_brought_counts_as_not_set():
    """So another profile replaces it, as when the page tries one."""
    quick = SmoothingConfig(profile="quick", switch_ratio=3.0)
    assert quick.model_dump(exclude_unset=True) == {"profile": "quick", "switch_ratio": 3.0}
    again = SmoothingConfig.model_validate(quick.model_dump(exclude_unset=True) | {"profile": "calm"})
    assert again == SmoothingConfig(switch_ratio=3.0)


def test_it_can_be_set_by_the_environment(tmp_path):
    file = tmp_path / "ferd.toml"
    file.write_text("[smoothing]\ncaution = 0.5\n")
    smoothing = load_config(file, {"FERD_SMOOTHING__PROFILE": "quick"}).smoothing
    assert (smoothing.time_constant_s, smoothing.caution) == (QUICK["time_constant_s"], 0.5)


def test_thresholds_are_checked_with_each_profile():
    with pytest.raises(ValidationError, match="off_threshold"):
        SmoothingConfig(profile="quick", off_threshold=0.9)
