"""Ask the page whether ferd works: the container's health check, `python -m ferd.healthcheck [FILE]`.

It runs twice a minute. It therefore reads only the keys that it needs, with the standard library: to load the whole
configuration would cost a Pi a second of processor time.
"""

from __future__ import annotations

import http.client
import os
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

SYSTEM_FILE = Path("/etc/ferd/ferd.toml")
PORT = 8322
TIMEOUT_S = 8.0
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # compared, not bound


def page_address(file: Path, environ: Mapping[str, str]) -> tuple[str, int] | None:
    """Return host and port of the page, as the file and the variables FERD_WEB__… set them; None where it is off.

    Raises:
        OSError: The file cannot be read. A file that does not exist counts as empty.
        ValueError: The file is not TOML, or the port is not a number.
    """
    try:
        web = tomllib.loads(file.read_text(encoding="utf-8-sig")).get("web", {})
    except FileNotFoundError:
        web = {}
    values = {key: environ.get(f"FERD_WEB__{key.upper()}", web.get(key)) for key in ("enabled", "bind", "port")}
    if str(values["enabled"]).strip().lower() not in ("1", "true", "yes", "on"):
        return None
    bind = str(values["bind"] or "127.0.0.1")
    return _ANY.get(bind, bind), int(values["port"] or PORT)


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Print what the page answers. Returns 0 if ferd works, or if the page is off and there is nobody to ask."""
    file = Path(arguments[0]) if arguments else SYSTEM_FILE
    try:
        address = page_address(file, environ)
        if address is None:
            print("[web] is off: only the process is watched")  # noqa: T201
            return 0
        connection = http.client.HTTPConnection(*address, timeout=TIMEOUT_S)
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        print(answer.read(500).decode("utf-8", "replace").strip())  # noqa: T201
    except (OSError, ValueError, http.client.HTTPException) as error:
        print(f"the page does not answer: {error}")  # noqa: T201
        return 1
    return 0 if answer.status == http.client.OK else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
