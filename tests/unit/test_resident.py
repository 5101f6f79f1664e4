import subprocess
import sys

from ferd.resident import Mapping, untouched_code

SMAPS = """\
7f0000000000-7f0000100000 r-xp 00002000 fd:00 77 /usr/lib/libbig.so
Size:               1024 kB
Rss:                 512 kB
Private_Clean:       512 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
7f0000100000-7f0000180000 r--p 00102000 fd:00 77 /usr/lib/libbig.so
Rss:                 256 kB
Anonymous:             0 kB
7f0000180000-7f0000200000 r--p 00182000 fd:00 77 /usr/lib/libbig.so
Rss:                 256 kB
Anonymous:             4 kB
7f0000200000-7f0000300000 rw-p 00202000 fd:00 77 /usr/lib/libbig.so
Rss:                 300 kB
Anonymous:             0 kB
7f0000300000-7f0000400000 r-xp 00000000 00:00 0
Rss:                 900 kB
Anonymous:             0 kB
7f0000400000-7f0000500000 r-xp 00000000 fd:00 78 /usr/lib/libsmall (deleted).so
Rss:                  12 kB
Anonymous:             0 kB
7f0000500000-7f0000600000 r--s 00000000 fd:00 79 /opt/model.tflite
Rss:                 512 kB
Anonymous:             0 kB
"""


def test_only_what_stands_in_a_file_unchanged_is_dropped():
    assert list(untouched_code(SMAPS.splitlines())) == [
        Mapping(0x7F0000000000, 0x7F0000100000, 512 * 1024),
        Mapping(0x7F0000100000, 0x7F0000180000, 256 * 1024),
    ]


def in_a_process(code: str) -> str:
    """Run in a fresh process: this one has threads and libraries of other tests."""
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def test_code_shrinks_and_the_libraries_work_on():
    code = (
        "import cv2, numpy, json, decimal, ssl; from ferd.resident import release_unused, untouched_code, MAPS\n"
        "before = sum(one.resident for one in untouched_code(MAPS.read_text().splitlines()))\n"
        "released = release_unused()\n"
        "after = sum(one.resident for one in untouched_code(MAPS.read_text().splitlines()))\n"
        "image = numpy.full((64, 64, 3), 7, numpy.uint8)\n"
        "assert cv2.resize(image, (32, 32)).mean() == 7 and cv2.imencode('.jpg', image)[0]\n"
        "assert (numpy.linalg.inv(numpy.eye(3) * 2) == numpy.eye(3) / 2).all()\n"
        "ssl.create_default_context(); assert decimal.Decimal('0.1') * 3 == decimal.Decimal('0.3')\n"
        "print(before, released, after)"
    )
    before, released, after = map(int, in_a_process(code).split())
    assert 0 < released <= before
    assert after < before / 2


def test_beside_another_thread_nothing_is_dropped():
    code = (
        "import threading, cv2; from ferd.resident import release_unused\n"
        "done = threading.Event(); threading.Thread(target=done.wait).start()\n"
        "print(release_unused()); done.set()"
    )
    assert in_a_process(code) == "0"


def test_without_proc_nothing_happens():
    code = (
        "import pathlib, ferd.resident as r\n"
        "r.MAPS = pathlib.Path('/proc/self/no-such-file')\n"
        "print(r.release_unused())"
    )
    assert in_a_process(code) == "0"
