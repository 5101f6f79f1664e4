from __future__ import annotations

import numpy as np
import pytest
from camera_tools import gray_picture

from ferd.sources.fake import picture_number
from ferd.sources.stall import StallDetector, Timing, wait_before_next

TIMING = Timing()
SIZE = (64, 48)


class TestInTime:
    def test_the_first_picture_may_take_ten_seconds(self) -> None:
        watch = StallDetector(100.0, TIMING)
        assert watch.failure(109.9) is None
        assert watch.failure(110.1) == "no picture within 10 s of opening"

    def test_the_next_two(self) -> None:
        watch = StallDetector(100.0, TIMING)
        watch.frame(109.0, picture_number(0, SIZE), noisy=True)
        assert watch.failure(111.0) is None
        assert watch.failure(111.1) == "no picture for 2 s"

    def test_at_three_frames_a_second_and_with_jitter_all_is_well(self) -> None:
        watch, now = StallDetector(0.0, TIMING), 0.0
        for number in range(100):
            now += (0.33, 1.9, 0.01)[number % 3]
            assert watch.failure(now) is None
            watch.frame(now, picture_number(number, SIZE), noisy=True)
            assert watch.failure(now) is None

    def test_a_slow_source_is_given_three_of_its_intervals(self) -> None:
        assert Timing.of(15) == Timing()
        assert Timing.of(0.25) == Timing(first_frame_s=12, frame_s=12)


class TestFrozen:
    def test_the_same_picture_for_five_seconds(self) -> None:
        watch = StallDetector(0.0, TIMING)
        for step in range(11):
            watch.frame(step / 2, picture_number(7, SIZE), noisy=True)
            assert watch.failure(step / 2) is None
        watch.frame(5.5, picture_number(7, SIZE), noisy=True)
        assert watch.failure(5.5) == "the same picture for 5 s: the camera hangs"

    def test_one_other_pixel_anywhere_is_a_new_picture(self) -> None:
        watch = StallDetector(0.0, TIMING)
        for step in range(20):
            picture = picture_number(7, SIZE)
            picture[33, 13, 2] = step
            watch.frame(float(step), picture, noisy=True)
            assert watch.failure(float(step)) is None

    def test_a_film_may_hold_a_picture(self) -> None:
        watch = StallDetector(0.0, TIMING)
        for step in range(20):
            watch.frame(float(step), picture_number(7, SIZE), noisy=False)
            assert watch.failure(float(step)) is None

    def test_a_covered_lens_is_no_hang(self) -> None:
        watch = StallDetector(0.0, TIMING)
        for step in range(20):
            watch.frame(float(step), gray_picture(16), noisy=True)
            assert watch.failure(float(step)) is None

    def test_a_source_that_fills_the_same_array_again(self) -> None:
        watch, picture = StallDetector(0.0, TIMING), np.array(picture_number(0, SIZE))
        for step in range(20):
            picture[...] = picture_number(step, SIZE)
            watch.frame(float(step), picture, noisy=True)
            assert watch.failure(float(step)) is None


class TestWait:
    @pytest.mark.parametrize(("attempt", "most"), [(1, 2), (2, 4), (3, 8), (4, 16), (5, 30), (6, 30), (10_000, 30)])
    def test_between_one_second_and_a_doubling_limit(self, attempt: int, most: float) -> None:
        assert wait_before_next(attempt, TIMING, lambda low, high: low) == 1
        assert wait_before_next(attempt, TIMING, lambda low, high: high) == most
        assert all(1 <= wait_before_next(attempt, TIMING) <= most for _ in range(50))
