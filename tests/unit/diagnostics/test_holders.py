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
    assert str(found[0]) == "motion (pid 11)"


def test_a_name_that_contains_ferd_is_not_ferd():
    assert not Holder(3, "ferdinand").is_ferd
    assert Holder(3, "ferd").is_ferd


def test_this_process_is_this_ferd(tmp_path):
    """The page runs the doctor inside the daemon that holds the devices."""
    device = tmp_path / "video0"
    device.touch()
    with device.open():
        (found,) = holders(device)
    assert (found.pid, found.this_ferd, found.is_ferd) == (os.getpid(), True, True)
    assert str(found) == f"this ferd (pid {os.getpid()})"


def test_a_child_of_this_process_is_this_ferd(tmp_path):
    device = tmp_path / "video0"
    device.touch()
    code = f"import time; kept = open({str(device)!r}); print('open', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as child:
        try:
            child.stdout.readline()
            assert [(holder.pid, holder.this_ferd) for holder in holders(device)] == [(child.pid, True)]
        finally:
            child.kill()


def test_the_service_and_its_children_are_this_ferd(proc, monkeypatch):
    """`ferd doctor` in a shell is another process than the service."""
    device, process, folder = proc
    monkeypatch.setattr("ferd.diagnostics.holders.service_pids", lambda: {20})
    for pid, parent in ((20, 1), (21, 20), (22, 1)):
        process(pid, ["/usr/bin/python3", "x"], device)
        (folder / str(pid) / "stat").write_text(f"{pid} (a) name) S {parent} 1 1 0")
    assert [(holder.pid, holder.this_ferd) for holder in holders(device, folder)] == [
        (20, True),
        (21, True),
        (22, False),
    ]


def test_inside_one_service_another_one_is_another_ferd(proc, monkeypatch):
    """Two instances on one machine: the page of one must not take the camera of the other for its own."""
    device, process, folder = proc
    monkeypatch.setattr("ferd.diagnostics.holders.service_pids", lambda: {20, os.getpid()})
    process(20, ["/opt/ferd/venv/bin/python", "/opt/ferd/venv/bin/ferd", "run"], device)
    assert holders(device, folder) == [Holder(20, "ferd", this_ferd=False)]


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
    assert holders(file) == []


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
