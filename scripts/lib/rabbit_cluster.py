"""Three RabbitMQ nodes with the MQTT plugin that form a cluster on this machine, and what can be done to them.

With network namespaces each node has an address of its own behind a bridge, so that one can be cut off: its packets
are dropped, and nobody gets an answer. Without them the nodes share loopback, and a node that is cut off is stopped
(SIGSTOP) instead: its ports accept connections, and it never answers. ``enter_namespace`` runs the whole program again
in a network of its own, which ends with it.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

PROGRAM = "/usr/lib/rabbitmq/bin/rabbitmq-server"
"""Debian's. The one in /usr/sbin changes to the user rabbitmq, who may not write into a temporary folder."""
NODES = 3
STARTS_S = 600.0
"""It took 15 to 27 s on two cores at load 23, and minutes at load 100."""
SUBNET = "10.77.0"
_INSIDE = "FERD_BENCH_NAMESPACE"
NET_TICK_S = 15
"""RabbitMQ notices a node that was cut off after 0.75 to 1.25 times this. Its default of 60 leaves new connections
waiting for up to 75 s, because they declare queues on all nodes."""

_CONFIG = """\
listeners.tcp = none
mqtt.listeners.tcp.1 = {address}:{port}
mqtt.allow_anonymous = true
mqtt.default_user = guest
mqtt.default_pass = guest
mqtt.durable_queue_type = quorum
mqtt.tcp_listen_options.backlog = 4096
loopback_users = none
cluster_partition_handling = pause_minority
cluster_formation.peer_discovery_backend = classic_config
{peers}
net_ticktime = {net_tick_s}
log.console = false
log.file.level = info
disk_free_limit.absolute = 50MB
"""


def missing() -> str:
    """Return why no cluster can run here; empty when it can."""
    return "" if Path(PROGRAM).exists() else "RabbitMQ is not installed: apt install rabbitmq-server"


def enter_namespace() -> bool:
    """Run this program again in a network namespace of its own. Returns whether it is in one."""
    if os.environ.get(_INSIDE):
        return True
    unshare = shutil.which("unshare", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if unshare is None or shutil.which("ip", path="/usr/sbin:/sbin") is None:
        return False
    command = [unshare, "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    probe = [*command, "/usr/sbin/ip", "link", "add", "probe0", "type", "bridge"]
    if subprocess.run(probe, check=False, capture_output=True).returncode == 0:
        os.execve(command[0], [*command, sys.executable, *sys.argv], os.environ | {_INSIDE: "1"})
    return False


class Network:
    """A bridge, and one namespace for each node. Everything in it ends with the program."""

    def __init__(self) -> None:
        self._holders: list[subprocess.Popen[bytes]] = []
        _ip("link", "set", "lo", "up")
        _ip("link", "add", "bridge0", "type", "bridge")
        _ip("addr", "add", f"{SUBNET}.254/24", "dev", "bridge0")
        _ip("link", "set", "bridge0", "up")

    def add(self, number: int) -> tuple[str, list[str]]:
        """Make a namespace. Returns its address, and the command that runs others in it."""
        holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        self._holders.append(holder)
        enter = ["nsenter", f"--net=/proc/{holder.pid}/ns/net"]
        _wait_for(lambda: _other_network(holder.pid), 10, "no network namespace")
        _ip("link", "add", f"node{number}", "type", "veth", "peer", "name", "eth0", "netns", str(holder.pid))
        _ip("link", "set", f"node{number}", "master", "bridge0", "up")
        address = f"{SUBNET}.{number}"
        for words in (f"addr add {address}/24 dev eth0", "link set eth0 up", "link set lo up"):
            subprocess.run([*enter, "ip", *words.split()], check=True)
        return address, enter

    def connect(self, number: int, *, connected: bool) -> None:
        """Connect the node to the bridge or cut it off: packets are dropped in both directions."""
        _ip("link", "set", f"node{number}", "up" if connected else "down")

    def end(self) -> None:
        for holder in self._holders:
            holder.kill()
            holder.wait()


class RabbitNode:
    """One node. ``number``: 1 to NODES."""

    def __init__(self, folder: Path, number: int, network: Network | None) -> None:
        self.number, self._folder, self._network = number, folder / f"node{number}", network
        self._folder.mkdir()
        self.host, self._enter = network.add(number) if network else ("127.0.0.1", [])
        self.port = 1883 if network else free_port()
        self.distribution_port = 25672 if network else free_port()
        self.name = f"ferd{number}@{self.host}"
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def alive(self) -> bool:
        return bool(self._processes) and self._processes[-1].poll() is None

    @property
    def log(self) -> str:
        return "".join(file.read_text(errors="replace") for file in sorted(self._folder.glob("log/*")))

    def configure(self, peers: Sequence[RabbitNode], epmd_port: int) -> None:
        names = "\n".join(f"cluster_formation.classic_config.nodes.{peer.number} = {peer.name}" for peer in peers)
        config = _CONFIG.format(address=self.host, port=self.port, peers=names, net_tick_s=NET_TICK_S)
        (self._folder / "rabbitmq.conf").write_text(config)
        (self._folder / "enabled_plugins").write_text("[rabbitmq_mqtt].\n")
        (self._folder / "env.conf").write_text("")
        self._epmd_port = epmd_port

    def start(self) -> None:
        """Start it and return at once; the first start of all nodes together forms the cluster."""
        env = {key: value for key, value in os.environ.items() if not key.startswith(("RABBITMQ_", "ERL_"))}
        folder = str(self._folder)
        env |= {
            "HOME": str(self._folder.parent),  # of all nodes: it holds the cookie
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_USE_LONGNAME": "true",
            "RABBITMQ_CONF_ENV_FILE": f"{folder}/env.conf",
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/enabled_plugins",
            "RABBITMQ_MNESIA_BASE": f"{folder}/data",
            "RABBITMQ_LOG_BASE": f"{folder}/log",
            "RABBITMQ_PID_FILE": f"{folder}/pid",
            "RABBITMQ_DIST_PORT": str(self.distribution_port),
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_CRASH_DUMP_BYTES": "0",
        }
        with (self._folder / "console").open("ab") as console:
            self._processes.append(
                subprocess.Popen(
                    [*self._enter, PROGRAM],
                    env=env,
                    stdin=subprocess.DEVNULL,
                    stdout=console,
                    stderr=console,
                    start_new_session=True,
                )
            )

    def wait(self, within_s: float = STARTS_S) -> None:
        """Wait until it accepts MQTT connections."""
        _wait_for(
            lambda: self.listens or not self.alive,
            within_s,
            f"{self.name} does not accept connections after {within_s:.0f} s",
        )
        if not self.alive:
            sys.exit(f"{self.name} ended: {(self._folder / 'console').read_text(errors='replace')[-2000:]}")

    @property
    def listens(self) -> bool:
        with suppress(OSError), socket.create_connection((self.host, self.port), timeout=1):
            return True
        return False

    def end(self, number: int = signal.SIGTERM, within_s: float = 60.0) -> None:
        """End it by a signal; SIGKILL is a power cut, SIGTERM an orderly stop."""
        if not self._processes:
            return
        process = self._processes.pop()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGCONT)
            if number == signal.SIGKILL:
                os.killpg(process.pid, number)
            else:
                process.send_signal(number)
        try:
            process.wait(within_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(within_s)

    def cut_off(self) -> None:
        """Cut its network, or stop the process where it has no network of its own."""
        if self._network is not None:
            self._network.connect(self.number, connected=False)
        else:
            os.killpg(self._processes[-1].pid, signal.SIGSTOP)

    def reconnect(self) -> None:
        if self._network is not None:
            self._network.connect(self.number, connected=True)
        elif self.alive:
            os.killpg(self._processes[-1].pid, signal.SIGCONT)

    def usage(self) -> tuple[float, float]:
        """Return the seconds of CPU that it used, and its memory in MB."""
        folder = self._erlang()
        if folder is None:
            return 0.0, 0.0
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        status = (folder / "status").read_text()
        cpu_s = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return cpu_s, int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def _erlang(self) -> Path | None:
        """Return the folder in /proc of the Erlang process: the first one is a shell."""
        for comm in Path("/proc").glob("[0-9]*/comm"):
            with suppress(OSError):
                is_ours = bool(self._processes) and os.getpgid(int(comm.parent.name)) == self._processes[-1].pid
                if is_ours and comm.read_text().strip() == "beam.smp":
                    return comm.parent
        return None


class Cluster:
    """The nodes. ``isolated``: whether the program is in a network namespace of its own."""

    def __init__(self, folder: Path, *, isolated: bool, count: int = NODES) -> None:
        self._network = Network() if isolated else None
        self._epmds: list[subprocess.Popen[bytes]] = []
        (folder / ".erlang.cookie").write_text(os.urandom(16).hex())
        (folder / ".erlang.cookie").chmod(0o400)
        epmd_port = free_port()
        self.nodes = [RabbitNode(folder, number, self._network) for number in range(1, count + 1)]
        for node in self.nodes:
            node.configure(self.nodes, epmd_port)
        # Erlang would start it by itself, and it would stay after the test.
        places = [node._enter for node in self.nodes] if self._network else [[]]
        for enter in places:
            self._epmds.append(subprocess.Popen([*enter, "epmd", "-port", str(epmd_port)], stdin=subprocess.DEVNULL))

    def start(self) -> None:
        """Start one after the other: nodes that start at once may form several groups that track client ids."""
        for node in self.nodes:
            node.start()
            node.wait()

    def end(self) -> None:
        for node in self.nodes:
            node.end(signal.SIGKILL)
        for epmd in self._epmds:
            epmd.kill()
            epmd.wait()
        if self._network is not None:
            self._network.end()

    @property
    def addresses(self) -> list[tuple[str, int]]:
        return [(node.host, node.port) for node in self.nodes]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def _other_network(pid: int) -> bool:
    with suppress(OSError):
        return (Path(f"/proc/{pid}/ns/net").readlink()) != Path("/proc/self/ns/net").readlink()
    return False


def _wait_for(happened: Callable[[], bool], within_s: float, what: str) -> None:
    until = time.monotonic() + within_s
    while not happened():
        if time.monotonic() > until:
            sys.exit(what)
        time.sleep(0.1)
