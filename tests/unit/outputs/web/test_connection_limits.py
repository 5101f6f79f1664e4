"""Hold the limits on connections and on time, with a clock that is set by hand."""

import pytest

from ferd.outputs.web.connection_limits import REQUEST_TIMEOUT_S, SLOW_AFTER_S, ConnectionLimits

SERVER = ("127.0.0.1", 8322)


class Transport:
    def __init__(self, port):
        self.client = ("192.0.2.7", port)
        self.unread, self.aborted, self.closing = 0, False, False

    def get_extra_info(self, name):
        return SERVER if name == "sockname" else self.client

    def get_write_buffer_size(self):
        return self.unread

    def is_closing(self):
        return self.closing or self.aborted

    def abort(self):
        self.aborted = True


@pytest.fixture
def limits():
    limits = ConnectionLimits(2, lambda: limits.now)
    limits.now = 0.0
    return limits


@pytest.fixture
def connect(limits):
    made = []

    def connect():
        made.append(Transport(len(made)))
        limits.admit(made[-1])
        return made[-1]

    return connect


def begin(limits, transport, *, websocket=False):
    connection = limits.find(SERVER, transport.client)
    limits.begin(connection, websocket=websocket)
    return connection


def test_a_new_connection_replaces_the_one_that_is_idle_the_longest(limits, connect):
    made = []
    for _ in range(3):
        limits.now += 1
        made.append(connect())
    assert [one.aborted for one in made] == [True, False, False]


def test_busy_connections_and_viewers_are_kept(limits, connect):
    busy, viewer = connect(), connect()
    begin(limits, busy)
    begin(limits, viewer, websocket=True)
    late = connect()
    assert (late.aborted, busy.aborted, viewer.aborted) == (True, False, False)


def test_a_connection_that_never_asked_goes_before_one_that_did(limits, connect):
    known, new = connect(), connect()
    limits.end(begin(limits, known))
    limits.now = 1.0
    connect()
    assert (known.aborted, new.aborted) == (False, True)


@pytest.mark.parametrize("asked", [False, True])
def test_a_slow_request_is_closed(limits, connect, asked):
    """Also one whose answer is not read to its end."""
    slow = connect()
    if asked:
        limits.now = 10.0
        begin(limits, slow)
    limits.now += REQUEST_TIMEOUT_S - 1
    limits.check()
    assert not slow.aborted
    limits.now += 1
    limits.check()
    assert slow.aborted
    assert len(limits) == 0


def test_a_viewer_may_stay_until_it_ends(limits, connect):
    viewer = connect()
    connection = begin(limits, viewer, websocket=True)
    limits.now = 10_000.0
    limits.check()
    assert not viewer.aborted
    limits.end(connection)
    viewer.closing, viewer.unread = True, 5000  # it was disconnected, and does not read the rest
    limits.now += REQUEST_TIMEOUT_S
    limits.check()
    assert viewer.aborted


def test_a_closed_connection_leaves_its_place(limits, connect):
    first, second = connect(), connect()
    first.closing = second.closing = True
    third = connect()
    assert not third.aborted
    assert len(limits) == 1


def test_a_slow_body_goes_before_a_known_browser_and_a_quick_request_stays(limits, connect):
    browser, slow = connect(), connect()
    limits.end(begin(limits, browser))
    limits.begin(limits.find(SERVER, slow.client), websocket=False, awaits_body=True)
    limits.now = SLOW_AFTER_S / 2
    assert (connect().aborted, browser.aborted, slow.aborted) == (False, True, False), "it may still be on its way"
    limits.now = 0.6
    assert not slow.aborted
    limits.now = SLOW_AFTER_S
    connect()
    assert slow.aborted


def test_an_answer_that_nobody_reads_makes_room(limits, connect):
    unread, other = connect(), connect()
    begin(limits, unread)
    begin(limits, other)
    unread.unread = 5000
    limits.now = SLOW_AFTER_S
    connect()
    assert (unread.aborted, other.aborted) == (True, False)


def test_the_client_with_the_most_connections_gives_way():
    limits = ConnectionLimits(4, lambda: 0.0)
    made = [Transport(port) for port in range(5)]
    made[0].client = ("192.0.2.1", 5000)
    for transport in made:
        limits.admit(transport)
    assert [one.aborted for one in made] == [False, True, False, False, False]
