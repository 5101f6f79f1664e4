from __future__ import annotations

import cv2
import numpy as np
import pytest
from camera_tools import gray_picture

from ferd.pictures import read_header
from ferd.sources.fake import picture_number
from ferd.sources.jpeg import jpeg_frame
from ferd.sources.stall import StallDetector, Timing, is_frozen, retry_delay
from ferd.types import Deferred, Frame, Image

TIMING = Timing()
SIZE = (64, 48)


class TestInTime:
    def test_the_first_frame_may_take_thirty_seconds(self) -> None:
        watch = StallDetector(100.0, TIMING)
        assert watch.failure(129.9) is None
        assert watch.failure(130.1) == "no picture within 30 s of opening"

    def test_a_source_that_needs_longer_is_given_it(self) -> None:
        watch = StallDetector(100.0, TIMING)
        assert watch.failure(130.1, 40.0) is None
        assert watch.failure(140.1, 40.0) == "no picture within 40 s of opening"
        assert watch.failure(129.9, 5.0) is None, "but never less than all are given"

    def test_when_to_look_again(self) -> None:
        watch = StallDetector(100.0, TIMING)
        assert watch.due_in(101.0) == 29.0
        assert watch.due_in(101.0, 40.0) == 39.0
        watch.frame(109.0, Frame(0.0, picture_number(0, SIZE)), noisy=True)
        assert watch.due_in(110.0) == 1.0

    def test_the_next_two(self) -> None:
        watch = StallDetector(100.0, TIMING)
        watch.frame(109.0, Frame(0.0, picture_number(0, SIZE)), noisy=True)
        assert watch.failure(111.0) is None
        assert watch.failure(111.1) == "no picture for 2 s"

    def test_at_three_frames_a_second_and_with_jitter_all_is_well(self) -> None:
        watch, now = StallDetector(0.0, TIMING), 0.0
        for number in range(100):
            now += (0.33, 1.9, 0.01)[number % 3]
            assert watch.failure(now) is None
            watch.frame(now, Frame(0.0, picture_number(number, SIZE)), noisy=True)
            assert watch.failure(now) is None

    def test_a_slow_source_is_given_three_of_its_intervals(self) -> None:
        assert Timing.of(15) == Timing()
        assert Timing.of(0.25) == Timing(first_frame_s=30, frame_s=12, frozen_s=12)


class TestFrozen:
    def test_the_same_picture_for_five_seconds(self) -> None:
        watch = StallDetector(0.0, TIMING)
        for step in range(11):
            watch.frame(step / 2, Frame(0.0, picture_number(7, SIZE)), noisy=True)
            assert watch.failure(step / 2) is None
        watch.frame(5.5, Frame(0.0, picture_number(7, SIZE)), noisy=True)
        assert watch.failure(5.5) == "the same picture for 5 s: the camera is frozen"

    def test_one_other_pixel_anywhere_is_a_new_picture(self) -> None:
        watch = StallDetector(0.0, TIMING)
        for step in range(20):
            picture = picture_number(7, SIZE)
            picture[33, 13, 2] = step
            watch.frame(float(step), Frame(0.0, picture), noisy=True)
            assert watch.failure(float(step)) is None

    @pytest.mark.parametrize("buffers", [1, 2, 4, 30])
    def test_a_ring_of_buffers_in_turn(self, buffers: int) -> None:
        """Every image differs from the one before, and none is new."""
        watch = StallDetector(0.0, TIMING)
        for step in range(200):
            watch.frame(step / 10, Frame(0.0, picture_number(step, SIZE)), noisy=True)
        failures = []
        for step in range(200, 400):
            watch.frame(step / 10, Frame(0.0, picture_number(1000 + step % buffers, SIZE)), noisy=True)
            failures.append(watch.failure(step / 10))
        frozen = next(step for step, failure in enumerate(failures) if failure) / 10
        assert is_frozen(failures[-1])
        assert 5.0 <= frozen <= 5.2 + 2 * buffers / 10

    def test_a_scene_that_stands_still_for_a_key_frames_interval(self) -> None:
        watch = StallDetector(0.0, TIMING)
        for step in range(300):
            watch.frame(step / 10, Frame(0.0, picture_number(step // 200, SIZE)), noisy=True, still_s=30.0)
            assert watch.failure(step / 10) is None
        for step in range(300, 520):
            watch.frame(step / 10, Frame(0.0, picture_number(1, SIZE)), noisy=True, still_s=30.0)
        assert watch.failure(51.9) == "the same picture for 30 s: the camera is frozen"

    def test_only_the_same_pictures_are_frozen(self) -> None:
        assert not is_frozen(None)
        assert not is_frozen("no picture for 2 s")

    def test_a_film_may_hold_a_picture(self) -> None:
        watch = StallDetector(0.0, TIMING)
        for step in range(20):
            watch.frame(float(step), Frame(0.0, picture_number(7, SIZE)), noisy=False)
            assert watch.failure(float(step)) is None

    def test_a_covered_lens_is_no_hang(self) -> None:
        watch = StallDetector(0.0, TIMING)
        for step in range(20):
            watch.frame(float(step), Frame(0.0, gray_picture(16)), noisy=True)
            assert watch.failure(float(step)) is None

    def test_a_source_that_fills_the_same_array_again(self) -> None:
        watch, picture = StallDetector(0.0, TIMING), np.array(picture_number(0, SIZE))
        for step in range(20):
            picture[...] = picture_number(step, SIZE)
            watch.frame(float(step), Frame(0.0, picture), noisy=True)
            assert watch.failure(float(step)) is None


def sent(image: Image) -> Frame:
    """A frame of a camera that sends JPEG."""
    data = cv2.imencode(".jpg", image)[1].tobytes()
    return jpeg_frame(0.0, data, read_header(data))


class TestFrozenJpeg:
    def test_equal_bytes_for_five_seconds(self) -> None:
        watch, frame = StallDetector(0.0, TIMING), sent(picture_number(7, SIZE))
        for step in range(12):
            watch.frame(step / 2, frame, noisy=True)
        assert watch.failure(5.5) == "the same picture for 5 s: the camera is frozen"

    def test_the_last_few_pictures_in_turn(self) -> None:
        watch = StallDetector(0.0, TIMING)
        frames = [sent(picture_number(number, SIZE)) for number in range(4)]
        for step in range(20):
            watch.frame(step / 2, frames[step % 4], noisy=True)
        assert watch.failure(9.5) is not None

    def test_a_dark_room_is_no_hang(self) -> None:
        watch, frame = StallDetector(0.0, TIMING), sent(gray_picture(16))
        for step in range(20):
            watch.frame(float(step), frame, noisy=True)
            assert watch.failure(float(step)) is None

    def test_nothing_is_decoded(self) -> None:
        def fail() -> Image:
            raise AssertionError("was decoded")

        watch, never = StallDetector(0.0, TIMING), Deferred((48, 64), fail)
        for step in range(20):
            watch.frame(float(step), Frame(0.0, never, gray=never, encoded=b"%d" % step), noisy=True)
            assert watch.failure(float(step)) is None


class TestWait:
    @pytest.mark.parametrize(("attempt", "most"), [(1, 2), (2, 4), (3, 8), (4, 16), (5, 30), (6, 30), (10_000, 30)])
    def test_between_one_second_and_a_doubling_limit(self, attempt: int, most: float) -> None:
        assert retry_delay(attempt, TIMING, lambda low, high: low) == 1
        assert retry_delay(attempt, TIMING, lambda low, high: high) == most
        assert all(1 <= retry_delay(attempt, TIMING) <= most for _ in range(50))
