"""Spells: a slip does not end them, and two short ones are not one."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferd.policy.episodes import LEAST_HELD, LEAST_KNOWN, PATCH_S, SLIP_S, UNKNOWN_S, EpisodeDetector

KINDS = {"#": True, ".": False, "?": None, "x": None}


def spells(text, step=0.1, marked=False):
    """One character a step: # holds, . does not, ? is not known, x is lost. It does not hold after the end."""
    made, found = EpisodeDetector(), []
    for i, char in enumerate(text):
        found += made.add(i * step, (i + 1) * step, KINDS[char], marked=marked, lost=char == "x")
    return found + made.add(len(text) * step, len(text) * step + 1, False)


def lengths(text, step=0.1):
    return [pytest.approx(spell.length) for spell in spells(text, step)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("....####....", [0.4]),
        ("..##########..##########....", [2.2]),  # a slip of 0.2 s
        ("..##########.###....", [1.4]),
        ("..###.######....", [1.0]),  # a frame read wrongly near the beginning
        ("..##########....##########....", [1.0, 1.0]),  # 0.4 s are no slip
        ("..###..###....", [0.3, 0.3]),  # two blinks
        ("..###..###..###....", [0.3, 0.3, 0.3]),
        ("..#####????#####....", [1.4]),  # nobody knows for 0.4 s
        ("..##########??????##########....", [1.0, 1.0]),
        ("..#????##....", [0.1, 0.2]),  # too little of it was seen
        ("..x####x....", [0.5]),  # 0.1 s at either end goes half to each side
        ("..##xxx##xx....", [0.8]),
        ("..##xxxxx##....", [0.2, 0.2]),  # 0.5 s are more than a frame or two
        ("xxxxxx####....", [0.4]),
        ("????", []),
        ("....", []),
    ],
)
def test_what_is_one_spell(text, expected):
    assert lengths(text) == expected
    assert lengths(text[::-1]) == expected[::-1]


def test_a_spell_grows_only_while_it_is_seen_to_hold():
    made = EpisodeDetector()
    made.add(0, 1, True)
    made.add(1, 1.3, None)
    assert made.current.length == 1
    made.add(1.3, 1.35, True)
    made.add(1.35, 1.38, None, lost=True)
    assert made.current.length == pytest.approx(1.35)
    made.add(1.38, 1.4, True)
    assert made.current.length == pytest.approx(1.4)


def test_what_was_marked_is_summed():
    (spell,) = spells("####.####", marked=True)
    assert spell.marked_s == pytest.approx(0.8)


def patched(text, step):
    """Short runs of x go half to either side, long ones are ?; each character becomes two."""
    fine = re.sub(".", lambda c: 2 * c[0], text)

    def halves(run):
        length, before, after = len(run[0]), fine[: run.start()][-1:] or "?", fine[run.end() :][:1]
        short = length * step / 2 <= PATCH_S + 1e-9
        return before * (length // 2) + after * (length // 2) if short else "?" * length

    return re.sub("x+", halves, fine)


@given(text=st.text("##.?x", max_size=80), step=st.sampled_from([0.03, 0.1, 0.2]))
def test_the_definition_holds_for_every_spell(text, step):
    found = spells(text, step)
    text, step = patched(text + ".", step), step / 2  # it does not hold after the end
    for spell in found:
        first, last = round(spell.start / step), round(spell.end / step)
        inside = text[first:last]
        assert inside[0] == inside[-1] == "#"
        held, slipped, unknown = (inside.count(char) * step for char in "#.?")
        assert held >= LEAST_HELD * (held + slipped) - 1e-6
        assert held + slipped >= LEAST_KNOWN * (held + slipped + unknown) - 1e-6
        for between in inside.split("#"):
            assert between.count(".") * step <= SLIP_S + 1e-6
            assert between.count("?") * step <= UNKNOWN_S + 1e-6


@given(text=st.text("##.?x", max_size=80), cuts=st.integers(1, 5))
def test_how_finely_time_is_cut_does_not_matter(text, cuts):
    fine = "".join(char * cuts for char in text)
    whole = [(s.start, s.end) for s in spells(text, 0.1)]
    assert [(pytest.approx(s.start), pytest.approx(s.end)) for s in spells(fine, 0.1 / cuts)] == whole


def test_a_long_noisy_spell_stays_cheap_and_whole():
    (spell,) = spells("#########." * 1500)
    assert spell.length == pytest.approx(1499.9)
