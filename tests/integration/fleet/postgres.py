"""A PostgreSQL of its own in a temporary folder, on a unix socket, with the fleet's schema."""

from __future__ import annotations

import csv
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

SCHEMA = Path(__file__).parents[3] / "examples/fleet/schema.sql"
FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)  # where Debian puts what only a server needs


def program(name: str) -> str | None:
    return shutil.which(name) or next((str(folder / name) for folder in FOLDERS if (folder / name).exists()), None)


def why_not() -> str | None:
    """Why no server can be started here; None if it can."""
    if missing := [name for name in ("initdb", "postgres", "psql") if program(name) is None]:
        return f"{missing[0]} is missing: apt install postgresql"
    if os.geteuid() == 0 and _user() is None:
        return "PostgreSQL refuses to run as root, and there is no user postgres or nobody"
    return None


def _user() -> str | None:
    """Whom the server runs as where the tests run as root."""
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    return None


class Postgres:
    """The server. Its folder is short, as the path of a socket has 107 bytes at most."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._user = _user() if os.geteuid() == 0 else None
        self._server: subprocess.Popen[bytes] | None = None
        self.owner = self._user or pwd.getpwuid(os.geteuid()).pw_name
        if self._user:
            shutil.chown(folder, self._user)
        self._run("initdb", "-D", "data", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")

    @property
    def dsn(self) -> str:
        return f"host={self._folder} user={self.owner} dbname=postgres"

    def start(self) -> None:
        settings = {"listen_addresses": "", "unix_socket_directories": self._folder, "fsync": "off", "timezone": "UTC"}
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        self._run(
            "pg_ctl", "-D", "data", "-l", "log", "-w", "-t", "60", "-o", " ".join(f"'{it}'" for it in options), "start"
        )

    def stop(self) -> None:
        self._run("pg_ctl", "-D", "data", "-m", "immediate", "-w", "stop", check=False)

    def clear(self) -> None:
        """Remove all rows."""
        self._psql("-c", "TRUNCATE ferd.event, ferd.expression_by_hour, ferd.health, ferd.node, ferd.camera")

    def load(self, file: Path) -> None:
        self._psql("-f", "-", text=file.read_text())

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """Run a query. Every value is text; NULL is None."""
        found = list(csv.reader(self._psql("--csv", "-P", "null=~", "-c", sql).splitlines()))
        return [dict(zip(found[0], (None if it == "~" else it for it in row), strict=True)) for row in found[1:]]

    def value(self, sql: str) -> Any:
        (row,) = self.rows(sql)
        (value,) = row.values()
        return value

    def store(self, *messages: tuple[str, str]) -> None:
        """Store messages (topic, payload) as store.py does, without it."""
        calls = [f"SELECT ferd.store({_quoted(topic)}, {_quoted(payload)});" for topic, payload in messages]
        self._psql("-f", "-", text="\n".join(calls))

    def _psql(self, *arguments: str, text: str = "") -> str:
        psql = program("psql")
        assert psql is not None
        done = subprocess.run(
            [psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", *arguments, self.dsn],
            input=text, capture_output=True, text=True, check=False, timeout=100,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _run(self, name: str, *arguments: str, check: bool = True) -> None:
        command = [program(name) or name, *arguments]
        if self._user:
            command = ["setpriv", f"--reuid={self._user}", f"--regid={_group(self._user)}", "--clear-groups", *command]
        # No pipe: the server that pg_ctl starts would keep it open.
        with (self._folder / f"{name}.out").open("wb") as log:
            done = subprocess.run(command, cwd=self._folder, stdout=log, stderr=log, check=False, timeout=100)
        assert done.returncode == 0 or not check, (self._folder / f"{name}.out").read_text()


def _group(user: str) -> int:
    return pwd.getpwnam(user).pw_gid


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A running server with the schema, for as long as the block runs."""
    with tempfile.TemporaryDirectory(prefix="ferd-sql-") as name:
        server = Postgres(Path(name))
        server.start()
        try:
            server.load(SCHEMA)
            yield server
        finally:
            server.stop()
