from __future__ import annotations

import struct
import sys
import tomllib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from camera_tools import read_all

from ferd.errors import SourceError
from ferd.sources.file import VideoFile
from ferd.sources.video import DECODER_THREADS, OLDEST_PYAV, VideoReader, _display_matrix

Make = Callable[..., Path]


def scene(width: int, height: int) -> np.ndarray:
    """A picture (H, W, 3): dark, bright in the upper left quarter."""
    image = np.full((height, width, 3), 40, np.uint8)
    image[: height // 2, : width // 2] = 200
    return image


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write a video of `frames` equal pictures."""

    def write(
        name: str = "a.mp4",
        codec: str = "mpeg4",
        *,
        size: tuple[int, int] = (64, 48),
        frames: int = 3,
        rotation: int = 0,
        aspect: Fraction | None = None,
        pixels: str = "yuv420p",
        options: dict[str, str] | None = None,
        picture: np.ndarray | None = None,
    ) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=10, options=options or {})
            stream.width, stream.height, stream.pix_fmt = *size, pixels
            if rotation:
                stream.set_display_rotation(rotation)
            if aspect:
                stream.codec_context.sample_aspect_ratio = aspect
            for _ in range(frames):
                image = scene(*size) if picture is None else picture
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
            container.mux(stream.encode())
        return path

    return write


def bright_corner(image: np.ndarray) -> str:
    height, width = image.shape[:2]
    corners = {
        f"{vertical} {horizontal}": image[y, x].mean()
        for vertical, y in (("upper", height // 4), ("lower", 3 * height // 4))
        for horizontal, x in (("left", width // 4), ("right", 3 * width // 4))
    }
    return max(corners, key=lambda name: corners[name])


@pytest.mark.parametrize(
    ("rotation", "shape", "corner"),
    [
        (0, (48, 64), "upper left"),
        (90, (64, 48), "lower left"),  # counter-clockwise
        (180, (48, 64), "lower right"),
        (270, (64, 48), "upper right"),
    ],
)
def test_rotation(make: Make, rotation: int, shape: tuple[int, int], corner: str) -> None:
    frame = read_all(VideoFile(make(rotation=rotation)))[0]
    gray = frame.as_gray()
    assert gray is not None
    assert (frame.height, frame.width) == shape == gray.image.shape
    assert bright_corner(gray.image) == bright_corner(frame.image) == corner


def test_mirrored(make: Make) -> None:
    """The matrix of a track that is mirrored left to right: x' = -x."""
    path = make()
    data = bytearray(path.read_bytes())
    matrix = data.find(b"tkhd") + 4 + 40
    assert struct.unpack_from(">i", data, matrix)[0] == 1 << 16
    struct.pack_into(">i", data, matrix, -(1 << 16))
    path.write_bytes(data)
    assert bright_corner(read_all(VideoFile(path))[0].image) == "upper right"


@pytest.mark.parametrize(
    ("aspect", "rotation", "size"),
    [
        (Fraction(2), 0, (128, 48)),
        (Fraction(4, 3), 0, (85, 48)),
        (Fraction(1, 2), 0, (32, 48)),
        (Fraction(2), 90, (48, 128)),
        (Fraction(1), 0, (64, 48)),
    ],
)
def test_pixels_become_square(make: Make, aspect: Fraction, rotation: int, size: tuple[int, int]) -> None:
    frame = read_all(VideoFile(make(aspect=aspect, rotation=rotation)))[0]
    assert (frame.width, frame.height) == size
    assert frame.image.shape == (size[1], size[0], 3)


def test_interlaced_is_deinterlaced(make: Make) -> None:
    """Two fields of different pictures become one: no row differs much from its neighbours."""
    picture = scene(64, 48)
    picture[1::2] = scene(64, 48)[1::2, ::-1]
    interlaced = {"flags": "+ildct+ilme", "top": "1", "field_order": "tt"}
    path = make("a.mpg", "mpeg2video", picture=picture, frames=6, options=interlaced)
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).interlaced_frame
    frames = read_all(VideoFile(path))
    assert len(frames) == 6
    for frame in frames:
        gray = frame.as_gray()
        assert gray is not None
        rows = gray.image[4:20].astype(int)
        assert np.abs(np.diff(rows, axis=0)).mean() < 40, "combed: 80"


@pytest.mark.parametrize("pixels", ["yuv420p", "yuvj420p", "yuv444p", "yuv420p10le"])
def test_range_and_depth(make: Make, pixels: str) -> None:
    """The gray picture has the brightness of what was filmed, in limited and in full range, with 8 and 10 bits."""
    codec, name = ("ffv1", "a.mkv") if pixels != "yuvj420p" else ("mjpeg", "a.avi")
    frame = read_all(VideoFile(make(name, codec, pixels=pixels)))[0]
    gray = frame.as_gray()
    assert gray is not None
    assert gray.image.dtype == np.uint8
    for image in (gray.image, frame.image):
        assert abs(float(image[10, 10].mean()) - 200) <= 3
        assert abs(float(image[40, 50].mean()) - 40) <= 3


def test_motion_jpeg_of_limited_range(make: Make) -> None:
    """FFmpeg notes it in the picture; a JPEG's own bytes are of full range always."""
    options = {"color_range": "tv", "strict": "unofficial", "qmin": "1", "qmax": "2"}
    for value in (20, 128, 235):
        path = make("a.mov", "mjpeg", options=options, picture=np.full((48, 64, 3), value, np.uint8))
        for frame in read_all(VideoFile(path)):
            assert frame.jpeg is None
            assert (frame.image.mean(), frame.as_gray().image.mean()) == pytest.approx((value, value), abs=4)


def test_motion_jpeg_is_given_as_it_is(make: Make) -> None:
    frames = read_all(VideoFile(make("a.avi", "mjpeg", pixels="yuvj420p")))
    assert [frame.t for frame in frames] == pytest.approx([0.0, 0.1, 0.2])
    assert all(frame.jpeg is not None and frame.jpeg.startswith(b"\xff\xd8") for frame in frames)


@pytest.mark.parametrize(("size", "whole_frames"), [((640, 480), False), ((1280, 720), False), ((1920, 1080), True)])
def test_small_pictures_are_decoded_one_after_the_other(
    make: Make, size: tuple[int, int], *, whole_frames: bool
) -> None:
    reader = VideoReader(str(make("a.mp4", "libx264", size=size, frames=4)), "a.mp4", options={})
    context = reader._stream.codec_context
    assert (context.thread_type.name != "SLICE") == whole_frames
    assert context.thread_count == DECODER_THREADS
    frames = []
    while (frame := reader.read(lambda stamp: stamp or 0.0, lambda: None)) is not None:
        frames.append(frame)
    reader.close()
    assert [frame.image.shape[:2] for frame in frames] == [size[::-1]] * 4


def test_too_many_pixels(make: Make) -> None:
    source = VideoFile(make(size=(640, 480)), max_megapixels=0.1)
    with pytest.raises(SourceError, match=r"640x480 pixels, more than the limit of 0.1 megapixels"):
        source.open()
    source.close()


def test_a_playlist_opens_nothing_else(make: Make, tmp_path: Path) -> None:
    target = make("a.mp4")
    playlist = tmp_path / "list.mp4"
    playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nhttp://127.0.0.1:9/{target.name}\n")
    with pytest.raises(SourceError, match="not a video"):
        read_all(VideoFile(playlist))


def test_sound_only(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(SourceError, match="holds no video"):
        VideoFile(path).open()


def test_without_pyav(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make()
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(SourceError, match=r"needs PyAV.*pip install .*(av<|ferd\[video\])"):
        VideoFile(path).open()


@pytest.mark.parametrize("version", ["9.2.0", "14.4.0", "17.0.1"])
def test_with_a_pyav_that_would_end_the_process(make: Make, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    path = make()
    monkeypatch.setattr(av, "__version__", version)
    with pytest.raises(SourceError, match=rf"PyAV {version} is too old, 17.1 is needed: `.*pip install"):
        VideoFile(path).open()


def test_the_oldest_pyav_is_that_of_the_package() -> None:
    package = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    (requirement,) = (r for r in package["project"]["optional-dependencies"]["video"] if r.startswith("av"))
    assert f">={'.'.join(map(str, OLDEST_PYAV))}," in requirement


@pytest.mark.parametrize(("rotation", "corner"), [(90, "lower left"), (180, "lower right"), (270, "upper right")])
def test_motion_jpeg_that_the_file_turns(make: Make, rotation: int, corner: str) -> None:
    frames = read_all(VideoFile(make("a.mov", "mjpeg", pixels="yuvj420p", rotation=rotation)))
    assert len(frames) == 3
    for frame in frames:
        gray = frame.as_gray()
        assert gray is not None
        assert bright_corner(gray.image) == bright_corner(frame.image) == corner


class UnknownSideData:
    """A frame whose side data PyAV has no name for."""

    def __init__(self, rotation: int) -> None:
        self.rotation = rotation

    @property
    def side_data(self) -> object:
        raise ValueError("31 is not a valid Type")


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_side_data_without_a_name(make: Make, rotation: int) -> None:
    """The display matrix is then made from the rotation, and is the same."""
    with av.open(str(make(rotation=rotation))) as container:
        frame = next(container.decode(video=0))
        assert _display_matrix(UnknownSideData(frame.rotation)) == (_display_matrix(frame) if rotation else None)
