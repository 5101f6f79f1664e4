"""Decode pictures (JPEG, PNG, WebP, BMP, TIFF, PNM) within bounds, and show what they show.

The header of a picture is read before it is decoded: a file of 69 bytes can ask for gigabytes. Pictures are
opened here, from a file or a camera, so there is one list of formats and one limit.
"""

from __future__ import annotations

import contextlib
import re
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ferd.errors import PictureError
from ferd.fs import exists, is_dir, is_file
from ferd.types import Image

PICTURE_SUFFIXES = frozenset(
    {".bmp", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
UNREADABLE_SUFFIXES = frozenset({".avif", ".heic", ".heif"})
"""Pictures that are refused with the remedy, not passed over as no pictures."""
MAX_MEGAPIXELS = 64.0
"""Largest picture that is decoded: the sensors of phones have 12 to 50 megapixels, those of cameras 2 to 12."""
MAX_FILE_BYTES = 256 << 20
"""More is not read: a picture of 64 megapixels in three colours has 192 MB without compression."""

JPEG_START = b"\xff\xd8\xff"
_SIZES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""Markers of a JPEG's frame header (SOF0 to SOF15), which holds its size: T.81, table B.1."""
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
"""Markers without a length."""
MOST_CHUNKS = 4096
"""Of a PNG or WebP that are looked through for its orientation, which stands before the picture or behind its parts."""
MOST_SEGMENTS = 4096
"""Of a JPEG's header, with its bytes of padding. A profile of 16 MB, the most that a camera may send, has 256."""
_TURNED = frozenset({5, 6, 7, 8})
"""EXIF orientations that swap width and height."""
_EXIF = b"Exif\0\0"
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"avif", b"avis")
_BITS = (8, 10, 12, 14, 16)


@dataclass(frozen=True, slots=True)
class PictureHeader:
    """What the header of a picture says.

    ``width``, ``height``: in pixels, as stored. ``orientation``: 1 to 8, as EXIF says that it is to be shown.
    ``data_at``: where the compressed data of a JPEG begins. ``layers``: colours of a JPEG, 1, 3 or 4.
    """

    kind: str
    width: int
    height: int
    orientation: int = 1
    progressive: bool = False
    alpha: bool = False
    data_at: int = 0
    layers: int = 3

    @property
    def megapixels(self) -> float:
        return self.width * self.height / 1e6

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width as shown."""
        return (self.width, self.height) if self.orientation in _TURNED else (self.height, self.width)

    def check(self, max_megapixels: float) -> None:
        """Raise PictureError when the picture is empty or larger than allowed."""
        if not self.width or not self.height:
            raise PictureError(f"its header says {self.width}x{self.height} pixels: it is broken")
        if self.megapixels > max_megapixels:
            raise PictureError(
                f"its header says {self.width}x{self.height} pixels, more than the limit of {max_megapixels:g} "
                "megapixels (max_megapixels): scale it down, or raise the limit"
            )


# ---- headers ----


def read_header(data: bytes | bytearray | memoryview) -> PictureHeader:
    """Read the header of a picture. Raises PictureError when it is none that ferd reads, or is cut off."""
    start = bytes(data[:32])
    try:
        for magic, parse in _PARSERS:
            if start.startswith(magic) and (header := parse(data)) is not None:
                return header
    except (struct.error, IndexError, ValueError):
        raise PictureError("its header is cut off or broken") from None
    if start[4:8] == b"ftyp" and start[8:12] in _HEIF_BRANDS:
        raise PictureError(HEIF_REMEDY)
    raise PictureError(f"is not a picture that ferd reads ({', '.join(sorted(PICTURE_SUFFIXES))})")


HEIF_STARTS = frozenset(b"ftyp" + brand for brand in _HEIF_BRANDS)
HEIF_REMEDY = (
    "HEIC and AVIF pictures are not read. Convert it: `heif-convert IN.heic OUT.jpg` (apt: libheif-examples), or let "
    'the phone take JPEG ("most compatible")'
)


def jpeg_header(data: bytes | bytearray | memoryview) -> PictureHeader | None:
    """Read the header of a JPEG, up to its compressed data; None where more bytes are needed.

    Raises:
        PictureError: It is not a JPEG.
    """
    return JpegHeaderReader().read(data)


class JpegHeaderReader:
    """Reads the header of one JPEG while its bytes arrive: each segment once, however small the pieces are."""

    def __init__(self) -> None:
        self._at = 2
        self._segments = 0
        self._size, self._marker, self._orientation = (0, 0, 0), 0, 1

    def read(self, data: bytes | bytearray | memoryview) -> PictureHeader | None:
        """Go on reading. `data`: all bytes from the picture's first one on, as far as they arrived.

        Returns None where more are needed. Raises PictureError when it is not a JPEG.
        """
        at, end = self._at, len(data)
        while at + 4 <= end:
            self._at = at
            self._segments += 1
            if data[at] != 0xFF or self._segments > MOST_SEGMENTS:
                raise PictureError("its header is broken")
            code = data[at + 1]
            if code == 0xFF:  # padding
                at += 1
                continue
            if code in _ALONE:
                at += 2
                continue
            length = data[at + 2] << 8 | data[at + 3]
            if length < 2 or code in (0xD8, 0xD9):
                raise PictureError("its header is broken")
            if at + 2 + length > end:
                self._segments -= 1
                return None
            if code in _SIZES:
                height, width, layers = struct.unpack_from(">xHHB", data, at + 4)
                self._size, self._marker = (width, height, layers), code
            elif code == 0xE1 and self._orientation == 1 and bytes(data[at + 4 : at + 4 + len(_EXIF)]) == _EXIF:
                self._orientation = _exif_orientation(bytes(data[at + 4 + len(_EXIF) : at + 2 + length]))
            elif code == 0xDA:
                return self._header(at + 2 + length)
            at += 2 + length
        self._at = at
        return None

    def _header(self, data_at: int) -> PictureHeader:
        if not self._marker:
            raise PictureError("its header says no size")
        width, height, layers = self._size
        return PictureHeader(
            "JPEG", width, height, self._orientation, self._marker in _PROGRESSIVE, data_at=data_at, layers=layers
        )


def _exif_orientation(tiff: bytes) -> int:
    """Return the orientation (1 to 8) that EXIF's TIFF structure says; 1 where it says none."""
    try:
        return _orientation_in(_tiff_tags(tiff))
    except (struct.error, ValueError):
        return 1


def _orientation_in(tags: dict[int, int]) -> int:
    orientation = tags.get(0x112, 1)
    return orientation if 1 <= orientation <= 8 else 1


def _tiff_tags(data: bytes | bytearray | memoryview) -> dict[int, int]:
    """Return the whole numbers of the first directory of a TIFF, by tag."""
    order = {b"II": "<", b"MM": ">"}.get(bytes(data[:2]), "")
    if not order or struct.unpack_from(order + "H", data, 2)[0] != 42:
        raise ValueError("not a TIFF")
    (at,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, at)
    tags = {}
    for number in range(min(count, 512)):
        tag, kind, values = struct.unpack_from(order + "HHI", data, at + 2 + 12 * number)
        if values == 1 and kind in (3, 4):
            (tags[tag],) = struct.unpack_from(order + ("H" if kind == 3 else "I"), data, at + 10 + 12 * number)
    return tags


def _jpeg(data: bytes | bytearray | memoryview) -> PictureHeader | None:
    header = jpeg_header(data)
    if header is None:
        raise ValueError("cut off")
    return header


def _png(data: bytes | bytearray | memoryview) -> PictureHeader | None:
    width, height, _depth, colour = struct.unpack_from(">IIBB", data, 16)
    alpha = bool(colour & 4) or b"tRNS" in bytes(data[33:4096])
    return PictureHeader("PNG", width, height, _chunk_orientation(data, 8, ">I4s", b"eXIf"), alpha=alpha)


def _chunk_orientation(data: bytes | bytearray | memoryview, at: int, form: str, wanted: bytes) -> int:
    """Return the orientation in the EXIF chunk of a PNG (`form` ">I4s") or a WebP ("<4sI"); chunks begin at `at`."""
    for _ in range(MOST_CHUNKS):
        if at + 8 > len(data):
            break
        size, name = sorted(struct.unpack_from(form, data, at), key=lambda value: isinstance(value, bytes))
        if name == wanted:
            return _exif_orientation(bytes(data[at + 8 : at + 8 + size]).removeprefix(_EXIF))
        # A PNG's chunk ends with a checksum of four bytes, a WebP's begins at an even place.
        at += 8 + (size + 4 if form[0] == ">" else size + size % 2)
    return 1


def _bmp(data: bytes | bytearray | memoryview) -> PictureHeader | None:
    (size,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if size == 12 else "<ii", data, 18)
    return PictureHeader("BMP", abs(width), abs(height))


def _webp(data: bytes | bytearray | memoryview) -> PictureHeader | None:
    if bytes(data[8:12]) != b"WEBP":
        return None
    kind = bytes(data[12:16])
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return PictureHeader("WebP", width & 0x3FFF, height & 0x3FFF)
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return PictureHeader("WebP", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, alpha=bool(bits >> 28 & 1))
    if kind == b"VP8X":
        width = int.from_bytes(data[24:27], "little") + 1
        height = int.from_bytes(data[27:30], "little") + 1
        orientation = _chunk_orientation(data, 12, "<4sI", b"EXIF")
        return PictureHeader("WebP", width, height, orientation, alpha=bool(data[20] & 0x10))
    return None


def _tiff(data: bytes | bytearray | memoryview) -> PictureHeader | None:
    tags = _tiff_tags(data)
    return PictureHeader("TIFF", tags.get(256, 0), tags.get(257, 0), _orientation_in(tags))


def _pnm(data: bytes | bytearray | memoryview) -> PictureHeader | None:
    text = re.sub(rb"#[^\n\r]*", b" ", bytes(data[:1024]))
    match = re.match(rb"P[1-6]\s+(\d{1,9})\s+(\d{1,9})\s", text)
    return PictureHeader("PNM", int(match[1]), int(match[2])) if match else None


_PARSERS: tuple[tuple[bytes, Callable[[bytes | bytearray | memoryview], PictureHeader | None]], ...] = (
    (b"\xff\xd8", _jpeg),
    (b"\x89PNG\r\n\x1a\n", _png),
    (b"RIFF", _webp),
    (b"BM", _bmp),
    (b"II", _tiff),
    (b"MM", _tiff),
    (b"P", _pnm),
)


# ---- decoding ----


def decode_jpeg(data: bytes | bytearray | memoryview, *, gray: bool, reduce: int = 1) -> Image:
    """Decode a JPEG whose header was checked, at 1/`reduce` of its size (1, 2, 4, 8), rotated as its EXIF tag says.

    Returns (H, W) gray, which costs half as much as colour, or (H, W, 3) BGR.

    Raises:
        PictureError: It does not decode.
    """
    image = cv2.imdecode(np.frombuffer(data, np.uint8), _JPEG_FLAGS[gray, reduce])
    if image is None:
        raise PictureError("does not decode: it is broken")
    return np.asarray(image, np.uint8)


_JPEG_FLAGS = {
    (True, 1): cv2.IMREAD_GRAYSCALE,
    (True, 2): cv2.IMREAD_REDUCED_GRAYSCALE_2,
    (True, 4): cv2.IMREAD_REDUCED_GRAYSCALE_4,
    (True, 8): cv2.IMREAD_REDUCED_GRAYSCALE_8,
    (False, 1): cv2.IMREAD_COLOR,
    (False, 2): cv2.IMREAD_REDUCED_COLOR_2,
    (False, 4): cv2.IMREAD_REDUCED_COLOR_4,
    (False, 8): cv2.IMREAD_REDUCED_COLOR_8,
}


def decode_picture(data: bytes, max_megapixels: float = MAX_MEGAPIXELS) -> Image:
    """Decode a picture as (H, W, 3) BGR uint8, upright, whatever it holds.

    Transparent parts become white, as viewers show them. Of more than 8 bits, the picture's own range (10, 12, 14 or 16
    bits) becomes 0 to 255.

    Raises:
        PictureError: It is no picture, is larger than allowed, or does not decode.
    """
    header = read_header(data)
    header.check(max_megapixels)
    # With alpha, nothing but IMREAD_UNCHANGED keeps it; it ignores EXIF.
    image = None if header.alpha else _decoded(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if image is None and (header.alpha or header.kind == "TIFF"):  # TIFF of floating point has no colours for OpenCV
        image = _decoded(data, cv2.IMREAD_UNCHANGED)
        image = None if image is None else _upright(image, header.orientation)
    if image is None:
        raise PictureError("does not decode: it is broken or cut off")
    pixels = _to_8_bits(image)
    if pixels.ndim == 2:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR), np.uint8)
    return _on_white(pixels) if pixels.shape[2] == 4 else pixels


def _decoded(data: bytes, flags: int) -> np.ndarray | None:
    with quiet():
        try:
            return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
        except cv2.error:
            return None


def _upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """Turn and mirror a stored picture as its EXIF orientation (1 to 8) says."""
    if orientation in _TURNED:
        image = cv2.transpose(image)
    across, down = orientation in (2, 3, 6, 7), orientation in (3, 4, 7, 8)
    return image[:: -1 if down else 1, :: -1 if across else 1]


def read_picture(path: Path, max_megapixels: float = MAX_MEGAPIXELS) -> Image:
    """Read a picture's file as `decode_picture` does. Raises PictureError, with the name of the file."""
    try:
        with path.open("rb") as file:
            return decode_picture(file.read(MAX_FILE_BYTES), max_megapixels)
    except PictureError as error:
        raise PictureError(f"{path}: {error}") from None
    except OSError as error:
        raise PictureError(f"{path}: cannot be read ({error.strerror}). Check its owner and mode") from None


def encode_jpeg(image: Image, max_width: int, quality: int) -> bytes:
    """Encode an image, scaled down to `max_width` pixels where it is wider. Empty when it cannot be encoded."""
    height, width = image.shape[:2]
    if width > max_width:
        size = (max_width, max(1, round(height * max_width / width)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    encoded, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return data.tobytes() if encoded else b""


def why_no_picture(path: Path) -> str:
    """Explain why there is no picture at `path`; "" where there is a file."""
    if is_file(path):
        return ""
    return f"{path}: is a folder" if is_dir(path) else f"{path}: {'is no file' if exists(path) else 'no such file'}"


def full_range(luma: Image) -> Image:
    """Expand limited-range luma, 16 to 235, to 0 to 255."""
    return np.asarray(cv2.LUT(luma, _EXPAND), np.uint8)


_EXPAND = np.clip(np.rint((np.arange(256) - 16) * 255 / 219), 0, 255).astype(np.uint8)


def _to_8_bits(image: np.ndarray) -> Image:
    if image.dtype == np.uint8:
        return image
    if image.dtype == np.uint16:
        most = int(image.max(initial=0))
        bits = next(bits for bits in _BITS if most < 1 << bits)
        return np.asarray(cv2.convertScaleAbs(image, alpha=255 / ((1 << bits) - 1)), np.uint8)
    return np.asarray(cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX, cv2.CV_8U), np.uint8)  # type: ignore[call-overload]


def _on_white(image: Image) -> Image:
    """Lay a BGRA picture on white."""
    alpha = image[:, :, 3:].astype(np.uint16)
    return ((image[:, :, :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


# ---- OpenCV's log ----

_quiet_lock = threading.Lock()
_quiet_depth = 0
_normal_level = 0


def set_log_level(level: int) -> int:
    """Set OpenCV's log level (0 is silent) and return the previous one."""
    # cv2.setLogLevel up to 4.11, cv2.utils.logging.setLogLevel in 4.14.
    module = cv2 if hasattr(cv2, "setLogLevel") else getattr(cv2.utils, "logging", None)
    return int(module.setLogLevel(level)) if module else level


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence OpenCV's warnings: ferd's own errors state the same with a remedy.

    The level is global to the process, so overlapping uses are counted.
    """
    global _quiet_depth, _normal_level  # noqa: PLW0603  # OpenCV's log level is global; so is our count of it
    with _quiet_lock:
        if _quiet_depth == 0:
            _normal_level = set_log_level(0)
        _quiet_depth += 1
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_depth -= 1
            if _quiet_depth == 0:
                set_log_level(_normal_level)
