"""An upgrade that goes well, and every way in which it does not: the old release is then in use."""

import pytest

from ferd.errors import FerdError
from ferd.upgrade import KEPT, Done, Upgrade


class Machine:
    """/opt/ferd in a folder, and a simulated systemd. `fails`: words of a command -> its output."""

    def __init__(self, home, *, running=True, fails=None, restarts=("0",), says=None):
        self.home, self.running, self.fails, self.says = home, running, fails or {}, says or {}
        self.restarts = iter([*restarts, *[restarts[-1]] * 10])
        self.ran, self.said, self.waited = [], [], []
        self.units = home / "root/etc/systemd/system"
        self.units.mkdir(parents=True)
        (self.units / "ferd.service").write_text("unit of 1")
        (self.units / "ferd.service.d").mkdir()
        (self.units / "ferd.service.d/broker-only.conf").write_text("the user's own")
        self.release(1)
        (home / "venv").symlink_to("releases/1")

    def release(self, number):
        folder = self.home / "releases" / str(number) / "bin"
        folder.mkdir(parents=True)
        (folder / "ferd").touch()
        (folder.parent / "pyvenv.cfg").write_text("include-system-site-packages = true\n")

    def run(self, command):
        line = " ".join(command)
        self.ran.append(line)
        if "-m venv" in line:
            self.release(command[-1].rpartition("/")[2])
        for words, output in self.fails.items():
            if words in line:
                return Done(1, output)
        if "-I -m ferd.system_files" in line:  # -I: else it would be that of the folder in which root stands
            (self.units / "ferd.service").write_text("unit of the new")
            (self.units / "ferd.service.d/new.conf").write_text("a drop-in of the new")
        for words, output in self.says.items():
            if words in line:
                return Done(0, output)
        if "is-active" in line:
            return Done(0 if self.running else 3, "")
        return Done(0, next(self.restarts) if "NRestarts" in line else "")

    def upgrade(self):
        root = self.home / "root"
        Upgrade("/src", say=self.said.append, run=self.run, home=self.home, root=root, wait=self.waited.append)()

    def files(self):
        found = {str(path.relative_to(self.units)): path for path in self.units.rglob("*") if path.is_file()}
        return {name: path.read_text() for name, path in found.items()}

    @property
    def in_use(self):
        return (self.home / "venv").resolve().name


def refused(machine, words):
    with pytest.raises(FerdError, match=words):
        machine.upgrade()
    assert machine.in_use == "1"
    assert [p.name for p in (machine.home / "releases").iterdir()] == ["1"]
    assert machine.files() == {"ferd.service": "unit of 1", "ferd.service.d/broker-only.conf": "the user's own"}


def test_a_good_one(tmp_path):
    (tmp_path / "constraints.txt").write_text("numpy==1.24.2\n")
    machine = Machine(tmp_path)
    machine.upgrade()
    assert machine.in_use == "2"
    assert any("--system-site-packages" in line for line in machine.ran)
    assert any("constraints.txt" in line and "/src[pi,video,web]" in line for line in machine.ran)
    looks = [n for n, line in enumerate(machine.ran) if "doctor" in line]
    assert looks < [n for n, line in enumerate(machine.ran) if "systemctl restart" in line]
    assert machine.waited
    assert machine.files() == {
        "ferd.service": "unit of the new",
        "ferd.service.d/new.conf": "a drop-in of the new",
        "ferd.service.d/broker-only.conf": "the user's own",
    }


def test_picamera2_that_was_installed_or_removed_since_the_old_release(tmp_path):
    """A new release follows the machine as it is, not the environment of the old one."""
    machine = Machine(tmp_path, says={"import numpy": "numpy==2.2.4\n"})
    machine.upgrade()
    assert any("--system-site-packages" in line for line in machine.ran)
    assert (tmp_path / "constraints.txt").read_text() == "numpy==2.2.4\n"
    without = Machine(tmp_path / "other", fails={"find_spec('picamera2')": ""})
    (without.home / "constraints.txt").write_text("numpy==1.24.2\n")
    without.upgrade()
    assert not any("--system-site-packages" in line or "--constraint" in line for line in without.ran)


def test_optional_parts_of_the_old_release_are_installed_again(tmp_path):
    machine = Machine(tmp_path)
    root = tmp_path / "root"
    extras = ("pi", "web", "plot")
    Upgrade("/src", say=print, run=machine.run, home=tmp_path, root=root, extras=extras, wait=lambda _s: None)()
    assert any("/src[pi,web,plot]" in line for line in machine.ran)


def test_the_one_before_stays_and_older_ones_go(tmp_path):
    machine = Machine(tmp_path)
    for _ in range(4):
        machine.upgrade()
    assert machine.in_use == "5"
    assert sorted(p.name for p in (tmp_path / "releases").iterdir()) == ["4", "5"]
    assert KEPT == 2


def test_the_other_processes_follow_once_the_new_one_is_well(tmp_path):
    machine = Machine(tmp_path)
    machine.upgrade()
    restarts = [line for line in machine.ran if "restart" in line]
    assert restarts == ["systemctl restart ferd.service", "systemctl try-restart ferd@*.service"]


def test_another_process_that_does_not_start(tmp_path):
    machine = Machine(tmp_path, fails={"try-restart": "Job for ferd@desk.service failed"})
    with pytest.raises(FerdError, match=r"in use, but not by all of ferd@\*.service: Job for ferd@desk.service failed"):
        machine.upgrade()
    assert machine.in_use == "2"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("-m venv", "the environment could not be created"),
        ("-m pip", "pip could not install it"),
        ("ferd check", "does not accept the configuration"),
        ("ferd doctor", "doctor found errors"),
    ],
)
def test_before_the_switch_nothing_is_changed(tmp_path, words, message):
    machine = Machine(tmp_path, fails={words: "the reason"})
    refused(machine, message)
    assert not any("restart" in line for line in machine.ran)


def test_one_that_does_not_start(tmp_path):
    machine = Machine(tmp_path)
    tries = []

    def run(command):
        done = Machine.run(machine, command)
        if "restart" in command:
            tries.append((machine.in_use, machine.files()["ferd.service"]))
            return Done(1, "Job for ferd.service failed\nSee systemctl status") if machine.in_use == "2" else done
        return done

    machine.run = run
    refused(machine, r"does not work \(Job for ferd.service failed\); the old one runs again")
    assert tries == [("2", "unit of the new"), ("1", "unit of 1")]


def test_unit_files_that_cannot_be_installed(tmp_path):
    refused(
        Machine(tmp_path, fails={"ferd.system_files": "disk full"}), "its unit files could not be installed: disk full"
    )


def test_interrupted_while_it_is_watched(tmp_path):
    machine = Machine(tmp_path)

    def interrupted(_seconds):
        assert machine.in_use == "2"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Upgrade("/src", say=print, run=machine.run, home=tmp_path, root=tmp_path / "root", wait=interrupted)()
    assert machine.in_use == "1"
    assert machine.files()["ferd.service"] == "unit of 1"
    assert machine.ran[-1] == "systemctl restart ferd.service"


def test_one_that_keeps_dying(tmp_path):
    refused(Machine(tmp_path, restarts=("0", "3")), "it was restarted within")


def test_a_service_that_does_not_run_is_not_started(tmp_path):
    machine = Machine(tmp_path, running=False)
    machine.upgrade()
    assert machine.in_use == "2"
    assert not any("systemctl restart" in line for line in machine.ran)


def test_what_was_not_installed_by_the_script(tmp_path):
    machine = Machine(tmp_path)
    (tmp_path / "venv").unlink()
    with pytest.raises(FerdError, match="was not installed by scripts/install"):
        machine.upgrade()


def test_an_interrupted_one_leaves_nothing_behind(tmp_path):
    machine = Machine(tmp_path)
    plain = machine.run

    def interrupted(command):
        done = plain(command)
        if "pip" in command:
            raise KeyboardInterrupt
        return done

    machine.run = interrupted
    with pytest.raises(KeyboardInterrupt):
        machine.upgrade()
    assert machine.in_use == "1"
    assert [p.name for p in (tmp_path / "releases").iterdir()] == ["1"]
