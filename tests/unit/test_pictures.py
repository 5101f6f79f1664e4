from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from ferd.errors import PictureError
from ferd.pictures import decode_jpeg, decode_picture, jpeg_header, read_header, read_picture


def ramp(width: int = 64, height: int = 48) -> np.ndarray:
    """A picture (H, W, 3), brighter to the right and to the bottom."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 2 + y, x + y * 2, x * 2 + y * 2 + 10], axis=-1).astype(np.uint8)


def encode(suffix: str, image: np.ndarray, *options: int) -> bytes:
    return cv2.imencode(suffix, image, options)[1].tobytes()


def png(width: int, height: int, *, bits: int = 8, colour: int = 0, data: bytes = b"") -> bytes:
    """A PNG with this header, whatever its data."""
    chunks = b""
    for name, content in ((b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)), (b"IDAT", data)):
        chunks += struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
    return b"\x89PNG\r\n\x1a\n" + chunks


def exif(orientation: int) -> bytes:
    tiff = b"MM\0\x2a\0\0\0\x08\0\x01" + struct.pack(">HHIHH", 0x112, 3, 1, orientation, 0) + bytes(4)
    return b"\xff\xe1" + struct.pack(">H", len(tiff) + 8) + b"Exif\0\0" + tiff


def turned_jpeg(orientation: int) -> bytes:
    data = encode(".jpg", ramp())
    return data[:2] + exif(orientation) + data[2:]


class TestHeader:
    @pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tif", ".ppm", ".pbm"])
    def test_size(self, suffix: str) -> None:
        picture = ramp(70, 50)
        header = read_header(encode(suffix, picture[:, :, 0] if suffix == ".pbm" else picture))
        assert (header.width, header.height, header.shape) == (70, 50, (50, 70))

    def test_size_of_webp_without_loss(self) -> None:
        header = read_header(encode(".webp", ramp(70, 50), cv2.IMWRITE_WEBP_QUALITY, 101))
        assert (header.width, header.height) == (70, 50)

    @pytest.mark.parametrize(("orientation", "shape"), [(1, (48, 64)), (3, (48, 64)), (6, (64, 48)), (8, (64, 48))])
    def test_a_turned_jpeg(self, orientation: int, shape: tuple[int, int]) -> None:
        data = turned_jpeg(orientation)
        header = read_header(data)
        assert header.shape == shape
        assert decode_jpeg(data, gray=True).shape == shape

    def test_a_thumbnail_is_not_the_picture(self) -> None:
        data, inside = encode(".jpg", ramp()), encode(".jpg", ramp(16, 16))
        segment = b"\xff\xe2" + struct.pack(">H", len(inside) + 2) + inside
        assert read_header(data[:2] + segment + data[2:]).shape == (48, 64)

    def test_progressive(self) -> None:
        assert read_header(encode(".jpg", ramp(), cv2.IMWRITE_JPEG_PROGRESSIVE, 1)).progressive
        assert not read_header(encode(".jpg", ramp())).progressive

    def test_every_beginning_of_a_jpeg_is_waited_for_or_complete(self) -> None:
        data = encode(".jpg", ramp())
        whole = jpeg_header(data)
        assert whole is not None
        for size in range(2, len(data), 7):
            assert jpeg_header(data[:size]) == (None if size < whole.data_at else whole)

    @pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tif", ".ppm"])
    def test_cut_off_anywhere(self, suffix: str) -> None:
        data = encode(suffix, ramp())
        for size in [0, 1, 2, 4, 8, 12, 16, 20, 30]:
            with pytest.raises(PictureError):
                decode_picture(data[:size])

    def test_random_bytes_behind_every_magic(self) -> None:
        generator = np.random.default_rng(0)
        for magic in (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF1234WEBPVP8 ", b"BM", b"II*\0", b"MM\0*", b"P5\n"):
            for _ in range(30):
                with pytest.raises(PictureError):
                    decode_picture(magic + generator.bytes(200), max_megapixels=0.01)


class TestRefused:
    def test_by_its_header_before_it_is_decoded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cv2, "imdecode", None)
        with pytest.raises(PictureError, match=r"60000x60000 pixels, more than the limit of 64 megapixels"):
            decode_picture(png(60_000, 60_000))
        with pytest.raises(PictureError, match="limit of 1 megapixels"):
            decode_picture(png(1001, 1000), max_megapixels=1)

    @pytest.mark.parametrize("brand", [b"heic", b"mif1", b"avif"])
    def test_heic_with_the_remedy(self, tmp_path: Path, brand: bytes) -> None:
        file = tmp_path / "photo.heic"
        file.write_bytes(b"\0\0\0\x18ftyp" + brand + bytes(100))
        with pytest.raises(PictureError, match=r"photo.heic: HEIC and AVIF .*heif-convert"):
            read_picture(file)

    def test_what_is_no_picture(self) -> None:
        with pytest.raises(PictureError, match=r"not a picture that ferd reads \(.*\.png"):
            decode_picture(b"<html>" * 100)

    def test_without_pixels(self) -> None:
        with pytest.raises(PictureError, match="0x5 pixels: it is broken"):
            decode_picture(png(0, 5))

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(PictureError, match=r"none.png: cannot be read"):
            read_picture(tmp_path / "none.png")


class TestShowsWhatIsThere:
    @pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".ppm"])
    def test_colours(self, suffix: str) -> None:
        assert (decode_picture(encode(suffix, ramp())) == ramp()).all()

    def test_gray(self) -> None:
        image = decode_picture(encode(".png", ramp()[:, :, 0]))
        assert (image == ramp()[:, :, :1]).all()

    @pytest.mark.parametrize("bits", [10, 12, 14, 16])
    @pytest.mark.parametrize("channels", [1, 3])
    def test_more_than_8_bits_in_16(self, bits: int, channels: int) -> None:
        full = np.linspace(0, (1 << bits) - 1, 64 * 48).reshape(48, 64).astype(np.uint16)
        image = decode_picture(encode(".png", full if channels == 1 else np.repeat(full[:, :, None], 3, axis=2)))
        assert image.shape == (48, 64, 3)
        assert np.abs(image[:, :, 1].astype(int) - np.linspace(0, 255, 64 * 48).reshape(48, 64)).max() <= 1

    def test_transparent_parts_are_white(self) -> None:
        picture = np.dstack([ramp(), np.full((48, 64), 255, np.uint8)])
        picture[:24, :, 3] = 0
        picture[24:30, :, 3] = 128
        image = decode_picture(encode(".png", picture))
        assert (image[:24] == 255).all()
        assert (image[30:] == ramp()[30:]).all()
        assert np.abs(image[24:30].astype(int) - (ramp()[24:30].astype(int) + 255) / 2).max() <= 1

    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP", "TIFF"])
    @pytest.mark.parametrize("alpha", [False, True])
    def test_orientation_of_exif(self, orientation: int, kind: str, alpha: bool) -> None:
        """A picture that was stored turned and mirrored shows what it showed before, also one with transparency."""
        pillow = pytest.importorskip("PIL.Image")
        how = pillow.Transpose
        stored = (None, how.FLIP_LEFT_RIGHT, how.ROTATE_180, how.FLIP_TOP_BOTTOM, how.TRANSPOSE, how.ROTATE_90,
                  how.TRANSVERSE, how.ROTATE_270)[orientation - 1]  # fmt: skip
        if kind == "JPEG" and alpha:
            pytest.skip("JPEG has no transparency")
        smooth = cv2.GaussianBlur(ramp(), (0, 0), 2)
        picture = pillow.fromarray(smooth[:, :, ::-1].copy())
        if alpha:
            picture.putalpha(255)
            picture.putpixel((60, 45), (0, 0, 0, 250))
        picture = picture if stored is None else picture.transpose(stored)
        tags, file = pillow.Exif(), io.BytesIO()
        tags[0x112] = orientation
        picture.save(file, kind, exif=tags, **({"lossless": True} if kind == "WebP" else {}))
        image = decode_picture(file.getvalue())
        assert image.shape == smooth.shape
        assert np.abs(image[:40, :56].astype(int) - smooth[:40, :56]).mean() < 3

    def test_tiff_of_floating_point(self) -> None:
        image = decode_picture(encode(".tif", np.linspace(0, 1, 64 * 48, dtype=np.float32).reshape(48, 64)))
        assert np.abs(image[:, :, 1].astype(int) - np.linspace(0, 255, 64 * 48).reshape(48, 64)).max() <= 1

    def test_cmyk(self) -> None:
        pillow = pytest.importorskip("PIL.Image")
        smooth = cv2.GaussianBlur(ramp(), (0, 0), 2)
        file = io.BytesIO()
        pillow.fromarray(smooth[:, :, ::-1].copy()).convert("CMYK").save(file, "JPEG", quality=95)
        assert np.abs(decode_picture(file.getvalue()).astype(int) - smooth).mean() < 4
        assert np.abs(decode_jpeg(file.getvalue(), gray=True).astype(int) - cv2.cvtColor(smooth, 6)).mean() < 4
