"""Names of classes in the forms in which people export them, and those that cannot be used."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferd.errors import ModelError
from ferd.models.labels import MAX_LABELS, check_publishable, double_encoded, encoding_of, label_doubts, parse_labels

THREE = ("Happy", "Sad", "Angry")
PBTXT = """item {
  id: 2
  name: 'Sad'
}
item { id: 1 name: "Happy" }
item { name: 'x' display_name: 'Angry' id: 3 }
"""


@pytest.fixture
def parse(tmp_path):
    def parse(content, classes=None):
        path = tmp_path / "labels.txt"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return parse_labels(path, classes)

    return parse


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("0 Happy\n1 Sad\n", ("Happy", "Sad")),
        ("0\tHappy\n1\tVery  sad\n", ("Happy", "Very  sad")),
        ("No\u00a0mask\n\U0001f469\u200d\U0001f9b0\n", ("No\u00a0mask", "\U0001f469\u200d\U0001f9b0")),
        ("Happy\nSad", ("Happy", "Sad")),
        (" Happy\r\n  Sad\r\n", ("Happy", "Sad")),
        ("\ufeff0 Glücklich\n1 müde\n\n", ("Glücklich", "müde")),
        ("0 wink left\n1 wink right", ("wink left", "wink right")),
        ("0\n1\n2", ("0", "1", "2")),
        ("1 Happy\n2 Sad\n3 Angry\n", THREE),
        ("0: Happy\n1: Sad\n2: Angry\n", THREE),
        ("1. Happy\n2. Sad\n3. Angry\n", THREE),
        ("0,Happy\n1,Sad\n2,Angry\n", THREE),
        ("Happy,0\nSad,1\nAngry,2\n", THREE),
        ("Sad,1\nAngry,2\nHappy,0\n", THREE),
        ('["Happy", "Sad", "Angry"]', THREE),
        ('{"0": "Happy", "1": "Sad", "2": "Angry"}', THREE),
        ('{"2": "Angry", "0": "Happy", "1": "Sad"}', THREE),
        ('{"Happy": 0, "Angry": 2, "Sad": 1}', THREE),
        ('{"labels": ["Happy", "Sad", "Angry"], "version": 3}', THREE),
        (PBTXT, THREE),
        ("0 fingers\n1 finger\n2 fingers\n", ("0 fingers", "1 finger", "2 fingers")),
        ("3 fingers\n5 fingers\n", ("3 fingers", "5 fingers")),
        ("0.5 mm\n1.5 mm\n", ("0.5 mm", "1.5 mm")),
        ("2 Angry\n0 Happy\n1 Sad\n", THREE),
        ("\n".join(f"{n} c{n}" for n in sorted(range(11), key=str)), tuple(f"c{n}" for n in range(11))),
        ("[0] Happy\n[1] Sad\n[2] Angry\n", THREE),
        ("(1) Happy\n(2) Sad\n(3) Angry\n", THREE),
        ("#0 Happy\n#1 Sad\n#2 Angry\n", THREE),
        ("0 - Happy\n1 - Sad\n2 - Angry\n", THREE),
        ("0 -> Happy\n1 -> Sad\n2 -> Angry\n", THREE),
        ("0_Happy\n1_Sad\n2_Angry\n", THREE),
        ("00-Happy\n01-Sad\n02-Angry\n", THREE),
        ("0_fingers\n1_fingers\n", ("0_fingers", "1_fingers")),
        ("-1 degrees\n-2 degrees\n", ("-1 degrees", "-2 degrees")),
        ('"Happy"\n"Sad"\n"Angry"\n', THREE),
        ('0,"Happy"\n1,"Sad"\n2,"Angry"\n', THREE),
        ('"Happy"\nSad "again"\n', ('"Happy"', 'Sad "again"')),
        ("- Happy\n- Sad\n- Angry\n", THREE),
        ("names:\n- Happy\n- Sad\n- Angry\n", THREE),
        ("names: ['Happy', 'Sad', 'Angry']\n", THREE),
        ("['Happy', 'Sad', 'Angry']", THREE),
        ("{0: 'Happy', 1: 'Sad', 2: 'Angry'}", THREE),
        ('["Happy", "Sad", "Angry",]', THREE),
        ('{"model_type": "vit", "id2label": {"0": "Happy", "1": "Sad", "2": "Angry"}}', THREE),
        ('[{"id": 1, "name": "Sad"}, {"id": 0, "name": "Happy"}, {"id": 2, "name": "Angry"}]', THREE),
        ('{"Happy": "0", "Sad": "1", "Angry": "2"}', THREE),
        ('{"0": ["n1", "Happy"], "1": ["n2", "Sad"], "2": ["n3", "Angry"]}', THREE),
        ("Happy\u200b\nSad\nAngry\ufeff\n", THREE),
        ("Mu\u0308de\nwach\n", ("M\u00fcde", "wach")),
    ],
)  # fmt: skip
def test_labels_in_all_their_forms(parse, text, labels):
    assert parse(text) == labels


def test_one_line_of_names_where_there_are_several_classes(parse):
    assert parse("Happy, Sad,Angry\n", 3) == THREE
    assert parse("Happy, Sad,Angry\n", 2) == ("Happy, Sad,Angry",)


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be", "latin-1", "cp1252"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_labels_in_all_encodings(parse, encoding):
    assert parse("0 Fröhlich\r\n1 Müde\r\n2 Wütend\r\n".encode(encoding)) == ("Fröhlich", "Müde", "Wütend")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32-le"])
def test_labels_without_latin_letters_in_wide_encodings(parse, encoding):
    assert parse("0 嬉しい\n1 悲しい\n2 怒り\n".encode(encoding)) == ("嬉しい", "悲しい", "怒り")


@pytest.mark.parametrize(
    ("content", "classes", "reason"),
    [
        (b"", None, "holds no label"),
        (b"\n\n", None, "holds no label"),
        (b"\xff\xfe\x00", None, "not a text file"),
        ("0 Happy\n1 \n2 Sad\n", None, "the class 1 has no name"),
        ("Happy\n\nSad\nAngry\n", 4, "line 2 is empty"),
        ("a,0\nb,1\na,2\n", None, "holds a twice"),
        ("a\na\nb\n", None, "holds a twice"),
        ("M\u00fcde\nMu\u0308de\n", None, "twice"),
        ("a\na\u200b\n", None, "holds a twice"),
        ('{"0": "a", "2": "b"}', None, "count from 0 or 1 without a gap"),
        ('{"0": "a", "1": 5.5}', None, "is expected in this JSON"),
        ('{"0": "a"', None, "begins like JSON and is not"),
        ("[" * 100_000, None, "begins like JSON and is not"),
        ("item { name: 'a' }", None, "lacks its id or name"),
        ("a\x1b[31m\nb\n", None, "cannot be shown"),
        ("a" * 1000 + "\nb\n", None, "has 1000 characters"),
        ("".join(f"class {n}\n" for n in range(MAX_LABELS + 1)), None, f"{MAX_LABELS} are supported"),
        (b"a" * (2 << 20), None, "is larger than 1 MB"),
    ],
)
def test_labels_that_are_none(parse, content, classes, reason):
    with pytest.raises(ModelError, match=r"labels\.txt") as told:
        parse(content, classes)
    assert reason in str(told.value)
    assert len(str(told.value)) < 600


def test_a_heading_is_no_class(parse):
    assert parse("name,id\nHappy,0\nSad,1\n", classes=2) == ("Happy", "Sad")


def test_an_empty_line_that_is_no_class(parse):
    assert parse("Happy\n\nSad\nAngry\n", classes=3) == THREE


def test_the_time_for_many_labels_grows_with_their_number(parse):
    """All of them against each other would be seconds."""
    text = "".join(f"a{n}\n" for n in range(140_000))
    began = time.process_time()
    with pytest.raises(ModelError, match="140000 labels"):
        parse(text[: (1 << 20) - 1] if len(text) > 1 << 20 else text)
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    "text",
    [
        "item {" * 150_000,
        "item {" + "a" * 900_000 + "}",
        "x" + " " * 900_000 + "y",
        "x" + " ," * 400_000,
        "[" + "-" * 400_000,
    ],
)
def test_the_time_for_a_hostile_file_grows_with_its_size(parse, text):
    """Quadratic time would be minutes."""
    began = time.process_time()
    with pytest.raises(ModelError):
        parse(text, 3)
    assert time.process_time() - began < 10


@pytest.mark.parametrize("label", ["None", "unknown", "UNAVAILABLE", "x" * 300])
def test_a_class_that_reads_like_no_value(label):
    with pytest.raises(ModelError, match="--rename"):
        check_publishable(["Happy", label], "x.zip")


def test_other_classes_can_be_published():
    check_publishable(["on", "off", "nobody", "Nonesuch", "笑顔"], "x.zip")


@pytest.mark.parametrize(
    ("label", "meant"),
    [
        ("MÃ¼de", "Müde"),
        ("FrÃ¶hlich", "Fröhlich"),
        ("FrÃƒÂ¶hlich", "Fröhlich"),
        ("GlÃ¼cklichâ€¦", "Glücklich…"),
        ("Müde", None),
        ("Ärger", None),
        ("naïve", None),
        ("Счастье", None),
        ("幸せ", None),
        ("happy", None),
        ("©", None),
    ],
)
def test_a_label_that_was_encoded_twice(label: str, meant: str | None):
    assert double_encoded(label) == meant


LETTERS = st.characters(min_codepoint=0xC0, max_codepoint=0x17F, categories=["L"])


@given(st.text(alphabet=LETTERS, min_size=1, max_size=8))
def test_any_word_that_was_encoded_twice(word: str):
    assert double_encoded(word) is None
    assert double_encoded(word.encode().decode("latin-1")) == word


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("utf-8", None),
        ("utf-8-sig", None),
        ("utf-16", "UTF-16"),
        ("utf-16-be", "UTF-16"),
        ("utf-32", "UTF-32"),
        ("cp1252", "Windows-1252"),
    ],
)
def test_what_a_file_was_read_as_is_said(tmp_path, encoding, name):
    file = tmp_path / "labels.txt"
    file.write_bytes("Müde\nFröhlich\n".encode(encoding))
    labels = parse_labels(file)
    assert labels == ("Müde", "Fröhlich")
    assert encoding_of(file) == name
    doubts = label_doubts(labels, file)
    assert len(doubts) == (name is not None)
    if name is not None:
        assert f"labels.txt is not UTF-8. It was read as {name}: Müde, Fröhlich. If that is wrong, save" in doubts[0]


def test_plain_letters_are_beyond_doubt_in_any_encoding(tmp_path):
    file = tmp_path / "labels.txt"
    file.write_bytes("tired\nhappy\n".encode("utf-16"))
    assert label_doubts(parse_labels(file), file) == []


def test_letters_that_cannot_be_shown_because_they_were_encoded_twice(tmp_path):
    file = tmp_path / "labels.txt"
    file.write_text("Á la carte\nb\n".encode().decode("latin-1"), encoding="utf-8")
    with pytest.raises(ModelError, match='it is "Á la carte", encoded twice: save the file as UTF-8'):
        parse_labels(file)
