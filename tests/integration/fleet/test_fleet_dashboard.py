"""The Grafana dashboard of examples/fleet: its structure, and its SQL in a real PostgreSQL. Grafana does not run."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from postgres import Postgres
from test_fleet_schema import NOON, alert, change, health

GRAFANA = Path(__file__).parents[3] / "examples/fleet/grafana"
DASHBOARD = json.loads((GRAFANA / "dashboard.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
RANGE = "BETWEEN '2026-11-22T00:00:00Z' AND '2026-11-23T00:00:00Z'"


def as_grafana_sends_it(sql: str) -> str:
    """With the macros of Grafana's PostgreSQL data source filled in, for one day and the sites berlin and home."""
    sql = re.sub(r"\$__timeFilter\((\w+)\)", rf"\1 {RANGE}", sql)
    sql = re.sub(r"\$__timeGroupAlias\((\w+), *'1m'\)", r'floor(extract(epoch from \1)/60)*60 AS "time"', sql)
    sql = sql.replace("$site", "'berlin','home'")
    assert "$" not in sql, sql
    return sql


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_the_sql_of_each_panel_answers(database: Postgres, panel: dict[str, Any]) -> None:
    database.store(
        change(1, "neutral", "happiness", 60, NOON),
        change(2, "happiness", None, 60, NOON, site="berlin"),
        alert(3, "alert_began", NOON),
        health(NOON),
        ("ferd/hall-pi/status", "online"),
        ("ferd/hall-pi/desk/status", "offline"),
    )
    database.rows("UPDATE ferd.health SET temperature_c = 51 RETURNING 1")
    for target in panel["targets"]:
        rows = database.rows(as_grafana_sends_it(target["rawSql"]))
        assert rows
        if target["format"] == "time_series":
            assert rows[0].keys() == {"time", "metric", "value"}
        else:
            assert [value for value in rows[0].values() if value not in (None, "0")], rows


def test_the_variable_lists_the_sites(database: Postgres) -> None:
    database.store(health(NOON), health(NOON, "desk-pi", "berlin"))
    (variable,) = DASHBOARD["templating"]["list"]
    assert [row["site"] for row in database.rows(variable["query"])] == ["berlin", "home"]
    assert f"${variable['name']}" in PANELS[0]["targets"][0]["rawSql"]


def test_every_panel_has_a_place_of_its_own_and_the_provisioned_source() -> None:
    (source,) = yaml.safe_load((GRAFANA / "provisioning/datasources/ferd.yml").read_text())["datasources"]
    for holder in (
        *PANELS,
        *(target for panel in PANELS for target in panel["targets"]),
        *DASHBOARD["templating"]["list"],
    ):
        assert holder["datasource"] == {"type": source["type"], "uid": source["uid"]}
    assert len({panel["id"] for panel in PANELS}) == len({panel["title"] for panel in PANELS}) == len(PANELS)
    for one, other in itertools.combinations((panel["gridPos"] for panel in PANELS), 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in PANELS)


def test_the_dashboards_are_provisioned_from_a_folder() -> None:
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/ferd.yml").read_text())["providers"]
    assert provider["type"] == "file"
    assert provider["options"]["path"].startswith("/var/lib/grafana/")
