"""Who holds a device, from a made-up /proc and from the real one."""

import os
import subprocess
import sys

import pytest
from brokers import wait_for

from ferd.diagnostics.holders import Holder, holders, lockers


@pytest.fixture
def proc(tmp_path):
    device = tmp_path / "video0"
    device.touch()

    def process(pid, command, *files):
        folder = tmp_path / "proc" / str(pid)
        (folder / "fd").mkdir(parents=True)
        (folder / "cmdline").write_bytes("\0".join(command).encode() + b"\0")
        for number, file in enumerate(files):
            (folder / "fd" / str(number)).symlink_to(file)

    return device, process, tmp_path / "proc"


def test_those_who_have_it_open(proc):
    device, process, folder = proc
    process(11, ["/usr/bin/motion", "-n"], device)
    process(12, ["/opt/ferd/venv/bin/python", "/opt/ferd/venv/bin/ferd", "run"], "/dev/null", device)
    process(13, ["/usr/bin/python3", "-m", "ferd", "run"], device)
    process(14, ["/bin/sh"], "/dev/null")
    found = holders(device, folder)
    assert found == [Holder(11, "motion"), Holder(12, "ferd"), Holder(13, "ferd")]
    assert [holder.is_ferd for holder in found] == [False, True, True]
    assert str(found[0]) == "motion (process 11)"


def test_a_link_to_the_device_counts(proc, tmp_path):
    device, process, folder = proc
    (tmp_path / "by-id").symlink_to(device)
    process(11, ["cheese"], device)
    assert holders(tmp_path / "by-id", folder) == [Holder(11, "cheese")]


def test_a_real_process(tmp_path):
    file = tmp_path / "device"
    file.touch()
    code = f"import time; kept = open({str(file)!r}); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code]) as child:
        try:
            wait_for(lambda: holders(file))
            assert [holder.pid for holder in holders(file)] == [child.pid]
        finally:
            child.kill()
    with file.open():
        assert os.getpid() not in [holder.pid for holder in holders(file)]


def test_who_has_it_locked_and_not_merely_open(tmp_path):
    """As libcamera locks the media devices of a camera that it uses."""
    device = tmp_path / "media0"
    device.touch()
    code = (
        f"import fcntl, sys; kept = open({str(device)!r}, 'r+'); sys.stdin.readline();"
        "fcntl.lockf(kept, fcntl.LOCK_EX | fcntl.LOCK_NB); print('locked', flush=True); sys.stdin.readline()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            wait_for(lambda: holders(device))
            assert lockers(device) == []
            child.stdin.write("go\n")
            child.stdin.flush()
            assert child.stdout.readline() == "locked\n"
            assert [holder.pid for holder in lockers(device)] == [child.pid]
        finally:
            child.kill()
    assert lockers(device) == []
    assert lockers(tmp_path / "gone") == []
