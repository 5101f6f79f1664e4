from __future__ import annotations

import threading

import pytest
from camera_tools import wait_for

from ferd.errors import SourceError
from ferd.sources.base import Source
from ferd.sources.capture import CaptureThread, any_hung, call_with_limit
from ferd.sources.fake import FakeCamera, fail, hang, play
from ferd.types import Frame


class Recorder(FakeCamera):
    """Notes in which thread each call is made."""

    def __init__(self, *script: object) -> None:
        super().__init__(script, fps=1000, size=(64, 48))  # type: ignore[arg-type]
        self.threads: list[tuple[str, int]] = []

    def open(self) -> None:
        self.threads.append(("open", threading.get_ident()))
        super().open()

    def read(self) -> Frame:
        self.threads.append(("read", threading.get_ident()))
        return super().read()

    def close(self) -> None:
        self.threads.append(("close", threading.get_ident()))
        super().close()


def capture_of(source: Source, frames: list[Frame], failures: list[str | None]) -> CaptureThread:
    capture = CaptureThread(
        lambda: source,
        lambda _capture, _source, frame: frames.append(frame),
        lambda: failures.append(capture.failure),
        "ferd-camera-test",
    )
    return capture


def test_all_calls_to_the_device_are_made_by_one_thread_in_order() -> None:
    source, frames, failures = Recorder(play(0.003), fail("unplugged")), [], []
    capture = capture_of(source, frames, failures)
    capture.start()
    assert capture.wait(20)
    assert [call for call, _ in source.threads] == ["open", "read", "read", "read", "read", "close"]
    assert {thread for _, thread in source.threads}.isdisjoint({threading.get_ident()})
    assert len({thread for _, thread in source.threads}) == 1
    assert len(frames) == 3
    wait_for(lambda: failures == ["fake camera: unplugged"] * 2)
    assert capture.ended


def test_interrupt_closes_nothing_itself() -> None:
    """Releasing an OpenCV capture while another thread reads from it is a crash."""
    source = Recorder(hang())
    capture = capture_of(source, [], [])
    capture.start()
    wait_for(lambda: len(source.threads) == 2)
    capture.interrupt()
    assert not capture.wait(0.05)
    assert source.done("closed") == 0
    assert any_hung()
    source.let_go()
    assert capture.wait(20)
    assert source.threads[-1] == ("close", source.threads[0][1])
    wait_for(lambda: not any_hung())


def test_interrupted_before_it_was_opened_it_is_not_opened() -> None:
    source = Recorder(play(1))
    capture = capture_of(source, [], [])
    capture.interrupt()
    capture.start()
    assert capture.wait(20)
    assert source.done("opened") == 0


def test_a_call_with_a_limit() -> None:
    def refuse() -> None:
        raise SourceError("no")

    assert call_with_limit(lambda: 7, 20, "test") == 7
    with pytest.raises(SourceError, match="no"):
        call_with_limit(refuse, 20, "test")
    go = threading.Event()
    with pytest.raises(TimeoutError, match=r"no answer within 0\.01 s"):
        call_with_limit(go.wait, 0.01, "test")
    assert any_hung()
    go.set()
    wait_for(lambda: not any_hung())
