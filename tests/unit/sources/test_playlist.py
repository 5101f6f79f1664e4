"""HTTP Live Streaming: what a playlist may name, and what comes of one that is hostile."""

from __future__ import annotations

import base64
import contextlib
import itertools
import threading
import time
from pathlib import Path

import pytest
from camera_tools import read_all, wait_for
from hypothesis import given
from hypothesis import strategies as st
from video_server import Server, camera, serving, write

from ferd.errors import SourceError
from ferd.sources.playlist import MAX_LIST_BYTES, MOST_FILES, Pace, Playlist
from ferd.sources.stream import StreamCamera

HEAD = "#EXTM3U\n#EXT-X-VERSION:4\n#EXT-X-TARGETDURATION:2\n"
END = "#EXT-X-ENDLIST\n"
LOGIN = "me:p%40ss@"


def playlist(folder: Path, *pieces: str, end: str = END) -> str:
    (folder / "list.m3u8").write_text(HEAD + "".join(f"#EXTINF:2,\n{piece}\n" for piece in pieces) + end)
    return "list.m3u8"


def refusal(server: Server, path: str = "list.m3u8", login: str = "") -> str:
    source = camera(server, path, login)
    with contextlib.closing(source), pytest.raises(SourceError) as caught:
        read_all(source)
    return str(caught.value)


def packets(size: int) -> bytes:
    """The start of a MPEG transport stream whose first picture does not end (ISO/IEC 13818-1)."""
    programs = b"\x47\x40\x00\x10\x00" + bytes.fromhex("00b00d0001c100000001f0002ab104b2") + b"\xff" * 167
    streams = bytes.fromhex("02b0120001c10000e100f0001be100f00015bd4d56")
    start = b"\x47\x41\x00\x10" + b"\0\0\1\xe0\0\0\x80\0\0" + bytes(175)
    more = b"".join(b"\x47\x01\x00" + bytes([0x10 | count]) + bytes(184) for count in range(16))
    return programs + b"\x47\x50\x00\x10\x00" + streams + b"\xff" * 162 + start + more * (size // len(more))


def test_pieces_one_after_the_other(server: Server, tmp_path: Path) -> None:
    write(tmp_path / "a.ts", 20)
    write(tmp_path / "b.ts", 10)
    frames = read_all(camera(server, playlist(tmp_path, "a.ts", "b.ts")), until=SourceError)
    assert len(frames) == 30
    assert frames[5].image.shape == (240, 320, 3)


def test_pictures_keep_their_pace(server: Server, tmp_path: Path) -> None:
    """A piece is there at once, and a live one is followed by another only after its length."""
    write(tmp_path / "a.ts", 20)
    started = time.monotonic()
    assert len(read_all(camera(server, playlist(tmp_path, "a.ts")), until=SourceError)) == 20
    assert time.monotonic() - started > 1.7


@given(
    pieces=st.lists(st.integers(1, 200), min_size=2, max_size=12),
    rate=st.sampled_from([5, 15, 30]),
    start=st.floats(-1e6, 1e6),
    ahead=st.integers(2, 3),
)
def test_live_pieces_leave_no_gap(pieces: list[int], rate: int, start: float, ahead: int) -> None:
    """Each piece is listed when the one `ahead` before it has passed; the reader takes it at once."""
    pace, now, passed, stamp = Pace(), 100.0, [], start
    listed = [0.0] * ahead
    for pictures in pieces:
        listed.append(listed[-1] + pictures / rate)
    for pictures, at in zip(pieces, listed, strict=False):
        now = max(now, 100.0 + at)
        for _ in range(pictures):
            now += pace.wait_s(stamp, now)
            passed.append(now)
            stamp += 1 / rate
    gaps = [later - earlier for earlier, later in itertools.pairwise(passed)]
    assert min(gaps) >= 0
    assert max(gaps) <= 1 / rate + 0.01
    assert passed[-1] - passed[0] >= len(gaps) / rate - 0.01


@pytest.mark.parametrize("jump", [-3600.0, -0.6, 1.2, 3600.0])
def test_a_jump_of_the_time_stamps_is_not_waited_for(jump: float) -> None:
    pace = Pace()
    assert pace.wait_s(10.0, 0.0) == 0
    assert pace.wait_s(10.1, 0.0) == pytest.approx(0.1)
    assert pace.wait_s(10.2 + jump, 0.1) == 0
    assert pace.wait_s(10.3 + jump, 0.1) == pytest.approx(0.1)
    assert pace.wait_s(None, 0.1) == 0


def test_pieces_of_one_file(server: Server, tmp_path: Path) -> None:
    """EXT-X-BYTERANGE: both halves are parts of a file, each asked for by its first byte."""
    write(tmp_path / "a.ts", 20)
    size = (tmp_path / "a.ts").stat().st_size
    half = size // 2 // 188 * 188
    ranges = ((half, 0), (size - half, half))
    lines = "".join(f"#EXTINF:1,\n#EXT-X-BYTERANGE:{length}@{at}\na.ts\n" for length, at in ranges)
    (tmp_path / "list.m3u8").write_text(HEAD + lines + END)
    assert len(read_all(camera(server, "list.m3u8"), until=SourceError)) == 20
    assert f"/a.ts bytes={half}-" in server.asked


def test_the_login_goes_to_the_pieces(server: Server, tmp_path: Path) -> None:
    server.wants_login = True
    write(tmp_path / "a.ts", 10)
    assert len(read_all(camera(server, playlist(tmp_path, "a.ts"), LOGIN), until=SourceError)) == 10
    assert server.logins[-1] == "Basic " + base64.b64encode(b"me:p@ss").decode()


def test_the_login_stays_with_its_server(server: Server, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    write(tmp_path / "other" / "a.ts", 10)
    server.wants_login = True
    with serving(tmp_path / "other") as other:
        piece = f"http://127.0.0.1:{other.server_address[1]}/a.ts"
        assert len(read_all(camera(server, playlist(tmp_path, piece), LOGIN), until=SourceError)) == 10
        assert other.logins == [""]


def test_pieces_are_where_the_camera_redirects_to(server: Server, tmp_path: Path) -> None:
    """With the login, which the new address does not repeat."""
    server.wants_login = True
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub" / "a.ts", 10)
    playlist(tmp_path / "sub", "a.ts")
    for place in ("", f"http://127.0.0.1:{server.server_address[1]}"):
        server.moved = {"/start": f"{place}/sub/list.m3u8"}
        assert len(read_all(camera(server, "start", LOGIN), until=SourceError)) == 10


def test_no_password_goes_to_another_server(server: Server, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "secret").write_text("geheim\n")
    write(tmp_path / "other" / "a.ts", 10)
    server.wants_login = True
    with serving(tmp_path / "other") as other:
        server.moved = {"/start": f"http://127.0.0.1:{other.server_address[1]}/{playlist(tmp_path / 'other', 'a.ts')}"}
        port = server.server_address[1]
        source = StreamCamera(
            f"http://me@127.0.0.1:{port}/start", open_s=20, read_s=20, password_file=tmp_path / "secret"
        )
        assert len(read_all(source, until=SourceError)) == 10
        assert any(server.logins)
        assert not any(other.logins)


def test_a_playlist_without_an_end(server: Server) -> None:
    text = refusal(server, "endless.m3u8")
    assert f"a playlist of more than {MAX_LIST_BYTES >> 20} MB" in text


def test_one_of_several_without_an_end(server: Server, tmp_path: Path) -> None:
    """The first one only names it, as the qualities of a camera are named."""
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nsub/endless.m3u8\n")
    assert "a playlist of more than" in refusal(server)


def test_more_qualities_than_any_camera_has(server: Server, tmp_path: Path) -> None:
    names = "".join(f"#EXT-X-STREAM-INF:BANDWIDTH={n + 1}\none.m3u8?{n}\n" for n in range(MOST_FILES + 1))
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n" + names)
    (tmp_path / "one.m3u8").write_text(HEAD + END)
    assert f"more than {MOST_FILES} pieces without a picture" in refusal(server)
    assert len(server.asked) <= MOST_FILES + 2


def test_a_piece_without_an_end(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.ts").write_bytes(packets(5 << 20))
    assert "sends more than 4 MB without a picture" in refusal(server, playlist(tmp_path, "a.ts"))


@pytest.mark.parametrize("address", ["file:///etc/hostname", "rtsp://127.0.0.1:9/x", "ftp://127.0.0.1:9/x.ts"])
def test_other_kinds_of_addresses(server: Server, tmp_path: Path, address: str) -> None:
    playlist(tmp_path, address)
    assert refusal(server)
    assert not [line for line in server.asked if "list.m3u8" not in line]


def test_an_encrypted_one(server: Server, tmp_path: Path) -> None:
    (tmp_path / "key.m3u8").write_bytes(bytes(16))
    write(tmp_path / "a.ts", 10)
    (tmp_path / "list.m3u8").write_text(HEAD + '#EXT-X-KEY:METHOD=AES-128,URI="key.m3u8"\n#EXTINF:2,\na.ts\n' + END)
    assert "an encrypted playlist" in refusal(server)


def test_a_missing_piece(server: Server, tmp_path: Path) -> None:
    assert "closes the connection" in refusal(server, playlist(tmp_path, "nothing.ts"))


def test_https_does_not_lead_to_http() -> None:
    files = Playlist("https://camera/list.m3u8", "https://…", verify=True, within_s=5)
    with pytest.raises(SourceError, match="over https that names an http address"):
        files.open("http://camera/a.ts", 1, {})


def test_a_dash_manifest(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.mpd").write_text('<?xml version="1.0"?><MPD></MPD>')
    assert "DASH manifest. Ask the camera for HLS" in refusal(server, "a.mpd")


def test_interrupted(server: Server, tmp_path: Path) -> None:
    """A live one that gets no further piece is waited for; closing does not wait for its time limit."""
    write(tmp_path / "a.ts", 10)
    source = camera(server, playlist(tmp_path, "a.ts", end=""))
    source.open()
    for _ in range(5):
        source.read()
    ended = threading.Event()

    def read() -> None:
        with contextlib.suppress(SourceError):
            while True:
                source.read()
        ended.set()

    reader = threading.Thread(target=read)
    reader.start()
    wait_for(lambda: server.asked.count("/list.m3u8") > 2)
    begun = time.monotonic()
    source.interrupt()
    assert ended.wait(15)
    assert time.monotonic() - begun < 15
    reader.join()
    source.close()
