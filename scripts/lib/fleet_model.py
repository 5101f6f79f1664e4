"""Plan a fleet on paper: what N ferds need of brokers, network and storage, from constants that were measured.

`scripts/bench-fleet --simulate N` prints it. Every constant stands in CONSTANTS with its source; docs/fleet.md explains
the model and quotes its figures. Pure: no broker, no clock.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

SECONDS_A_DAY = 86_400
DAYS_A_MONTH = 30
RECONNECT_JITTER_S = 45.0
"""The longest pause of ferd's backoff: after a long outage the nodes return spread over this time."""
_FLEET = "bench-fleet, 500 nodes, mosquitto 2.0.11"
_CLUSTER = "bench-cluster, three nodes of RabbitMQ 3.10.8"


@dataclass(frozen=True, slots=True)
class Constant:
    """A figure with its unit and where it comes from."""

    value: float
    unit: str
    source: str


CONSTANTS: dict[str, Constant] = {
    "quiet_messages": Constant(1 / 60, "messages/s", "health, once a minute (ferd/outputs/health.py)"),
    "busy_messages": Constant(0.108, "messages/s", f"{_FLEET}: 54 a second; a face keeps an expression for 21 s"),
    "busy_events": Constant(0.054, "events/s", "half of them: each change is one state and one event"),
    "message_bytes": Constant(170, "bytes", "PUBLISH packets of the examples: state 131 to 138, event 160 to 204"),
    "health_bytes": Constant(305, "bytes", "PUBLISH packet of the example of health"),
    "overhead_bytes": Constant(110, "bytes", "TCP/IP headers of the message, its PUBACK and both ACKs, from RFC 9293"),
    "ping_bytes": Constant(164, "bytes", "PINGREQ, PINGRESP and their ACKs with TCP/IP headers"),
    "keepalive_s": Constant(20, "s", "KEEPALIVE_S in ferd/outputs/mqtt/client.py"),
    "retained_bytes": Constant(8000, "bytes", "ten retained messages 2 kB, discovery document 6 kB (one camera)"),
    "row_bytes": Constant(300, "bytes", "assumed: an event of 204 bytes in a table with one index"),
    "commits": Constant(1000, "commits/s", "assumed: one database that writes each event in a transaction of its own"),
    "mosquitto_cpu_s": Constant(56e-6, "core seconds", f"{_FLEET}: 0.6 % of a core for 54 in and 54 out, per message"),
    "mosquitto_base_mb": Constant(8, "MB", f"{_FLEET}: 15 MB, less 500 connections"),
    "mosquitto_connection_mb": Constant(0.014, "MB", f"{_FLEET}: 15 MB"),
    "mosquitto_connects": Constant(111, "connections/s", f"{_FLEET}: 500 connected within 4.5 s, bound by the nodes"),
    "rabbit_cpu_s": Constant(
        1.0e-3,
        "core seconds",
        f"{_CLUSTER}: 49 % of a core in all for 248 in and 248 out, 1000 nodes; 2.5 ms with 60, idle cost included",
    ),
    "rabbit_base_mb": Constant(130, "MB", f"{_CLUSTER}: 131 to 137 MB with 20 connections each"),
    "rabbit_connection_mb": Constant(
        1.4, "MB", f"{_CLUSTER}: 456 MB with 238, just made; 0.48 MB each when steady (304 MB with 333)"
    ),
    "rabbit_connects": Constant(
        17, "connections/s", f"{_CLUSTER} on two cores: 1000 within 60.5 s after a lost quorum, bound by the pauses"
    ),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is planned. ``busy``: share of the day with a face in view. Prices are yours, in any currency."""

    nodes: int
    busy: float = 0.25
    subscribers: int = 2
    days_kept: int = 365
    core_month: float = 15.0
    gb_month: float = 0.1
    use: float = 0.6
    """Share of a core, of a broker's connections and of its memory that is planned for; the rest is for bursts."""
    broker_gb: float = 8.0
    broker_cores: int = 4


@dataclass(frozen=True, slots=True)
class Limit:
    """A resource of one broker: how much of it the fleet needs, and what helps. ``share``: 1.0 is the limit."""

    name: str
    share: float
    knob: str


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a fleet needs. Rates are means over the day, ``peak``: when every node sees a face."""

    messages_a_second: float
    peak_messages_a_second: float
    megabit_a_second: float
    peak_megabit_a_second: float
    connections: int
    retained_mb: float
    events_a_day: float
    storage_gb_a_day: float
    storage_gb: float
    mosquittos: int
    rabbit_nodes: int
    reconnect_s: float
    cost_a_month: float
    limits: tuple[Limit, ...]

    @property
    def first(self) -> Limit:
        """The limit of a single mosquitto that breaks first."""
        return max(self.limits, key=lambda it: it.share)


def forecast(plan: Plan) -> Forecast:
    """Apply the model. Raises ValueError for a plan that makes no sense."""
    if plan.nodes < 1 or not 0 <= plan.busy <= 1 or plan.subscribers < 0 or not 0 < plan.use <= 1:
        raise ValueError("nodes must be 1 or more, busy and use between 0 and 1, subscribers 0 or more")
    c = {name: constant.value for name, constant in CONSTANTS.items()}
    n, copies = plan.nodes, 1 + plan.subscribers  # each message comes in once and goes out to each subscriber
    faces, health = c["busy_messages"] * n, c["quiet_messages"] * n
    messages, peak = plan.busy * faces + health, faces + health

    def megabit(face_rate: float) -> float:
        payload = face_rate * c["message_bytes"] + health * c["health_bytes"]
        sent = copies * (payload + (face_rate + health) * c["overhead_bytes"])
        return 8 * (sent + n * c["ping_bytes"] / c["keepalive_s"]) / 1e6

    connections = n + plan.subscribers
    events = plan.busy * c["busy_events"] * n * SECONDS_A_DAY
    a_day = events * c["row_bytes"] / 1e9
    limits = (
        Limit(
            "descriptors of mosquitto under systemd (1024)",
            connections / (1024 - 24),
            "LimitNOFILE=65536 in its unit",
        ),
        Limit(
            "the one core that mosquitto uses",
            peak * copies * c["mosquitto_cpu_s"] / plan.use,
            "a broker for each site with bridges; fewer subscribers; min_hold_s; discovery = false",
        ),
        Limit(
            f"its memory ({plan.broker_gb:g} GB)",
            (c["mosquitto_base_mb"] + connections * c["mosquitto_connection_mb"]) / (1000 * plan.broker_gb * plan.use),
            "more memory; a broker for each site",
        ),
        Limit(
            "everybody connects again after an outage",
            n / RECONNECT_JITTER_S / c["mosquitto_connects"],
            'several brokers with hosts_order = "random"; they return later, nothing is lost',
        ),
        Limit(
            "one consumer that writes each event in a transaction of its own (1000 a second)",
            c["busy_events"] * n / c["commits"],
            "commit in batches; several consumers, one for each site",
        ),
    )
    rabbits = _rabbit_nodes(plan, peak * copies, connections, c)
    return Forecast(
        messages,
        peak,
        megabit(plan.busy * faces),
        megabit(faces),
        connections,
        n * c["retained_bytes"] / 1e6,
        events,
        a_day,
        a_day * plan.days_kept,
        max(1, math.ceil(max(it.share for it in limits[1:4]))),
        rabbits,
        # Each connection declares a queue and bindings in one transaction of the whole cluster: more nodes do not help.
        max(RECONNECT_JITTER_S, n / c["rabbit_connects"]),
        rabbits * plan.broker_cores * plan.core_month + a_day * plan.days_kept * plan.gb_month,
        limits,
    )


def _rabbit_nodes(plan: Plan, handled: float, connections: int, c: dict[str, float]) -> int:
    """Return how many nodes a cluster needs so that it carries everything with one of them down; odd, 3 or more."""
    by_cpu = handled * c["rabbit_cpu_s"] / (plan.broker_cores * plan.use)
    memory_mb = 1000 * plan.broker_gb * plan.use - c["rabbit_base_mb"]
    by_memory = connections * c["rabbit_connection_mb"] / memory_mb
    count = 1 + math.ceil(max(by_cpu, by_memory, 1))
    return max(3, count + 1 - count % 2)


def report(plan: Plan) -> str:
    """Return the forecast for people, with the constants that it was made from."""
    it, first = forecast(plan), forecast(plan).first
    rows = [
        ("nodes", f"{plan.nodes:,}, a face in view for {plan.busy:.0%} of the day, {plan.subscribers} subscribers"),
        ("messages a second", f"{it.messages_a_second:,.0f} on average, {it.peak_messages_a_second:,.0f} at the peak"),
        ("Mbit a second", f"{it.megabit_a_second:,.1f} on average, {it.peak_megabit_a_second:,.1f} at the peak"),
        ("connections", f"{it.connections:,}"),
        ("retained values", f"{it.retained_mb:,.0f} MB"),
        ("events a day", f"{it.events_a_day:,.0f}"),
        ("storage", f"{it.storage_gb_a_day:,.2f} GB a day, {it.storage_gb:,.0f} GB for {plan.days_kept} days"),
        ("mosquitto brokers", f"{it.mosquittos}, one for each group of sites, with bridges to a centre"),
        (
            "or RabbitMQ nodes",
            f"{it.rabbit_nodes} with {plan.broker_cores} cores and {plan.broker_gb:g} GB; one of them may be down",
        ),
        (
            "all back after",
            f"{it.reconnect_s:,.0f} s when all of RabbitMQ was away, if it accepts no faster than two cores did",
        ),
        ("cost a month", f"{it.cost_a_month:,.0f} at {plan.core_month:g} for a core and {plan.gb_month:g} for a GB"),
        ("breaks first", f"{first.name}: {first.share:.0%}"),
        ("what helps", first.knob),
    ]
    lines = [f"{name:<20}{value}" for name, value in rows]
    lines += ["", "Limits of one mosquitto"]
    lines += [f"  {limit.share:>8.0%}  {limit.name}. {limit.knob}" for limit in sorted(it.limits, key=_by_share)]
    lines += ["", "Constants"]
    lines += [f"  {name:<24}{value.value:>10.6g} {value.unit:<14} {value.source}" for name, value in CONSTANTS.items()]
    return "\n".join(lines)


def _by_share(limit: Limit) -> float:
    return -limit.share


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the plan."""
    group = parser.add_argument_group("forecast (no broker is started)")
    group.add_argument("--simulate", type=int, metavar="N", help="print what N nodes need, from measured constants")
    defaults = {field.name: field.default for field in fields(Plan)}
    for name, what in (
        ("busy", "share of the day with a face in view"),
        ("subscribers", "clients that receive everything"),
        ("days_kept", "days for which events are kept"),
        ("core_month", "price of a core for a month"),
        ("gb_month", "price of a GB of storage for a month"),
        ("broker_cores", "cores of a broker"),
        ("broker_gb", "memory of a broker in GB"),
    ):
        default = defaults[name]
        group.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default, help=what)


def plan_of(args: argparse.Namespace) -> Plan:
    names: Sequence[str] = [field.name for field in fields(Plan) if hasattr(args, field.name)]
    return Plan(**{name: getattr(args, name) for name in names if name != "nodes"}, nodes=args.simulate)
