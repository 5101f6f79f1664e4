"""Frames become intervals, sums over a sliding window are exact, and short errors do not end an episode."""

import itertools
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ferd.policy.episodes import (
    LEAST_HELD,
    LEAST_KNOWN,
    PATCH_S,
    REACH_S,
    SLIP_S,
    UNKNOWN_S,
    EpisodeDetector,
    IntervalBuilder,
    Window,
)

steps = st.lists(st.floats(0.001, 3.0), min_size=1, max_size=40)


def intervals_of(times, states):
    made = IntervalBuilder()
    return [interval for t, state in zip(times, states, strict=True) for interval in made.add(t, state)]


@given(steps=steps)
@example(steps=[0.06660958884875907, 0.39173791268426034])
def test_every_second_belongs_to_one_interval(steps):
    times = list(itertools.accumulate(steps))
    intervals = intervals_of(times, range(len(times)))
    for one, next_one in itertools.pairwise(intervals):
        assert one.end == next_one.start
    assert sum(interval.length for interval in intervals) == pytest.approx(times[-1] - times[0])


@given(steps=steps)
def test_no_frame_stands_for_more_than_its_reach(steps):
    times = list(itertools.accumulate(steps))
    for interval in intervals_of(times, times):
        if interval.state is not None:
            assert abs(interval.start - interval.state) <= REACH_S + 1e-9
            assert abs(interval.end - interval.state) <= REACH_S + 1e-9


def test_the_boundary_lies_in_the_middle():
    assert [(p.start, p.end, p.state) for p in intervals_of([1.0, 1.2], "ab")] == [
        (1.0, pytest.approx(1.1), "a"),
        (pytest.approx(1.1), 1.2, "b"),
    ]


def test_time_that_stands_still_or_goes_back_adds_nothing():
    assert intervals_of([5.0, 5.0, 3.0], "abc") == []


@given(steps=steps, kinds=st.lists(st.sampled_from("abc"), min_size=40, max_size=40), length=st.floats(0.5, 20))
def test_a_window_is_the_sum_by_hand(steps, kinds, length):
    window, intervals, t = Window(length), [], 0.0
    for step, kind in zip(steps, kinds, strict=False):
        window.add(t, t + step, kind)
        intervals.append((t, t + step, kind))
        t += step
        for wanted in "abc":
            by_hand = sum(max(0.0, end - max(start, t - length)) for start, end, kind in intervals if kind == wanted)
            assert window.seconds(wanted) == pytest.approx(by_hand, abs=1e-6)


# --- episodes ---

KINDS = {"#": True, ".": False, "?": None, "x": None}


def episodes(text, step=0.1, marked=False):
    """One character per step: # holds, . does not, ? is unknown, x is lost. It does not hold after the end."""
    made, found = EpisodeDetector(), []
    for i, char in enumerate(text):
        found += made.add(i * step, (i + 1) * step, KINDS[char], marked=marked, lost=char == "x")
    return found + made.add(len(text) * step, len(text) * step + 1, False)


def lengths(text, step=0.1):
    return [pytest.approx(episode.length) for episode in episodes(text, step)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("....####....", [0.4]),
        ("..##########..##########....", [2.2]),  # a slip of 0.2 s
        ("..##########.###....", [1.4]),
        ("..###.######....", [1.0]),  # a misread frame near the beginning
        ("..##########....##########....", [1.0, 1.0]),  # 0.4 s are no slip
        ("..###..###....", [0.3, 0.3]),  # two blinks
        ("..###..###..###....", [0.3, 0.3, 0.3]),
        ("..#####????#####....", [1.4]),  # unknown for 0.4 s
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
def test_what_is_one_episode(text, expected):
    assert lengths(text) == expected
    assert lengths(text[::-1]) == expected[::-1]


def test_an_episode_grows_only_while_it_is_seen_to_hold():
    made = EpisodeDetector()
    made.add(0, 1, True)
    made.add(1, 1.3, None)
    assert made.current.length == 1
    made.add(1.3, 1.35, True)
    made.add(1.35, 1.38, None, lost=True)
    assert made.current.length == pytest.approx(1.35)
    made.add(1.38, 1.4, True)
    assert made.current.length == pytest.approx(1.4)


def test_marked_time_is_summed():
    (episode,) = episodes("####.####", marked=True)
    assert episode.marked_s == pytest.approx(0.8)


def patched(text, step):
    """Short runs of x go half to either side, long ones are ?; each character becomes two."""
    fine = re.sub(".", lambda c: 2 * c[0], text)

    def halves(run):
        length, before, after = len(run[0]), fine[: run.start()][-1:] or "?", fine[run.end() :][:1]
        short = length * step / 2 <= PATCH_S + 1e-9
        return before * (length // 2) + after * (length // 2) if short else "?" * length

    return re.sub("x+", halves, fine)


@given(text=st.text("##.?x", max_size=80), step=st.sampled_from([0.03, 0.1, 0.2]))
def test_the_definition_holds_for_every_episode(text, step):
    found = episodes(text, step)
    text, step = patched(text + ".", step), step / 2  # it does not hold after the end
    for episode in found:
        first, last = round(episode.start / step), round(episode.end / step)
        inside = text[first:last]
        assert inside[0] == inside[-1] == "#"
        held, slipped, unknown = (inside.count(char) * step for char in "#.?")
        assert held >= LEAST_HELD * (held + slipped) - 1e-6
        assert held + slipped >= LEAST_KNOWN * (held + slipped + unknown) - 1e-6
        for between in inside.split("#"):
            assert between.count(".") * step <= SLIP_S + 1e-6
            assert between.count("?") * step <= UNKNOWN_S + 1e-6


@given(text=st.text("##.?x", max_size=80), cuts=st.integers(1, 5))
def test_the_length_of_the_steps_does_not_matter(text, cuts):
    fine = "".join(char * cuts for char in text)
    whole = [(s.start, s.end) for s in episodes(text, 0.1)]
    assert [(pytest.approx(s.start), pytest.approx(s.end)) for s in episodes(fine, 0.1 / cuts)] == whole


def test_a_long_noisy_episode_stays_cheap_and_whole():
    (episode,) = episodes("#########." * 1500)
    assert episode.length == pytest.approx(1499.9)
