"""Start ferd as a Home Assistant add-on: make ferd.toml of the add-on's options and get the broker from the supervisor.

Runs as root in the add-on's container, and hands over to `ferd run` as the user "ferd".
"""

from __future__ import annotations

import json
import logging
import os
import pwd
import stat
import sys
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomlkit

EXIT_CONFIG = 78
"""As of ferd itself: the configuration is wrong; starting again would not help."""
INGRESS = "172.30.32.2"
"""The supervisor's address, from which alone the page may be opened: developers.home-assistant.io, "Ingress"."""
PORT = 8322
SERVICE_WAIT_S = 60.0
"""After the host has started, the broker's add-on may need this long to announce itself."""
RETRY_S = 5.0
USER = "ferd"
GROUP, OTHERS_TOO = stat.S_IRGRP | stat.S_IWGRP, stat.S_IROTH | stat.S_IWOTH
DEVICES = ("video*", "media*", "gpiochip*", "dma_heap/*")

# option -> section and key of ferd.toml
OPTIONS: Mapping[str, tuple[str, str]] = {
    "node_name": ("node", "name"),
    "model": ("expression", "model"),
    "fatigue": ("fatigue", "enabled"),
    "gestures": ("gestures", "enabled"),
    "buzzer_pin": ("buzzer", "pin"),
    "buzzer_kind": ("buzzer", "kind"),
    "mqtt_host": ("mqtt", "host"),
    "mqtt_port": ("mqtt", "port"),
    "mqtt_username": ("mqtt", "username"),
    "mqtt_tls": ("mqtt", "tls"),
}
# Options that are not simply a key of ferd.toml.
OTHERS = ("cameras", "mqtt_password", "verbose")
CAMERA_OPTIONS = ("source", "width", "height", "fps", "rotate", "mirror")

log = logging.getLogger("add-on")


class AddonError(Exception):
    """What the user can correct. The text names the remedy."""


@dataclass(frozen=True, slots=True)
class Places:
    """The files and folders of an add-on, below `root`, which is a test's folder or the container's."""

    root: Path = Path("/")

    @property
    def options(self) -> Path:
        return self.root / "data/options.json"

    @property
    def config(self) -> Path:
        """The ferd.toml that is made at each start."""
        return self.root / "data/ferd.toml"

    @property
    def state(self) -> Path:
        return self.root / "data/state"

    @property
    def secrets(self) -> Path:
        """Passwords, which are written again at each start."""
        return self.root / "run/ferd"

    @property
    def own(self) -> Path:
        """The user's own ferd.toml, in the add-on's folder of the Samba or file editor add-on."""
        return self.root / "config/ferd.toml"

    @property
    def devices(self) -> Path:
        return self.root / "dev"


# ---- options ----


def read_options(file: Path) -> dict[str, Any]:
    """Return the options that are set. Unknown ones are dropped with a warning. Raises AddonError."""
    try:
        options = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AddonError(
            f"{file}: the options cannot be read ({error}). Save them again on the add-on's page"
        ) from None
    if not isinstance(options, dict):
        raise AddonError(f"{file}: the options are not an object. Save them again on the add-on's page")
    for name in sorted(options.keys() - OPTIONS.keys() - set(OTHERS)):
        log.warning("unknown option ignored option=%s", name)
    return {
        name: value
        for name, value in options.items()
        if (name in OPTIONS or name in OTHERS) and value not in (None, "")
    }


def settings_of(options: Mapping[str, Any], secrets: Path) -> dict[str, Any]:
    """Return the tree of ferd.toml that the options stand for, without the broker's password. Raises AddonError."""
    tree: dict[str, Any] = {}
    for name, (section, key) in OPTIONS.items():
        if name in options:
            tree.setdefault(section, {})[key] = options[name]
    cameras: dict[str, Any] = {}
    for camera in options.get("cameras", []):
        name = str(camera.get("name", "camera"))
        if name in cameras:
            raise AddonError(f'cameras: two cameras have the name "{name}". Give each its own')
        keys = {key: camera[key] for key in CAMERA_OPTIONS if camera.get(key) not in (None, "")}
        if "rotate" in keys:
            keys["rotate"] = int(keys["rotate"])  # a choice from a list is text
        if camera.get("password"):
            keys["source_password_file"] = str(write_secret(secrets / f"camera-{name}-password", camera["password"]))
        for unknown in sorted(camera.keys() - {"name", "password", *CAMERA_OPTIONS}):
            log.warning("unknown option ignored option=cameras.%s.%s", name, unknown)
        cameras[name] = keys
    if cameras:
        tree["cameras"] = cameras
    return tree


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return both trees in one; where both have a value, that of `above`."""
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def own_settings(file: Path) -> dict[str, Any]:
    """Return the user's own ferd.toml; empty where there is none. Raises AddonError."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise AddonError(f"{file}: {error}. Correct it, or remove the file") from None


# ---- the broker ----


def broker_of_supervisor(
    environ: Mapping[str, str],
    *,
    wait_s: float = SERVICE_WAIT_S,
    retry_s: float = RETRY_S,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """Ask the supervisor for the broker: developers.home-assistant.io, "Services API".

    Args:
        environ: SUPERVISOR_TOKEN, which the supervisor sets, and for tests SUPERVISOR_API, the address of its API.
        wait_s: How long to ask again while no broker is announced.
        retry_s: Seconds between two requests.
        sleep: Waits.

    Raises:
        AddonError: There is none, or the supervisor cannot be asked.
    """
    url = f"{environ.get('SUPERVISOR_API', 'http://supervisor')}/services/mqtt"
    request = urllib.request.Request(  # noqa: S310  # http, inside the supervisor's network
        url, headers={"Authorization": f"Bearer {environ.get('SUPERVISOR_TOKEN', '')}"}
    )
    waited = 0.0
    while True:
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                found = json.load(answer)["data"]
                keys = ("port", "ssl", "username", "password")
                return {"host": str(found["host"])} | {key: found[key] for key in keys if found.get(key)}
        except urllib.error.HTTPError as error:
            reason, final = _message_of(error), error.code in (401, 403)
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason, final = str(error), False
        if final or waited >= wait_s:
            break
        if not waited:
            log.info("waiting for the MQTT broker's add-on, at most %.0f s reason=%r", wait_s, reason)
        sleep(retry_s)
        waited += retry_s
    raise AddonError(
        f'there is no MQTT broker (the supervisor says: {reason}). Install the add-on "Mosquitto broker" and start it, '
        "or set mqtt_host, mqtt_username and mqtt_password in this add-on's options; then start ferd again"
    )


def _message_of(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["message"])
    except (OSError, ValueError, KeyError, TypeError):
        return f"{error.code} {error.reason}"


# ---- files ----


def write_secret(file: Path, secret: str) -> Path:
    """Write a password that only ferd's user may read. Return the file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:
        opened.write(f"{secret}\n")
    return file


def prepare(
    places: Places,
    environ: Mapping[str, str],
    ask: Callable[[Mapping[str, str]], dict[str, Any]] = broker_of_supervisor,
) -> list[str]:
    """Write ferd.toml and the passwords. Return the command that runs ferd. Raises AddonError.

    Options replace the same keys of the user's own file; the page's address is that of the ingress in any case.
    """
    options = read_options(places.options)
    settings = merged(own_settings(places.own), settings_of(options, places.secrets))
    mqtt = settings.get("mqtt", {})
    password = options.get("mqtt_password")
    user = {"username", "username_file", "password_file"} & mqtt.keys()
    if not ({"host", "hosts"} & mqtt.keys()):
        found = ask(environ)
        log.info("broker from the supervisor host=%s port=%s", found["host"], found.get("port"))
        mqtt = {"host": found["host"], "port": int(found.get("port", 1883)), "tls": bool(found.get("ssl"))} | mqtt
        if "username" in found and not user and not password:
            mqtt["username"], password = found["username"], found.get("password")
    if password:
        mqtt = mqtt | {"password_file": str(write_secret(places.secrets / "mqtt-password", password))}
    page = {"enabled": True, "bind": "0.0.0.0", "port": PORT, "trusted_proxy": INGRESS}  # noqa: S104  # ingress only
    settings = merged({"node": {"name": "ferd"}}, settings) | {"mqtt": mqtt}
    settings = merged(settings, {"web": page})
    text = f"# Made at each start from the add-on's options and {places.own}. Changes here are lost.\n"
    places.config.write_text(text + tomlkit.dumps(settings), encoding="utf-8")
    places.config.chmod(0o644)
    return ["run", "--config", str(places.config), *(["--verbose"] if options.get("verbose") else [])]


# ---- the user ----


def device_groups(devices: Path, *, needs_pins: bool) -> list[int] | None:
    """Return the groups that may open the cameras and pins. None where a needed device belongs to root alone.

    Their numbers are the host's, so they are read from the devices.
    """
    groups = set()
    for pattern in DEVICES:
        for device in devices.glob(pattern):
            found = device.stat()
            if not stat.S_ISCHR(found.st_mode):
                continue
            if found.st_gid and found.st_mode & GROUP == GROUP:
                groups.add(found.st_gid)
            elif found.st_mode & OTHERS_TOO != OTHERS_TOO and (needs_pins or not pattern.startswith("gpio")):
                log.warning("ferd stays root: its user may not open device=%s", device)
                return None
    return sorted(groups)


def become(user: str, groups: Iterable[int], owned: Iterable[Path]) -> None:
    """Give the folders in `owned`, and what they contain, to a user, and become that user."""
    entry = pwd.getpwnam(user)
    for folder in owned:
        folder.mkdir(parents=True, exist_ok=True)
        for path in (folder, *folder.rglob("*")):
            with suppress(FileNotFoundError):
                os.chown(path, entry.pw_uid, entry.pw_gid, follow_symlinks=False)
    os.setgroups([entry.pw_gid, *groups])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def main(arguments: Sequence[str] = ()) -> int:
    """Prepare, and become ferd. Returns only after an error."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    places = Places()
    try:
        command = [*prepare(places, os.environ), *arguments]
    except AddonError as error:
        log.error("%s", error)  # noqa: TRY400  # a sentence for the user, not a traceback
        return EXIT_CONFIG
    pins = tomllib.loads(places.config.read_text(encoding="utf-8")).get("buzzer", {})
    groups = device_groups(places.devices, needs_pins=bool(pins))
    if groups is not None and os.geteuid() == 0:
        become(USER, groups, (places.state, places.secrets))
    places.state.mkdir(parents=True, exist_ok=True)
    os.execvp("container-start", ["container-start", *command])  # noqa: S606  # tini started this process
    raise AssertionError("execvp does not return")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
