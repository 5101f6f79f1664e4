from __future__ import annotations

import pytest

from ferd.encodings import EncodingError, decode_text


@pytest.mark.parametrize("data", ["grün\n".encode(), "grün\n".encode("utf-8-sig")])
def test_utf8_is_read_with_and_without_a_mark(data: bytes):
    assert decode_text(data) == "grün\n"
    assert decode_text(b"") == ""


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ("a\nb = 'grün'\n".encode("utf-16"), "UTF-16"),
        ("host = 'x'\n".encode("utf-16-le"), "UTF-16"),
        ("host = 'x'\n".encode("utf-32"), "UTF-32"),
        ("host = 'x'\n".encode("utf-16-be"), "UTF-16"),
        ("a = 1\nb = 'grün'\n".encode("latin-1"), "line 2 has a letter in Latin-1"),
        ("b = 'grün'\n".encode("cp1252"), "Windows"),
        (b"\x7fELF\x02\x01\xff\xfe", "not a text file"),
    ],
)
def test_other_encodings_are_named_without_showing_the_text(data: bytes, named: str):
    with pytest.raises(EncodingError, match=named) as raised:
        decode_text(data)
    assert "gr" not in str(raised.value).replace("Windows", "")
