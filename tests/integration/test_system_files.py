"""Units and rules: where they are laid, which drop-ins fit a machine, and the way back."""

from pathlib import Path

import pytest

from ferd.system_files import UNITS, Machine, lay, restore, shipped, snapshot

BARE = Machine(has_pins=False, systemd=252)
PI = Machine(has_pins=True, systemd=257)


def names(root):
    return sorted(str(place.relative_to(root)) for place in snapshot(root))


def test_they_come_from_the_checkout_or_the_wheel():
    assert (shipped() / "ferd.service").is_file()


def test_a_plain_machine_gets_no_drop_in(tmp_path):
    lay(BARE, tmp_path)
    assert names(tmp_path) == [
        "etc/systemd/system/ferd.service",
        "etc/systemd/system/ferd@.service",
        "etc/sysusers.d/ferd.conf",
        "etc/udev/rules.d/60-ferd.rules",
    ]
    assert (tmp_path / UNITS / "ferd.service").stat().st_mode & 0o777 == 0o644
    assert not list(tmp_path.rglob("*.new"))


def test_a_pi_with_a_new_systemd_gets_both_beside_both_units(tmp_path):
    lay(PI, tmp_path)
    laid = {Path(name).parent.name + "/" + Path(name).name for name in names(tmp_path) if name.endswith(".conf")}
    assert {
        "ferd.service.d/gpio.conf",
        "ferd.service.d/restart-steps.conf",
        "ferd@.service.d/gpio.conf",
        "ferd@.service.d/restart-steps.conf",
    } <= laid


def test_an_example_is_not_laid(tmp_path):
    lay(PI, tmp_path)
    assert not list(tmp_path.rglob("broker-only*"))


def test_a_second_time_what_does_not_fit_any_more_goes_and_the_users_own_stays(tmp_path):
    lay(PI, tmp_path)
    own = tmp_path / UNITS / "ferd.service.d" / "broker-only.conf"
    own.write_text("[Service]\nIPAddressDeny=any\n")
    lay(BARE, tmp_path)
    assert [path.name for path in (tmp_path / UNITS / "ferd.service.d").iterdir()] == ["broker-only.conf"]


@pytest.mark.parametrize("old", [BARE, PI])
def test_there_and_back(tmp_path, old):
    lay(old, tmp_path)
    (tmp_path / UNITS / "ferd.service").write_text("an older one")
    before = snapshot(tmp_path)
    lay(PI, tmp_path)
    laid = snapshot(tmp_path)
    (tmp_path / UNITS / "ferd.service.d").mkdir(exist_ok=True)
    since = tmp_path / UNITS / "ferd.service.d" / "since.conf"
    since.write_text("written by the user meanwhile")
    restore(before, laid)
    after = dict(snapshot(tmp_path))
    assert after.pop(since) == b"written by the user meanwhile"
    assert after == before
