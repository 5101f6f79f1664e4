"""An export as it was downloaded, a zip, a folder or a file, as a folder of plain files that can be looked at.

A zip is a stranger's: its names may climb out of the folder, its contents may unfold without end. What is unpacked
is bounded in files and bytes, and only plain files with plain names come out.
"""

from __future__ import annotations

import lzma
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from ferd.errors import ModelError
from ferd.fs import exists, is_dir, is_file

MOST_FILES = 200
MOST_BYTES = 256 * 1024 * 1024
"""Unpacked. Exports of Teachable Machine hold 1 to 6 MB; a Pi Zero 2 W has 512 MB of memory, and /tmp lies in it."""
CHUNK = 1 << 16
_JUNK = ("__MACOSX/", ".DS_Store", "Thumbs.db", "desktop.ini")
_ENCRYPTED = 0x1
BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, UnicodeDecodeError)
"""What zipfile raises on nonsense."""


def unpack(source: Path, into: Path) -> Path:
    """The folder that holds the export's files: `into`, filled from a zip, or the folder that was given.

    A bare file comes back as it is. Raises ModelError with the remedy; what was unpacked until then stays in `into`.
    """
    if is_dir(source):
        return source
    if not is_file(source):
        what = "is neither a file nor a folder" if exists(source) else "is not there"
        raise ModelError(f"{source}: {what}. Give the zip as it was downloaded, a folder or a .tflite file")
    # A .tflite with metadata ends in a zip of its labels, so the name of the file counts as well.
    # A .keras file is a zip as well, but one that Keras opens.
    if source.suffix.lower() == ".zip" or (_starts_as_zip(source) and source.suffix.lower() != ".keras"):
        _unzip(source, into)
        return into
    return source


def plain_files(folder: Path) -> list[Path]:
    """Files in the folder and in folders of it, a bounded number, in a stable order."""
    files = []
    for path in sorted(folder.rglob("*")):
        if is_file(path) and not any(junk.rstrip("/") in path.parts for junk in _JUNK):
            files.append(path)
        if len(files) > MOST_FILES:
            raise ModelError(f"{folder}: holds more than {MOST_FILES} files; give the folder of the export itself")
    return files


def _starts_as_zip(source: Path) -> bool:
    with source.open("rb") as stream:
        return stream.read(4) == b"PK\x03\x04"


def _unzip(source: Path, into: Path) -> None:
    try:
        with zipfile.ZipFile(source) as archive:
            entries = [e for e in archive.infolist() if not e.is_dir() and not any(j in e.filename for j in _JUNK)]
            _check(source, entries)
            left = MOST_BYTES
            for entry in entries:
                left -= _write(archive, entry, into / _safe(source, entry), left, source)
    except BROKEN as error:
        raise ModelError(f"{source}: is a broken zip ({error}). Download it again") from None
    except OSError as error:  # a name too long, a file that is a folder as well, bzip2 nonsense, a full disk
        raise ModelError(
            f"{source}: cannot be unpacked ({error.strerror or error}). Is there room in {into.parent.parent}? "
            "Else download it again"
        ) from None


def _check(source: Path, entries: list[zipfile.ZipInfo]) -> None:
    if not entries:
        raise ModelError(f"{source}: is an empty zip. Export the model again")
    if len(entries) > MOST_FILES:
        raise ModelError(f"{source}: holds {len(entries)} files, no export of one model does (at most {MOST_FILES})")
    if any(entry.flag_bits & _ENCRYPTED for entry in entries):
        raise ModelError(f"{source}: is locked with a password. Unpack it and give the folder")
    for entry in entries:
        _safe(source, entry)
    if sum(entry.file_size for entry in entries) > MOST_BYTES:
        raise _too_much(source)


def _safe(source: Path, entry: zipfile.ZipInfo) -> PurePosixPath:
    """The entry's place below the folder. Raises ModelError for a name that leads out of it, and for a link."""
    name = PurePosixPath(entry.filename.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts or ":" in entry.filename or not name.parts:
        raise ModelError(
            f"{source}: holds {entry.filename!r}, a name that leads out of the folder. No export does that"
        )
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise ModelError(f"{source}: holds the link {entry.filename!r}. No export does that")
    return name


def _write(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, most: int, source: Path) -> int:
    """Unpack one file, `most` bytes at most, whatever its header says; returns how many it has."""
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with archive.open(entry) as stream, target.open("wb") as out:
        while chunk := stream.read(CHUNK):
            written += len(chunk)
            if written > most:
                raise _too_much(source)
            out.write(chunk)
    return written


def _too_much(source: Path) -> ModelError:
    return ModelError(f"{source}: unpacks to more than {MOST_BYTES >> 20} MB; a model for a Pi is far smaller")
