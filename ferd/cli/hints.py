"""Lines that tell a user how to go on: subscribe, open the page, switch a camera on again."""

from __future__ import annotations

import getpass
import os
import shlex
import shutil
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from ferd.config import MqttConfig
from ferd.redaction import redact_username


def program(argv0: str | None = None, cwd: Path | None = None) -> str:
    """Return what a user types to run this ferd: "ferd", ".venv/bin/ferd", or its path."""
    file = Path(sys.argv[0] if argv0 is None else argv0)
    if file.name != "ferd":
        return f"{sys.executable} -m ferd"
    found = shutil.which("ferd")
    if found and Path(found).resolve() == file.resolve():
        return "ferd"
    here = Path.cwd() if cwd is None else cwd
    absolute = file.absolute()
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else str(absolute)


def first_look() -> str:
    """Return what a user types for a first look: the script of a checkout, or the command that it runs."""
    script = Path(__file__).parents[2] / "scripts/run"
    if not script.is_file():
        return f"{program()} run --try"
    here = Path.cwd()
    return f"./{script.relative_to(here)}" if script.is_relative_to(here) else str(script)


def subscribe(mqtt: MqttConfig, config: Path | None, username: str | None) -> str:
    """Return the command that shows what is published: mosquitto_sub where it is installed, else `ferd watch`.

    `config`: the file in use, for `ferd watch`. The password itself is never shown.
    """
    if shutil.which("mosquitto_sub") is None:
        where = ["--host", mqtt.host, "--port", str(mqtt.port)] if config is None or _is_other(mqtt) else []
        file = ["--config", str(config)] if config is not None else []
        return " ".join([program(), "watch", *(shlex.quote(part) for part in (*file, *where))])
    return " ".join(["mosquitto_sub", *client_options(mqtt, username), "-v -t 'ferd/#'"])


def client_options(mqtt: MqttConfig, username: str | None) -> list[str]:
    """Return the options with which mosquitto_sub and mosquitto_pub reach this broker."""
    options = [f"-h {shlex.quote(mqtt.host)} -p {mqtt.port}"]
    if username is not None:
        file = mqtt.password_file
        password = f'"$(head -n 1 {shlex.quote(str(file))})"' if file is not None else "PASSWORD"
        user = shlex.quote(username) if redact_username(username) == username else "USER"
        options.append(f"-u {user} -P {password}")
    if mqtt.tls:
        options.append(f"--cafile {shlex.quote(str(mqtt.ca_file))}" if mqtt.ca_file else "--tls-use-os-certs")
        options += ["--insecure"] if not mqtt.tls_verify else []
        options += [f"--cert {shlex.quote(str(mqtt.cert_file))}"] if mqtt.cert_file else []
        options += [f"--key {shlex.quote(str(mqtt.key_file or mqtt.cert_file))}"] if mqtt.cert_file else []
    return options


def _is_other(mqtt: MqttConfig) -> bool:
    """Whether it is not the broker that the configuration names, but ferd's own."""
    return not {"host", "port"} & mqtt.model_fields_set


def tunnel(port: int, environ: Mapping[str, str] | None = None) -> str | None:
    """Return the command that shows the page on the machine from which the user logged in; None without SSH."""
    environ = os.environ if environ is None else environ
    parts = environ.get("SSH_CONNECTION", "").split()
    if len(parts) != 4:
        return None
    server = parts[2].partition("%")[0] or socket.gethostname()
    return f"ssh -L {port}:127.0.0.1:{port} {getpass.getuser()}@{server}"


def switched_off(camera: str, node: str, mqtt: MqttConfig, username: str | None, page: str | None) -> str:
    """Return how to switch on a camera that was switched off in an earlier run."""
    if shutil.which("mosquitto_pub") is None:
        send = f'send "ON" to ferd/{node}/{camera}/enabled/set'
    else:
        options = " ".join(client_options(mqtt, username))
        send = f"mosquitto_pub {options} -t ferd/{node}/{camera}/enabled/set -m ON"
    start = f"Start on the page {page}, or " if page else ""
    return f"camera {camera} was switched off and stays closed. To switch it on: {start}{send}"
