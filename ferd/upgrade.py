"""Upgrading the installed service: a new release beside the old one, a look at it, the switch, and the way back.

/opt/ferd/releases/N are Python environments; /opt/ferd/venv is a link to the one in use (scripts/lib/service.sh made
the first). The switch is one rename, and so is the way back; units and rules go with their release both ways.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ferd.errors import FerdError
from ferd.system_files import ROOT, reload_system, restore, snapshot

HOME = Path("/opt/ferd")
UNIT = "ferd.service"
OTHERS = "ferd@*.service"
"""Processes of other configurations. They go on with the old release until they are restarted."""
KEPT = 2
"""Releases that stay: the one in use and the one before."""
WELL_AFTER_S = 20.0
"""The new one must run for so long without a restart to count as well."""
STEP_S = 1800.0
"""A Pi Zero 2 W takes minutes to install."""


@dataclass(frozen=True, slots=True)
class Done:
    code: int
    output: str

    @property
    def first_line(self) -> str:
        """Of systemctl's answers the one that says what happened; the others say where to look."""
        return (self.output.strip().splitlines() or ["no output"])[0].rstrip(".")


Run = Callable[[Sequence[str]], Done]


def run_for_real(command: Sequence[str]) -> Done:
    """Runs a command to its end; its output is kept, stdout and stderr together."""
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=STEP_S, check=False
        )
    except FileNotFoundError:
        return Done(127, f"{command[0]}: not found")
    except subprocess.TimeoutExpired:
        return Done(124, f"took longer than {STEP_S:.0f} s")
    return Done(done.returncode, done.stdout)


class Upgrade:
    """One upgrade. `say` hears one line a step; `run` runs commands."""

    def __init__(
        self,
        source: str,
        *,
        say: Callable[[str], None],
        run: Run = run_for_real,
        home: Path = HOME,
        root: Path = ROOT,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._source, self._say, self._run, self._home, self._wait = source, say, run, home, wait
        self._root = root

    def __call__(self) -> None:
        """Raises FerdError with the reason: the old release is in use, or another process does not start anew."""
        old = self._current()
        new = self._home / "releases" / str(max(self._numbers(), default=0) + 1)
        try:
            self._install(old, new)
            self._examine(new)
        except BaseException:  # an interruption as well: half a release must not stay as "the one before"
            shutil.rmtree(new, ignore_errors=True)
            raise
        ran = self._run(["systemctl", "is-active", "--quiet", UNIT]).code == 0
        before = laid = snapshot(self._root)
        try:
            try:
                self._lay(new)
            finally:
                laid = snapshot(self._root)
            self._switch(new)
            reason = self._start() if ran else None
        except BaseException:  # as above: nobody watches the new one any more, so it does not stay
            restore(before, laid)
            self._go_back(old, new, ran)
            raise
        if reason is not None:
            self._say(f"it is not well: {reason}")
            restore(before, laid)
            state = self._go_back(old, new, ran)
            raise FerdError(
                f"the new release is not well ({reason}); the old one {state}. journalctl -u ferd tells more"
            )
        if not ran:
            self._say(f"{UNIT} does not run, so it is not started")
        others = self._run(["systemctl", "try-restart", OTHERS])  # only those that run
        self._tidy(new)
        if others.code != 0:
            raise FerdError(
                f"the new release is in use, but not by all of {OTHERS}: {others.first_line}. "
                f"journalctl -u '{OTHERS}' tells more"
            )

    def _lay(self, new: Path) -> None:
        self._say("unit, groups and rules")
        self._must([str(new / "bin/python"), "-I", "-m", "ferd.system_files"], "its unit files could not be laid")

    def _go_back(self, old: Path, new: Path, ran: bool) -> str:
        """The old release in use once more, its unit files read; how it is then."""
        reload_system(self._run)
        self._switch(old)
        back = self._run(["systemctl", "restart", UNIT]) if ran else Done(0, "")
        shutil.rmtree(new, ignore_errors=True)
        return "runs again" if back.code == 0 else f"does not start either ({back.first_line})"

    def _current(self) -> Path:
        link = self._home / "venv"
        if not link.is_symlink() or not (link / "bin" / "ferd").exists():
            raise FerdError(f"{link}: ferd was not installed by scripts/install, so there is nothing to upgrade")
        return link.resolve()

    def _numbers(self) -> list[int]:
        return [int(p.name) for p in (self._home / "releases").iterdir() if re.fullmatch(r"\d+", p.name)]

    def _install(self, old: Path, new: Path) -> None:
        self._say(f"installing {self._source} into {new} (some minutes on a Pi)")
        system = "include-system-site-packages = true" in (old / "pyvenv.cfg").read_text()
        options = ["--system-site-packages"] if system else []
        self._must(["python3", "-m", "venv", "--clear", *options, str(new)], "no environment could be made")
        pip = [str(new / "bin/python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-cache-dir"]
        if (constraints := self._home / "constraints.txt").exists():
            pip += ["--constraint", str(constraints)]
        self._must([*pip, f"{self._source}[pi,web]"], "pip could not install it")
        self._run([str(new / "bin/python"), "-m", "compileall", "-q", str(new / "lib")])

    def _examine(self, new: Path) -> None:
        """The new release looks at itself and at the configuration before anything is switched."""
        self._say("examining it")
        self._must([str(new / "bin/ferd"), "check"], "it does not take the configuration")
        self._must(
            [str(new / "bin/ferd"), "doctor", "--only", "software", "--only", "models"], "its doctor found errors"
        )

    def _must(self, command: Sequence[str], otherwise: str) -> None:
        done = self._run(command)
        if done.code != 0:
            raise FerdError(
                f"{otherwise}: {done.output.strip()[-2000:]}\nnothing was changed, the old release is in use"
            )

    def _switch(self, release: Path) -> None:
        self._say(f"switching to {release.name}")
        fresh = self._home / ".venv.new"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(release.relative_to(self._home))
        fresh.rename(self._home / "venv")

    def _start(self) -> str | None:
        """Restart the service and watch it; the reason why it is not well, or None."""
        self._say("restarting the service")
        started = self._run(["systemctl", "restart", UNIT])  # comes back when ferd said READY, or failed
        if started.code != 0:
            return started.first_line
        before = self._restarts()
        self._wait(WELL_AFTER_S)
        if self._run(["systemctl", "is-active", "--quiet", UNIT]).code != 0:
            return f"it ended within {WELL_AFTER_S:.0f} s"
        if self._restarts() != before:
            return f"it was restarted within {WELL_AFTER_S:.0f} s"
        return None

    def _restarts(self) -> str:
        return self._run(["systemctl", "show", UNIT, "-p", "NRestarts", "--value"]).output.strip()

    def _tidy(self, new: Path) -> None:
        for number in sorted(self._numbers())[:-KEPT]:
            shutil.rmtree(self._home / "releases" / str(number), ignore_errors=True)
        self._say(f"{new.name} is in use; the one before stays beside it")
