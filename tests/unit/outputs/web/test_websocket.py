"""A looker's line: frames as RFC 6455 wants them, and answers told apart from whatever else comes."""

import pytest

from ferd.outputs.web.websocket import WebSocketLine, framed

NEXT = b"\x81\x84\x01\x02\x03\x04next"
PING, PONG = b"\x89\x80\0\0\0\0", b"\x8a\x84\0\0\0\0abcd"


class Transport:
    def __init__(self):
        self.written, self.closing = b"", False

    def is_closing(self):
        return self.closing

    def write(self, data):
        self.written += data


@pytest.fixture
def line():
    line = WebSocketLine(Transport())
    line.answers = 0

    def answered():
        line.answers += 1

    line.on_answer = answered
    return line


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, b"\x82\x00"),
        (125, b"\x82\x7d"),
        (126, b"\x82\x7e\x00\x7e"),
        (65535, b"\x82\x7e\xff\xff"),
        (65536, b"\x82\x7f\0\0\0\0\0\x01\0\0"),
    ],
)
def test_a_message_becomes_one_frame(size, head):
    assert framed(b"x" * size) == head + b"x" * size


def test_answers_are_told_and_nothing_is_left(line):
    assert line.rest(NEXT) == b""
    assert line.rest(NEXT + NEXT) == b""
    assert line.answers == 3


def test_before_somebody_listens_all_goes_on():
    assert WebSocketLine(Transport()).rest(NEXT) == NEXT


@pytest.mark.parametrize("control", [PING, PONG])
def test_a_control_frame_goes_on_and_answers_are_heard_after_it(line, control):
    assert line.rest(control) == control
    assert line.rest(NEXT + control) == control
    assert line.rest(NEXT) == b""
    assert line.answers == 2


@pytest.mark.parametrize("cut", range(1, len(NEXT)))
def test_a_frame_in_pieces_is_left_whole_to_others(line, cut):
    """What follows a piece may begin anywhere: nothing is taken for an answer any more, and no byte is lost."""
    pieces = [NEXT + NEXT[:cut], NEXT[cut:], NEXT]
    assert b"".join(line.rest(piece) for piece in pieces) == NEXT + NEXT
    assert line.answers == 1


@pytest.mark.parametrize(
    "nonsense",
    [b"\x81\x04next", b"\x81\xfe\xff\xff\0\0\0\0", b"\x01\x84\0\0\0\0next", b"\x82\x84\0\0\0\0next", b"GET / HTTP/1.1"],
)
def test_what_is_no_answer_goes_on(line, nonsense):
    assert line.rest(nonsense) == nonsense
    assert line.answers == 0


def test_to_a_closed_line_nothing_is_written(line):
    line.send(b"a")
    line._transport.closing = True
    line.send(b"b")
    assert line._transport.written == b"a"
