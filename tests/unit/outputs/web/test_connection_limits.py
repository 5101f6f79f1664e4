"""Bounds on connections and on time, with a clock that is turned by hand."""

import pytest

from ferd.outputs.web.connection_limits import ANSWERED_WITHIN_S, READS_WITHIN_S, ConnectionLimits


class Line:
    def __init__(self):
        self.unread, self.cut = 0, False

    def get_write_buffer_size(self):
        return self.unread

    def abort(self):
        self.cut = True


@pytest.fixture
def door():
    door = ConnectionLimits(2, lambda: door.now)
    door.now = 0.0
    return door


def test_the_idle_one_makes_room(door):
    lines = [Line() for _ in range(3)]
    for line in lines:
        door.now += 1
        assert door.enter(line)
    assert [line.cut for line in lines] == [True, False, False]


def test_who_asks_or_looks_keeps_the_place(door):
    asking, looking, late = Line(), Line(), Line()
    door.enter(asking)
    door.enter(looking)
    door.guest(asking).asking = True
    door.guest(looking).is_socket = True
    assert not door.enter(late)
    assert (late.cut, asking.cut, looking.cut) == (True, False, False)


def test_who_was_never_answered_goes_before_who_was(door):
    known, new = Line(), Line()
    door.enter(known)
    door.answered(known)
    door.now = 1.0
    door.enter(new)
    assert door.enter(Line())
    assert (known.cut, new.cut) == (False, True)


def test_a_request_that_never_ends_is_cut(door):
    slow = Line()
    door.enter(slow)
    door.guest(slow).asking = True
    door.now = ANSWERED_WITHIN_S - 1
    door.sweep()
    assert not slow.cut
    door.now += 1
    door.sweep()
    assert slow.cut
    assert len(door) == 0


def test_who_does_not_read_is_cut_also_a_looker(door):
    reader, sleeper = Line(), Line()
    for line in (reader, sleeper):
        door.enter(line)
        door.guest(line).is_socket = True
    for second in range(int(READS_WITHIN_S) + 2):
        door.now = float(second)
        sleeper.unread, reader.unread = 5000, 5000 if second % 3 else 0
        door.sweep()
    assert (reader.cut, sleeper.cut) == (False, True)
