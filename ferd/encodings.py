"""Decode text files that people write, and name the encoding of those that are not UTF-8."""

from __future__ import annotations

import codecs

_WIDE_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_WIDER_MARKS = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
INVISIBLE = "\u200b\u2060\ufeff"
"""Characters without width, which come along when text is copied from a web page."""
_MANY_ZEROS = 0.25
"""Share of zero bytes from which text counts as UTF-16 without a mark: Latin letters have a zero in every second."""


class EncodingError(ValueError):
    """The file is not UTF-8. Its text names the encoding and the remedy; it contains nothing of the file."""


def decode_text(data: bytes) -> str:
    """Return the text of a UTF-8 file without its byte order mark. Raises EncodingError."""
    if data.startswith(_WIDER_MARKS):
        raise EncodingError("it is UTF-32 text. Save it as UTF-8")
    if data.startswith(_WIDE_MARKS) or (data and data.count(0) > _MANY_ZEROS * len(data)):
        raise EncodingError("it is UTF-16 text, as some editors on Windows write it. Save it as UTF-8")
    try:
        return data.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        if any(byte < 32 and byte not in b"\t\n\r\f" for byte in data):
            raise EncodingError("it is not a text file") from None
        raise EncodingError(
            f"line {line} has a letter in Latin-1 or a Windows encoding instead of UTF-8. Save it as UTF-8"
        ) from None
