from __future__ import annotations

import os
import time
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from camera_tools import gray_picture

from ferd.errors import PictureError
from ferd.pictures import read_header
from ferd.sources.jpeg import KEPT_BYTES, JpegSplitter, jpeg_frame
from ferd.types import Frame


def jpeg(value: int, width: int = 64, height: int = 48, *options: int) -> bytes:
    image = gray_picture(value, width, height)
    image[:, : width // 2] //= 2
    return cv2.imencode(".jpg", image, options)[1].tobytes()


PICTURES = [jpeg(value) for value in (40, 90, 140)]


def feed(stream: bytes, step: int = 37) -> Iterator[bytes]:
    """Yield the pictures that are found in a stream that arrives in pieces of `step` bytes."""
    splitter = JpegSplitter()
    for at in range(0, len(stream), step):
        splitter.feed(stream[at : at + step])
        while (picture := splitter.next()) is not None:
            yield picture[0]


def part(data: bytes, head: bytes = b"Content-Type: image/jpeg\r\n", end: bytes = b"\r\n") -> bytes:
    return b"--frame\r\n" + head + b"\r\n" + data + end


EXIF = b"\xff\xe1\xff\xffExif\0\0" + bytes(65_527)
"""The largest segment of a JPEG's header, of metadata."""


class TestSplitter:
    @pytest.mark.parametrize("step", [1, 2, 3, 100, 10**6])
    @pytest.mark.parametrize(
        "head",
        [
            b"",
            b"Content-Type: image/jpeg\r\n",
            b"Content-Type: image/jpg\r\nContent-Length: 700\r\n",
            b"Content-type: image/jpeg;size=15000\r\n",
            b"Content-Type: application/octet-stream\r\nContent-Length: 3\r\n",
        ],
    )
    def test_parts_of_all_kinds(self, head: bytes, step: int) -> None:
        assert list(feed(b"".join(part(data, head) for data in PICTURES), step)) == PICTURES

    def test_without_parts(self) -> None:
        assert list(feed(b"".join(PICTURES))) == PICTURES

    def test_a_comment_that_holds_an_end(self) -> None:
        data = PICTURES[0][:2] + b"\xff\xfe\x00\x06\xff\xd9\xff\xd8" + PICTURES[0][2:]
        assert list(feed(data * 3)) == [data] * 3

    def test_of_progressive_pictures(self) -> None:
        data = jpeg(90, 64, 48, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
        assert list(feed(part(data) * 3)) == [data] * 3

    @pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
    def test_one_that_was_cut_off_is_passed_over(self, share: float) -> None:
        cut = PICTURES[0][: int(len(PICTURES[0]) * share)]
        assert list(feed(part(cut) + part(PICTURES[1]) + part(cut) + part(PICTURES[2]))) == PICTURES[1:]

    def test_broken_ones_in_a_row_are_counted(self) -> None:
        splitter = JpegSplitter()
        splitter.feed(part(b"\xff\xd8" + bytes(500)) * 31)
        assert splitter.next() is None
        assert splitter.broken == 31
        splitter.feed(part(PICTURES[0]))
        assert splitter.next() is not None
        assert splitter.broken == 0

    def test_another_format_is_named(self) -> None:
        with pytest.raises(PictureError, match="sends image/png, not JPEG"):
            list(feed(part(b"\x89PNG" + bytes(500), b"Content-Type: image/png\r\n")))

    @pytest.mark.parametrize(("suffix", "kind"), [(".png", "PNG"), (".webp", "WEBP")])
    def test_another_format_called_jpeg_is_named(self, suffix: str, kind: str) -> None:
        data = cv2.imencode(suffix, gray_picture(40))[1].tobytes()
        with pytest.raises(PictureError, match=f"sends {kind} called JPEG"):
            list(feed(part(data), 100))

    def test_a_part_that_announces_too_much(self) -> None:
        with pytest.raises(PictureError, match=r"picture of 2147 MB, more than the limit of 16 MB"):
            list(feed(part(b"", b"Content-Type: image/jpeg\r\nContent-Length: 2147483647\r\n")))

    def test_a_picture_without_an_end(self) -> None:
        splitter = JpegSplitter(max_bytes=100_000)
        splitter.feed(PICTURES[0][:-2])
        for _ in range(90):
            splitter.feed(bytes(1000))
            assert splitter.next() is None
        splitter.feed(bytes(20_000))
        with pytest.raises(PictureError, match="more than the limit"):
            splitter.next()

    @pytest.mark.parametrize(
        "filling",
        [b"\xff\xfe\x00\x02" * 4_000_000, EXIF * 60, b"\xff" * 9**7],
    )
    def test_a_long_header_costs_little(self, filling: bytes) -> None:
        """It was read again from its start with each piece that arrived."""
        data = PICTURES[0][:2] + filling + PICTURES[0][2:]
        started = time.process_time()
        found = list(feed(part(data) + part(PICTURES[1]), 65_536))
        assert time.process_time() - started < 10
        assert found[-1] == PICTURES[1]

    def test_a_header_of_many_megabytes(self) -> None:
        """OpenCV keeps a copy of each of its segments."""
        data = PICTURES[0][:2] + EXIF * 70 + PICTURES[0][2:]
        with pytest.raises(PictureError, match="5 MB of notes with each picture, more than the limit of 4 MB"):
            list(feed(part(data), 65_536))

    def test_garbage_is_not_kept(self) -> None:
        splitter = JpegSplitter()
        for _ in range(50):
            splitter.feed(os.urandom(65_536).replace(b"\xff", b"\xfe"))
            assert splitter.next() is None
        assert len(splitter._buffer) < 100_000


def frame_of(data: bytes) -> Frame:
    return jpeg_frame(1.0, data, read_header(data))


class TestFrame:
    def test_decodes_what_is_asked_for_and_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        flags: list[int] = []
        decode = cv2.imdecode
        monkeypatch.setattr(cv2, "imdecode", lambda data, flag: flags.append(flag) or decode(data, flag))
        frame = frame_of(jpeg(90, 640, 480))
        assert (frame.width, frame.height, flags) == (640, 480, [])
        gray = frame.as_gray()
        assert gray is not None
        assert gray.small is not None
        assert (gray.small.shape, flags) == ((240, 320), [cv2.IMREAD_REDUCED_GRAYSCALE_2])
        assert gray.image is gray.image
        assert (gray.image.shape, flags[1:]) == ((480, 640), [cv2.IMREAD_GRAYSCALE])
        assert frame.gray is gray.image, "the page and the pipeline share it"
        assert (frame.image.shape, flags[2:]) == ((480, 640, 3), [cv2.IMREAD_COLOR])

    def test_small_comes_from_what_is_decoded_already(self, monkeypatch: pytest.MonkeyPatch) -> None:
        frame = frame_of(jpeg(90, 1280, 720))
        gray = frame.gray
        monkeypatch.setattr(cv2, "imdecode", None)
        assert gray is not None
        assert frame.small is not None
        assert frame.small.shape == (180, 320)

    def test_a_small_picture_has_no_smaller_one(self) -> None:
        assert frame_of(jpeg(90, 320, 240)).small is None

    @pytest.mark.parametrize(
        ("size", "shape"), [((3840, 2160), (2160, 3840)), ((4001, 3001), (1501, 2001)), ((8000, 4000), (2000, 4000))]
    )
    def test_a_large_picture_is_decoded_at_a_smaller_scale(self, size: tuple[int, int], shape: tuple[int, int]) -> None:
        frame = frame_of(jpeg(90, *size))
        assert (frame.height, frame.width) == shape
        gray = frame.gray
        assert gray is not None
        assert gray.shape == shape

    def test_a_large_progressive_one_is_refused(self) -> None:
        with pytest.raises(PictureError, match="progressive JPEG of 4000x3000"):
            frame_of(jpeg(90, 4000, 3000, cv2.IMWRITE_JPEG_PROGRESSIVE, 1))

    def test_too_small(self) -> None:
        with pytest.raises(PictureError, match="8x8"):
            frame_of(jpeg(90, 8, 8))

    def test_the_bytes_of_a_large_picture_are_not_kept(self) -> None:
        data = jpeg(90)
        padded = data[:2] + (b"\xff\xfe\xff\xff" + bytes(65_533)) * (KEPT_BYTES // 65_537 + 1) + data[2:]
        frame = frame_of(padded)
        assert frame.jpeg is frame.encoded is None
        assert np.abs(frame.image.astype(int) - cv2.imdecode(np.frombuffer(data, np.uint8), 0)).max() == 0
