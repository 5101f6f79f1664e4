"""Unpack a downloaded export: a zip, a folder or a file.

A zip comes from a stranger: its names may lead out of the folder, its contents may expand without end. So the number
of files and bytes is bounded, and only regular files with plain names are written.
"""

from __future__ import annotations

import lzma
import os
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from ferd.errors import ModelError
from ferd.fs import exists, is_dir, is_file

MAX_FILES = 200
MAX_BYTES = 256 * 1024 * 1024
"""Limit for the unpacked files. Teachable Machine exports hold 1 to 6 MB; on a Pi Zero 2 W /tmp lies in 512 MB RAM."""
MAX_DEPTH = 12
"""Folders in one another: a SavedModel in a Teachable Machine zip has three."""
CHUNK = 1 << 16
_JUNK = ("__MACOSX/", ".DS_Store", "Thumbs.db", "desktop.ini")
_ENCRYPTED = 0x1
BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, UnicodeDecodeError)
"""Exceptions of zipfile on damaged files."""


def unpack(source: Path, into: Path) -> Path:
    """Return the folder with the export's files: `into`, filled from a zip, or the folder that was given.

    A single file is returned as it is. Raises ModelError with the remedy; `into` may then hold some files.
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


def list_files(folder: Path) -> list[Path]:
    """List the regular files in the folder and below, sorted. Raises ModelError when there are too many, or too deep.

    Links to folders are not followed: they may lead in a circle.
    """
    files: list[Path] = []
    seen = 0
    for parent, folders, names in os.walk(folder):
        seen += 1 + len(names)
        depth = len(Path(parent).relative_to(folder).parts)
        if depth > MAX_DEPTH:
            raise ModelError(f"{folder}: holds more than {MAX_DEPTH} folders in one another; no export does that")
        if seen > MAX_FILES + len(_JUNK) * 4:
            raise ModelError(f"{folder}: holds more than {MAX_FILES} files; give the folder of the export itself")
        folders[:] = sorted(name for name in folders if f"{name}/" not in _JUNK)
        files += [Path(parent, name) for name in names if name not in _JUNK and is_file(Path(parent, name))]
    return sorted(files)


def _starts_as_zip(source: Path) -> bool:
    with source.open("rb") as stream:
        return stream.read(4) == b"PK\x03\x04"


def _unzip(source: Path, into: Path) -> None:
    try:
        with zipfile.ZipFile(source) as archive:
            entries = [e for e in archive.infolist() if not e.is_dir() and not any(j in e.filename for j in _JUNK)]
            _check(source, entries)
            left = MAX_BYTES
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
    if len(entries) > MAX_FILES:
        raise ModelError(
            f"{source}: holds {len(entries)} files, more than an export of one model (at most {MAX_FILES})"
        )
    if any(entry.flag_bits & _ENCRYPTED for entry in entries):
        raise ModelError(f"{source}: is locked with a password. Unpack it and give the folder")
    for entry in entries:
        _safe(source, entry)
    if sum(entry.file_size for entry in entries) > MAX_BYTES:
        raise _too_much(source)


def _safe(source: Path, entry: zipfile.ZipInfo) -> PurePosixPath:
    """Return the entry's place below the folder. Raises ModelError for a name that leads out of it, and for a link."""
    name = PurePosixPath(entry.filename.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts or ":" in entry.filename or not name.parts:
        raise ModelError(
            f"{source}: holds {entry.filename!r}, a name that leads out of the folder. No export does that"
        )
    if len(name.parts) > MAX_DEPTH:
        raise ModelError(f"{source}: holds more than {MAX_DEPTH} folders in one another. No export does that")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise ModelError(f"{source}: holds the link {entry.filename!r}. No export does that")
    return name


def _write(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, limit: int, source: Path) -> int:
    """Unpack one file of at most `limit` bytes, whatever its header says. Returns its size."""
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with archive.open(entry) as stream, target.open("wb") as out:
        while chunk := stream.read(CHUNK):
            written += len(chunk)
            if written > limit:
                raise _too_much(source)
            out.write(chunk)
    return written


def _too_much(source: Path) -> ModelError:
    return ModelError(f"{source}: unpacks to more than {MAX_BYTES >> 20} MB; a model for a Pi is far smaller")
