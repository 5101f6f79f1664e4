"""Upgrade the installed service: install a new release beside the old one, check it, switch to it, or roll back.

/opt/ferd/releases/N are Python environments; /opt/ferd/venv is a link to the one in use (scripts/lib/service.sh made
the first). Switch and rollback are one rename each; units and udev rules change with their release.
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
"""Instances with other configurations. They run the old release until they are restarted."""
KEPT = 2
"""Number of releases to keep: the one in use and the previous one."""
STABLE_AFTER_S = 20.0
"""The new release must run for this long without a restart."""
HAS_PICAMERA2 = "import importlib.util as u, sys; sys.exit(u.find_spec('picamera2') is None)"
"""Looks without importing, as scripts/lib/setup.sh does: with it, an environment needs the system's packages."""
EXTRAS = ("pi", "video", "web")
"""Optional parts of a service; scripts/lib/service.sh installs the same."""
STEP_S = 1800.0
"""Time limit of a command. An installation takes minutes on a Pi Zero 2 W."""


@dataclass(frozen=True, slots=True)
class Done:
    """The result of a command: exit code and output."""

    code: int
    output: str

    @property
    def first_line(self) -> str:
        """The first line of the output: of systemctl's lines, the one that says what happened."""
        return (self.output.strip().splitlines() or ["no output"])[0].rstrip(".")


Run = Callable[[Sequence[str]], Done]


def run_command(command: Sequence[str]) -> Done:
    """Run a command to its end and capture stdout and stderr together."""
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
    """One upgrade; call it once.

    Args:
        source: The folder of a checkout, or a wheel.
        say: Receives one line for each step.
        run: Runs a command.
        home: The folder of the releases.
        root: The root of the file system for units and rules.
        extras: The optional parts to install.
        wait: Sleeps.
    """

    def __init__(
        self,
        source: str,
        *,
        say: Callable[[str], None],
        run: Run = run_command,
        home: Path = HOME,
        root: Path = ROOT,
        extras: Sequence[str] = EXTRAS,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._source, self._say, self._run, self._home, self._wait = source, say, run, home, wait
        self._root, self._extras = root, tuple(extras)

    def __call__(self) -> None:
        """Upgrade, or roll back.

        Raises:
            FerdError: The old release is in use, with the reason; or another instance did not restart.
        """
        old = self._current()
        new = self._home / "releases" / str(max(self._numbers(), default=0) + 1)
        try:
            self._install(new)
            self._check(new)
        except BaseException:  # an interruption as well: half a release must not stay as the previous one
            shutil.rmtree(new, ignore_errors=True)
            raise
        was_active = self._run(["systemctl", "is-active", "--quiet", UNIT]).code == 0
        before = after = snapshot(self._root)
        try:
            try:
                self._install_system_files(new)
            finally:
                after = snapshot(self._root)
            self._switch(new)
            reason = self._start() if was_active else None
        except BaseException:  # as above: nobody watches the new release any more
            restore(before, after)
            self._roll_back(old, new, was_active)
            raise
        if reason is not None:
            self._say(f"the new release does not work: {reason}")
            restore(before, after)
            state = self._roll_back(old, new, was_active)
            raise FerdError(f"the new release does not work ({reason}); the old one {state}. See journalctl -u ferd")
        if not was_active:
            self._say(f"{UNIT} was not running, so it is not started")
        others = self._run(["systemctl", "try-restart", OTHERS])  # only those that run
        self._tidy(new)
        if others.code != 0:
            raise FerdError(
                f"the new release is in use, but not by all of {OTHERS}: {others.first_line}. "
                f"See journalctl -u '{OTHERS}'"
            )

    def _install_system_files(self, new: Path) -> None:
        self._say("installing units, groups and rules")
        self._must([str(new / "bin/python"), "-I", "-m", "ferd.system_files"], "its unit files could not be installed")

    def _roll_back(self, old: Path, new: Path, was_active: bool) -> str:
        """Switch back to the old release. Returns what became of it."""
        reload_system(self._run)
        self._switch(old)
        back = self._run(["systemctl", "restart", UNIT]) if was_active else Done(0, "")
        shutil.rmtree(new, ignore_errors=True)
        return "runs again" if back.code == 0 else f"does not start either ({back.first_line})"

    def _current(self) -> Path:
        link = self._home / "venv"
        if not link.is_symlink() or not (link / "bin" / "ferd").exists():
            raise FerdError(f"{link}: ferd was not installed by scripts/install, so there is nothing to upgrade")
        return link.resolve()

    def _numbers(self) -> list[int]:
        return [int(p.name) for p in (self._home / "releases").iterdir() if re.fullmatch(r"\d+", p.name)]

    def _install(self, new: Path) -> None:
        self._say(f"installing {self._source} into {new} (takes some minutes on a Pi)")
        system = self._run(["python3", "-c", HAS_PICAMERA2]).code == 0  # installed or removed since the old release
        options = ["--system-site-packages"] if system else []
        self._must(["python3", "-m", "venv", "--clear", *options, str(new)], "the environment could not be created")
        pip = [str(new / "bin/python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-cache-dir"]
        if system:
            pip += self._constraint(new)
        self._must([*pip, f"{self._source}[{','.join(self._extras)}]"], "pip could not install it")
        self._run([str(new / "bin/python"), "-m", "compileall", "-q", str(new / "lib")])

    def _constraint(self, new: Path) -> list[str]:
        """Keep the numpy that the system's packages, picamera2 among them, were built for. Returns pip's option."""
        file = self._home / "constraints.txt"
        found = self._run([str(new / "bin/python"), "-c", "import numpy; print(f'numpy=={numpy.__version__}')"])
        if found.code == 0 and found.output.startswith("numpy=="):
            file.write_text(found.output, encoding="utf-8")
        return ["--constraint", str(file)] if file.exists() else []

    def _check(self, new: Path) -> None:
        """Let the new release check itself and the configuration before the switch."""
        self._say("checking it")
        self._must([str(new / "bin/ferd"), "check"], "it does not accept the configuration")
        self._must(
            [str(new / "bin/ferd"), "doctor", "--only", "software", "--only", "models"], "its doctor found errors"
        )

    def _must(self, command: Sequence[str], failure: str) -> None:
        done = self._run(command)
        if done.code != 0:
            raise FerdError(f"{failure}: {done.output.strip()[-2000:]}\nnothing was changed, the old release is in use")

    def _switch(self, release: Path) -> None:
        self._say(f"switching to {release.name}")
        fresh = self._home / ".venv.new"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(release.relative_to(self._home))
        fresh.rename(self._home / "venv")

    def _start(self) -> str | None:
        """Restart the service and watch it. Returns the reason why it does not work, or None."""
        self._say("restarting the service")
        started = self._run(["systemctl", "restart", UNIT])  # returns when ferd has sent READY=1, or failed
        if started.code != 0:
            return started.first_line
        before = self._restarts()
        self._wait(STABLE_AFTER_S)
        if self._run(["systemctl", "is-active", "--quiet", UNIT]).code != 0:
            return f"it ended within {STABLE_AFTER_S:.0f} s"
        if self._restarts() != before:
            return f"it was restarted within {STABLE_AFTER_S:.0f} s"
        return None

    def _restarts(self) -> str:
        return self._run(["systemctl", "show", UNIT, "-p", "NRestarts", "--value"]).output.strip()

    def _tidy(self, new: Path) -> None:
        for number in sorted(self._numbers())[:-KEPT]:
            shutil.rmtree(self._home / "releases" / str(number), ignore_errors=True)
        self._say(f"{new.name} is in use; the previous one is kept beside it")
