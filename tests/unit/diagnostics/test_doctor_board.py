"""Heat, power and memory: from what the kernel says to what a person should do."""

import pytest

from ferd.diagnostics import board


def told(findings):
    return [(finding.verdict, finding.found) for finding in findings]


@pytest.mark.parametrize(
    ("celsius", "verdict"), [(None, "note"), (45.0, "ok"), (70.0, "warning"), (79.9, "warning"), (80.0, "error")]
)
def test_heat(celsius, verdict):
    assert [finding.verdict for finding in board.heat(celsius)] == [verdict]


@pytest.mark.parametrize(
    ("bits", "verdict", "words"),
    [
        ("0", "ok", "all is well since boot"),
        ("50005", "error", "now: under-voltage, slowed down"),
        ("50000", "warning", "since boot: under-voltage, slowed down"),
        ("80000", "warning", "since boot: soft temperature limit"),
    ],
)
def test_power_by_the_bits_of_get_throttled(tmp_path, bits, verdict, words):
    (tmp_path / "throttled").write_text(f"{bits}\n")
    (finding,) = board.power(tmp_path / "throttled")
    assert finding.verdict == verdict
    assert words in finding.found
    assert ("power supply" in (finding.remedy or "")) == ("under-voltage" in finding.found)


def test_a_machine_that_does_not_tell_its_power_is_none_of_our_business(tmp_path):
    assert told(board.power(tmp_path / "gone")) == []


@pytest.mark.parametrize(("free_kb", "verdict"), [(20_000, "warning"), (500_000, "ok")])
def test_memory(tmp_path, free_kb, verdict):
    (tmp_path / "meminfo").write_text(f"MemTotal: 400000 kB\nMemAvailable:   {free_kb} kB\n")
    assert [finding.verdict for finding in board.memory(tmp_path / "meminfo")] == [verdict]


def test_a_folder_that_is_still_to_be_made_has_the_disk_of_its_parent(tmp_path):
    assert next(iter(board.disk(tmp_path / "not" / "yet"))).verdict in ("ok", "warning")


SYSTEMCTL = "LoadState={}\nActiveState={}\nSubState={}\nNRestarts={}\nResult={}\nStatusText={}"


@pytest.mark.parametrize(
    ("facts", "verdict", "words"),
    [
        (("not-found", "inactive", "dead", 0, "success", ""), "note", "is not installed"),
        (("loaded", "active", "running", 0, "success", "camera=online"), "ok", "active (running), camera=online"),
        (("loaded", "active", "running", 3, "success", ""), "warning", "restarted 3 times"),
        (("loaded", "inactive", "dead", 0, "success", ""), "note", "is inactive"),
        (("loaded", "failed", "failed", 5, "exit-code", ""), "error", "result exit-code"),
    ],
)
def test_the_service(monkeypatch, facts, verdict, words):
    monkeypatch.setattr(board, "_run", lambda *_command: SYSTEMCTL.format(*facts))
    (finding,) = board.service()
    assert finding.verdict == verdict
    assert words in finding.found


def test_processes_of_their_own_are_examined_as_well(monkeypatch):
    units = {"ferd.service": ("inactive", "dead", 0), "ferd@door.service": ("active", "running", 2)}

    def systemctl(*command):
        if "list-units" in command:
            return "ferd@door.service loaded active running ferd, the facial expression daemon (door)"
        active, sub, restarts = units[command[2]]
        return SYSTEMCTL.format("loaded", active, sub, restarts, "success", "")

    monkeypatch.setattr(board, "_run", systemctl)
    main, door = board.service()
    assert (main.about, main.verdict) == ("service", "note")
    assert (door.about, door.verdict, door.remedy) == ("ferd@door", "warning", "journalctl -u ferd@door -p warning")
