"""One screen shows what was published, and survives whatever else is published."""

import io

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from ferd.outputs.terminal import Screen


def drawn(screen, now):
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(screen.render(now))
    return console.export_text()


def test_the_screen_shows_who_is_there_and_how_they_look():
    screen = Screen(["broker: here"])
    screen.feed("ferd/pi/status", b"online", 0)
    screen.feed("ferd/pi/info", b'{"v":1,"model":"expression"}', 0)
    screen.feed("ferd/pi/desk/status", b"online", 0)
    screen.feed("ferd/pi/desk/state", b'{"v":1,"expression":"happiness","confidence":0.83,"faces":2}', 1)
    screen.feed("ferd/pi/desk/event", b'{"event_type":"face_left","at":"2026-11-22T11:37:33.120Z"}', 2)
    text = drawn(screen, 10)
    for part in (
        "broker: here",
        "pi",
        "online",
        "model expression",
        "desk",
        "happiness",
        "0.83",
        "2 faces",
        "face left",
    ):
        assert part in text, part


def test_a_camera_that_is_switched_off_sees_not_nobody_but_nothing():
    screen = Screen()
    screen.feed("ferd/pi/desk/status", b"disabled", 0)
    text = drawn(screen, 1)
    assert "switched off" in text
    assert "nobody" not in text
    assert "0 faces" not in text


def test_messages_that_only_wait_are_not_counted_as_sent():
    screen = Screen()
    screen.delivered = False
    screen.feed("ferd/pi/status", b"online", 0)
    assert "no message delivered yet" in drawn(screen, 1)
    screen.delivered = True
    assert "1 messages" in drawn(screen, 1)


def test_nobody_and_unsure_are_different():
    screen = Screen()
    screen.feed("ferd/pi/desk/state", b'{"expression":null,"confidence":null,"faces":0}', 0)
    assert "nobody" in drawn(screen, 1)
    screen.feed("ferd/pi/desk/state", b'{"expression":null,"confidence":null,"faces":1}', 0)
    assert "unsure" in drawn(screen, 1)


def test_an_alert_is_shown_for_as_long_as_it_holds():
    screen = Screen()
    screen.feed("ferd/pi/car/alert", b'{"level":"alarm","reason":"eyes_closed"}', 0)
    screen.feed("ferd/pi/car/event", b'{"event_type":"alert_began","name":"fatigue","level":"notice"}', 0)
    assert "alarm: eyes_closed" in drawn(screen, 1)
    assert "fatigue: notice" in drawn(screen, 1)
    screen.feed("ferd/pi/car/alert", b'{"level":"none","reason":null}', 2)
    assert "alarm" not in drawn(screen, 3)


def test_a_camera_that_was_removed_is_not_shown():
    screen = Screen()
    screen.feed("ferd/pi/door/status", b"online", 0)
    assert "door" in drawn(screen, 1)
    screen.feed("ferd/pi/door/status", b"", 2)
    screen.feed("ferd/pi/door/state", b"", 2)
    assert "door" not in drawn(screen, 3)


@given(
    topic=st.one_of(
        st.text(max_size=30),
        st.sampled_from(["ferd/a/info", "ferd/a/health", "ferd/a/b/state", "ferd/a/b/event", "ferd/a/b/alert"]),
    ),
    payload=st.one_of(
        st.binary(max_size=40),
        st.sampled_from(
            [
                b'{"expression":5,"confidence":"x","faces":null}',
                b'{"expression":[1],"confidence":-7}',
                b'{"rss_mb":"much","temperature_c":[]}',
                b'{"level":{},"reason":[]}',
                b'{"event_type":"alert_began","name":{}}',
                b'{"from":1,"to":{},"at":7,"event_type":null}',
                b"[]",
                b"1e999",
            ]
        ),
    ),
)
def test_strange_messages_do_not_break_it(topic, payload):
    screen = Screen()
    screen.feed(topic, payload, 0)
    drawn(screen, 1)
