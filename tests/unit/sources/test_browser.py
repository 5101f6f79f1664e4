"""The inbox between a browser and the capture thread: newest wins, every silence has its reason."""

import threading
import time

import pytest
from brokers import wait_for
from hypothesis import given
from hypothesis import strategies as st

from ferd.config import CameraConfig
from ferd.errors import SourceError
from ferd.pictures import jpeg_header
from ferd.sources import browser
from ferd.sources.browser import LATE, NOBODY, BrowserCamera, BrowserInbox, inbox
from ferd.sources.demo import PORTRAIT
from ferd.sources.factory import open_source
from ferd.sources.jpeg import jpeg_frame
from ferd.sources.supervisor import CameraHandle, CameraState

JPEG = PORTRAIT.read_bytes()


def frame(t=0.0):
    return jpeg_frame(t, JPEG, jpeg_header(JPEG))


@pytest.fixture
def source(request, monkeypatch):
    """A source of its own for each test: inboxes last as long as the process."""
    monkeypatch.setattr(browser, "_inboxes", {})
    browser.note_page()
    return "browser"


def test_the_newest_picture_wins(source):
    box, camera = inbox(source), BrowserCamera(source, frame_s=2)
    for t in (1.0, 2.0, 3.0):
        box.offer(frame(t))
    camera.open()
    assert camera.read().t == 3.0
    assert box.dropped == 2


def test_the_first_silence_is_reported_at_once_and_the_same_one_waited_out(source, monkeypatch):
    monkeypatch.setattr(browser, "OPEN_WAIT_S", 0.3)
    began = time.monotonic()
    with pytest.raises(SourceError, match="press Start"):
        BrowserCamera(source, frame_s=2).open()
    assert time.monotonic() - began < 0.25
    with pytest.raises(SourceError, match="press Start"):
        BrowserCamera(source, frame_s=2).open()
    assert time.monotonic() - began >= 0.3


def test_another_reason_is_reported_at_once(source):
    with pytest.raises(SourceError):
        BrowserCamera(source, frame_s=2).open()
    inbox(source).note("it was not allowed")
    with pytest.raises(SourceError, match="not allowed"):
        BrowserCamera(source, frame_s=2).open()


def test_a_sender_that_stops_ends_a_read_with_its_reason_and_not_an_old_picture(source):
    box, camera = inbox(source), BrowserCamera(source, frame_s=60)
    box.offer(frame())
    camera.open()
    camera.read()
    box.offer(frame())
    box.note("the page was closed")
    with pytest.raises(SourceError, match="browser camera: the page was closed"):
        camera.read()


def test_pictures_that_stay_away_without_a_word_are_late(source):
    camera = BrowserCamera(source, frame_s=0.1)
    inbox(source).offer(frame())
    camera.open()
    camera.read()
    with pytest.raises(SourceError, match=LATE):
        camera.read()


@pytest.mark.parametrize("call", ["open", "read"])
def test_a_wait_can_be_interrupted(source, call):
    camera = BrowserCamera(source, frame_s=600)
    if call == "open":
        with pytest.raises(SourceError):
            BrowserCamera(source, frame_s=2).open()  # now the reason is known, so that open waits
    else:
        inbox(source).offer(frame())
        camera.open()
        camera.read()
    errors = []

    def run():
        try:
            getattr(camera, call)()
        except SourceError as error:
            errors.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.05)
    camera.interrupt()
    thread.join(10)
    assert errors == ["browser camera: is closed"]


def test_without_the_page_it_says_where_it_works(source, monkeypatch):
    monkeypatch.setattr(browser, "_page_runs", threading.Event())
    with pytest.raises(SourceError, match='Use "Teach" on the page'):
        BrowserCamera(source, frame_s=2).open()


def test_two_sources_have_two_inboxes(source):
    inbox("browser:2").offer(frame())
    assert inbox("browser:2").reason() is None
    assert inbox(source).reason() == NOBODY


def test_the_supervisor_reports_the_reason_and_is_online_soon_after_the_first_picture(source):
    """However long nobody sent: the pauses between attempts stay short."""
    wake = threading.Event()
    config = CameraConfig(source=source, mirror=True)
    handle = CameraHandle("camera", lambda: open_source(config, live=True), wake, jitter=lambda _low, high: high)
    handle.start()
    try:
        for reason in ("reason one", "reason two", "reason three", "reason four", "reason five"):
            inbox(source).note(reason)
            wait_for(lambda reason=reason: (handle.report().last_error or "").endswith(reason), 20)
        assert handle.report().state is CameraState.OFFLINE
        wait_for(lambda: handle.report().opens > handle.report().failures, 20, "it is being opened again")
        began = time.monotonic()
        while handle.report().state is not CameraState.ONLINE and time.monotonic() - began < 20:
            inbox(source).offer(frame(time.monotonic()))
            time.sleep(0.02)
        assert handle.report().state is CameraState.ONLINE
        inbox(source).note("the page was closed")
        wait_for(lambda: handle.report().state is CameraState.OFFLINE, 20)
        assert handle.report().last_error == "browser camera: the page was closed"
    finally:
        handle.stop()


@given(st.lists(st.one_of(st.floats(0, 100), st.sampled_from(["a", "b"])), max_size=30))
def test_whatever_comes_a_reader_gets_the_newest_picture_or_the_newest_reason(events):
    box = BrowserInbox()
    newest = NOBODY
    for event in events:
        newest = event
        if isinstance(event, str):
            box.note(event)
        else:
            box.offer(frame(event))
    try:
        got = box.take(0.0, is_interrupted=lambda: False, is_open=True).t
    except SourceError as error:
        got = str(error).removeprefix("browser camera: ")
    assert got == newest
