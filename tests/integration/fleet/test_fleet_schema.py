"""examples/fleet/schema.sql in a real PostgreSQL, filled with messages as ferd makes them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from postgres import SCHEMA, Postgres

from ferd import topics
from ferd.payloads import AlertEvent, CameraHealth, Event, GestureEvent, Health, Info
from ferd.topics import Message

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()


def sent(message: Message, site: str = "") -> tuple[str, str]:
    return f"{site}/{message.topic}" if site else message.topic, message.encoded().decode()


def change(
    number: int, old: str | None, new: str | None, held_s: float | None, at: float, **where: str
) -> tuple[str, str]:
    event = Event("expression_changed", f"id-{number}", 1, old, new, 0.8, held_s, at)
    names = {"node": "hall-pi", "camera": "desk"} | where
    site = names.pop("site", "")
    return sent(topics.EVENT.message(event, **names), site)


def alert(number: int, kind: Any, at: float, held_s: float | None = None, level: Any = "notice") -> tuple[str, str]:
    event = AlertEvent(kind, f"alert-{number}", "fatigue", level, "eyes_closed", held_s, held_s and "over", at)
    return sent(topics.EVENT.message(event, node="hall-pi", camera="desk"))


def health(at: float, node: str = "hall-pi", site: str = "") -> tuple[str, str]:
    cameras = {"desk": CameraHealth(14.9, 53712, 12, 0, 31.0)}
    return sent(
        topics.NODE_HEALTH.message(Health(60.0, 132.4, None, 0, cameras, ["throttled"], at - 60), node=node), site
    )


def test_the_schema_can_be_loaded_again_and_keeps_the_rows(database: Postgres) -> None:
    database.store(change(1, "neutral", "happiness", 10, NOON))
    database.load(SCHEMA)
    assert database.value("SELECT count(*) FROM ferd.event") == "1"


def test_a_message_that_comes_twice_is_stored_once(database: Postgres) -> None:
    messages = [change(1, "neutral", "happiness", 10, NOON), health(NOON), alert(2, "alert_began", NOON)]
    database.store(*messages)
    late = json.dumps(json.loads(messages[0][1]) | {"late": True})
    database.store(*messages, (messages[0][0], late))
    assert database.value("SELECT seconds FROM ferd.expression_by_hour") == "10"
    assert database.value("SELECT count(*) FROM ferd.event") == "2"
    assert database.value("SELECT count(*) FROM ferd.health") == "1"


@pytest.mark.parametrize(
    "topic",
    [it for it in topics.PUBLISHED if it.pattern.startswith("ferd/") and it is not topics.IMAGE],  # no text
    ids=lambda it: it.pattern,
)
def test_every_message_that_ferd_publishes_is_accepted(database: Postgres, topic: topics.Topic[Any]) -> None:
    names = {"node": "hall-pi", "camera": "desk", "verb": "restart"}
    for payload in topic.examples:
        database.store(sent(topic.message(payload, **names)), sent(topic.message(payload, **names), "berlin"))
    if topic.retain:
        database.store(sent(topic.clear(**names)))


def test_all_keys_of_an_event_have_their_column(database: Postgres) -> None:
    gesture = GestureEvent("gesture", "id-1", "wink_left", 7, True, NOON)
    database.store(sent(topics.EVENT.message(gesture, node="hall-pi", camera="desk"), "berlin"))
    database.store(alert(2, "alert_ended", NOON, 4.2, "alarm"), change(3, "neutral", "happiness", 12.5, NOON + 1))
    one, two, three = database.rows("SELECT * FROM ferd.event ORDER BY at, id DESC")
    assert (one["site"], one["node"], one["camera"], one["gesture"]) == ("berlin", "hall-pi", "desk", "wink_left")
    assert [two[key] for key in ("name", "level", "reason", "cause", "held_s")] == [
        "fatigue", "alarm", "eyes_closed", "over", "4.2",
    ]  # fmt: skip
    assert [three[key] for key in ("from_expression", "to_expression", "confidence", "held_s", "late")] == [
        "neutral", "happiness", "0.8", "12.5", "f",
    ]  # fmt: skip


def test_a_health_report_has_the_time_of_the_node(database: Postgres) -> None:
    """Not that of its arrival: the broker may have retained it for a week."""
    database.store(health(NOON))
    (row,) = database.rows("SELECT at, throttled, temperature_c, cameras->'desk'->>'fps' AS fps FROM ferd.health")
    assert row == {"at": "2026-11-22 12:00:00+00", "throttled": "{throttled}", "temperature_c": None, "fps": "14.9"}


def test_share_of_smiling_by_hour_and_site(database: Postgres) -> None:
    """10 minutes of smiling of 40 before noon, 20 of 20 after; nobody (null) does not count; another site apart."""
    database.store(
        change(1, None, "neutral", 1200, NOON - 2400),
        change(2, "neutral", "happiness", 1800, NOON - 600),
        change(3, "happiness", None, 1800, NOON + 1200),
        change(4, "happiness", "neutral", 60, NOON, site="berlin"),
        change(5, "neutral", "sadness", 180, NOON, site="berlin", node="desk-pi"),
    )
    found = database.rows("SELECT * FROM ferd.smiling_by_hour ORDER BY site, hour")
    assert [(row["site"], row["hour"][11:13], float(row["share"])) for row in found] == [
        ("berlin", "11", 0.25),
        ("home", "11", 0.25),
        ("home", "12", 1.0),
    ]
    assert sum(float(row["seen_s"]) for row in found) == 240 + 2400 + 1200


def test_an_episode_longer_than_a_day_is_divided_among_all_hours(database: Postgres) -> None:
    database.store(change(1, "happiness", None, 26 * 3600, NOON + 1800))
    found = database.rows("SELECT hour, seconds FROM ferd.expression_by_hour ORDER BY hour")
    assert [float(row["seconds"]) for row in found] == [1800] + 25 * [3600] + [1800]


def test_alerts_and_how_long_they_lasted(database: Postgres) -> None:
    database.store(
        alert(1, "alert_began", NOON),
        alert(2, "alert_ended", NOON + 5, 5.0, "alarm"),
        alert(3, "alert_began", NOON + 60),  # ferd dies before its end
        alert(4, "alert_began", NOON + 90),
    )
    found = database.rows("SELECT level, seconds, active FROM ferd.alert ORDER BY began")
    assert [tuple(row.values()) for row in found] == [("alarm", "5", "f"), ("notice", None, "f"), ("notice", None, "t")]
    by_site = database.rows(
        "SELECT site, name, level, alerts, active, longest_s FROM ferd.alerts_by_site ORDER BY level"
    )
    assert [tuple(row.values()) for row in by_site] == [
        ("home", "fatigue", "alarm", "1", "0", "5"),
        ("home", "fatigue", "notice", "2", "1", None),
    ]


def test_nodes_that_are_silent(database: Postgres) -> None:
    now = datetime.now(UTC)
    silent = "SELECT node FROM ferd.node_silence WHERE silent_for > interval '5 minutes' ORDER BY node"
    database.store(
        health((now - timedelta(minutes=10)).timestamp(), "old-pi"),
        ("ferd/old-pi/status", "offline"),  # published by the broker: not a sign of life
        health((now - timedelta(minutes=1)).timestamp(), "hall-pi"),
        health((now + timedelta(days=400)).timestamp(), "fast-pi"),  # its clock is wrong
        health(0, "slow-pi"),
        sent(topics.info_message("new-pi", Info("0.1.0", "expression", [], [], "ferd_0a1b2c", "5d0e77b2"))),
    )
    assert [row["node"] for row in database.rows(silent)] == ["old-pi", "slow-pi"]
    assert database.value("SELECT status FROM ferd.node_silence WHERE node = 'old-pi'") == "offline"
    assert (
        database.value("SELECT silent_for < interval '1 minute' FROM ferd.node_silence WHERE node = 'fast-pi'") == "t"
    )
    assert database.value("SELECT seen FROM ferd.node_silence WHERE node = 'new-pi'") is None
    database.store(("ferd/old-pi/status", ""))  # `ferd mqtt purge`
    assert [row["node"] for row in database.rows(silent)] == ["slow-pi"]


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("ferd/hall-pi/desk/event", "{"),
        ("ferd/hall-pi/desk/event", "5"),
        ("ferd/hall-pi/desk/event", '{"id":"1","at":"yesterday noon","event_type":"gesture"}'),
        ("ferd/hall-pi/desk/event", '{"id":"1","at":"2026-11-22T11:37:33.120Z","event_type":"gesture","held_s":-1}'),
        ("ferd/hall-pi/health", "[]"),
        ("ferd/hall-pi/status", "perhaps"),
    ],
)
def test_what_is_no_message_of_ferd_is_refused_and_stores_nothing(database: Postgres, topic: str, payload: str) -> None:
    with pytest.raises(AssertionError, match="ERROR"):
        database.store((topic, payload))
    assert database.value("SELECT count(*) FROM ferd.event") == "0"
    assert database.value("SELECT count(*) FROM ferd.node") == "0"


def test_a_topic_of_somebody_else_is_ignored(database: Postgres) -> None:
    database.store(("zigbee2mqtt/lamp", "{"), ("berlin/other/hall-pi/status", "x"), ("berlin", ""), ("ferd", ""))
    assert database.value("SELECT count(*) FROM ferd.node") == "0"


def test_forgetting(database: Postgres) -> None:
    now = datetime.now(UTC).timestamp()
    for number, at in enumerate((now, now - 86400 * 91)):
        database.store(change(number, "neutral", "happiness", 10, at), health(at))
    database.rows("SELECT ferd.forget('90 days')")
    assert database.value("SELECT count(*) FROM ferd.event") == "1"
    assert database.value("SELECT count(*) FROM ferd.health") == "1"
    assert database.value("SELECT sum(seconds) FROM ferd.expression_by_hour") == "20", "the hours stay"
