"""One file for a fleet: what a node gets of it, and what is said of mistakes in it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferd.cli.main import main
from ferd.config import load_config
from ferd.config.fleet import load_fleet, merged, to_toml
from ferd.errors import ConfigError

FLEET = """\
[mqtt]
host = "broker.lan"
username = "{node}"
password_file = "mqtt-password"

[fatigue]
enabled = false

[[alerts]]
name = "sad for long"
label = "sadness"
above = 0.6
any = []

[nodes."hall-*".cameras.desk]
source = "usb"
fps = 10

[nodes."hall-*".fatigue]
enabled = true

[nodes.hall-17.cameras.desk]
fps = 5

[nodes."bus-[0-4]".mqtt]
tls = true
ca_file = "authority.pem"
cert_file = "{node}.pem"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "fleet.toml"
    path.write_text(FLEET)
    return path


def rendered(file: Path, node: str) -> dict[str, Any]:
    return tomllib.loads(load_fleet(file).render(node))


def test_a_node_gets_what_all_have_and_what_its_patterns_say_the_last_one_wins(file: Path) -> None:
    desk, hall, seventeen = (rendered(file, node) for node in ("desk-3", "hall-1", "hall-17"))
    assert desk["node"] == {"name": "desk-3"}
    assert desk["mqtt"] == {"host": "broker.lan", "username": "desk-3", "password_file": "mqtt-password"}
    assert "cameras" not in desk
    assert not desk["fatigue"]["enabled"]
    assert hall["cameras"] == {"desk": {"source": "usb", "fps": 10}}
    assert seventeen["cameras"] == {"desk": {"source": "usb", "fps": 5}}
    assert seventeen["fatigue"]["enabled"]
    assert rendered(file, "bus-4")["mqtt"]["cert_file"] == "bus-4.pem"
    assert "tls" not in rendered(file, "bus-5")["mqtt"]


def test_the_rendered_file_is_a_configuration_that_names_its_origin(file: Path, tmp_path: Path) -> None:
    text = load_fleet(file).render("hall-17")
    assert "fleet.toml" in text.splitlines()[0]
    assert "all nodes, hall-*, hall-17" in text.splitlines()[1]
    (tmp_path / "ferd.toml").write_text(text)
    config = load_config(tmp_path / "ferd.toml", {})
    assert (config.node.name, config.cameras["desk"].fps, config.alerts[0].name) == ("hall-17", 5, "sad for long")


def test_an_empty_fleet_is_one(tmp_path: Path) -> None:
    (tmp_path / "fleet.toml").write_text("")
    assert rendered(tmp_path / "fleet.toml", "hall-1") == {"node": {"name": "hall-1"}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[mqtt]\nhots = "x"', "2: unknown key mqtt.hots. Did you mean hosts?"),
        ('[nodes."bus-*".mqtt]\n\nhots = "x"', "3: unknown key mqtt.hots. Did you mean hosts?"),
        ('[nodes."bus-*".mqqt]\nhost = "x"', "1: unknown key mqqt"),
        ('[mqtt]\nport = 1\n[nodes."*".mqtt]\nport = "x"', "4: mqtt.port = 'x': must be a whole number"),
        ('[nodes."*".cameras.a]\nfps = 2\n[nodes."h*".fatigue]\nenabled = true', "2: cameras.a.fps = 2 is too low"),
        ('[fatigue]\nenabled = true\n[nodes."*".cameras.a]\nfps = 2', "4: cameras.a.fps = 2 is too low"),
        ('[nodes."hall-*".mqtt]\nca_file = "a.pem"', "1: mqtt: ca_file is set but the connection is not"),
        ('[mqtt]\nhots = 1\n[nodes."bus-*".web]\nprt = 1', "4: unknown key web.prt. Did you mean port?"),
        ('[node]\nname = "x"', "2: node.name: the name of a node is given to"),
        ('[nodes.hall-2.node]\nname = "x"', "2: node.name: the name of a node is given to"),
        ('[node."h-*".mqtt]\nhost = "x"', '1: sections of some nodes are called nodes: [nodes."h-*"]'),
        ('[nodes."Hall-*".mqtt]\nhost = "x"', "1: the pattern 'Hall-*' matches no node"),
        ("nodes = 3", "1: nodes must be a section"),
        ("[nodes]\nhall-1 = 3", "2: nodes.hall-1: a pattern must be a section"),
        ("node = 3\ncameras = 3", "1: node = 3: must be a section"),
        ("[nodes.hall-1]\ncameras = 3", "2: cameras = 3: must be a section"),
        ("[cameras]\ndesk = 3", "2: cameras.desk = 3: must be a section"),
        ("[mqtt]\nhost = broker", "2: not valid TOML"),
        ('[mqtt]\npassword = "geheim"', "2: unknown key mqtt.password. Secrets are not kept"),
        ('[nodes."bus-*".mqtt]\npassword = "geheim"', "2: unknown key mqtt.password. Secrets are not kept"),
        ('[nodes."b-*".cameras.a]\nsource = "rtsp://me:geheim@10.0.0.7/"', "2: cameras.a.source has a password, and"),
    ],
)  # fmt: skip
def test_a_mistake_is_reported_with_its_place_whichever_pattern_it_is_in(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "fleet.toml"
    path.write_text(text + "\n")
    with pytest.raises(ConfigError) as error:
        load_fleet(path).render("hall-1")
    said = str(error.value)
    assert f"{path}:{message}" in said
    assert "geheim" not in said


def test_two_patterns_may_complete_each_other(tmp_path: Path) -> None:
    """TLS in one, the authority in another: neither is valid alone, but no node has it alone."""
    path = tmp_path / "fleet.toml"
    path.write_text('[nodes."hall-*".mqtt]\nca_file = "a.pem"\n[nodes."*-1".mqtt]\ntls = true\n')
    assert rendered(path, "hall-1")["mqtt"] == {"ca_file": "a.pem", "tls": True}
    assert rendered(path, "desk-2") == {"node": {"name": "desk-2"}}
    with pytest.raises(ConfigError, match="not encrypted"):
        load_fleet(path).render("hall-2")


# ---- the command ----


def test_the_command_prints_one_node(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "render", str(file), "--node", "hall-17"]) == 0
    assert tomllib.loads(capsys.readouterr().out)["node"]["name"] == "hall-17"


def test_without_a_name_it_is_this_machine(file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "Hall-17.lan")
    assert main(["config", "render", str(file)]) == 0
    assert tomllib.loads(capsys.readouterr().out)["node"]["name"] == "hall-17-lan"


def test_several_nodes_get_a_file_each_or_none_gets_one(file: Path, tmp_path: Path, capsys: Any) -> None:
    nodes = ["--node", "hall-1", "--node", "bus-4"]
    assert main(["config", "render", str(file), *nodes]) == 2
    assert "--output" in capsys.readouterr().err
    assert main(["config", "render", str(file), *nodes, "--output", str(tmp_path / "rendered")]) == 0
    assert {path.name for path in (tmp_path / "rendered").iterdir()} == {"hall-1.toml", "bus-4.toml"}
    file.write_text(FLEET.replace("fps = 5", "fps = 0"))
    assert main(["config", "render", str(file), *nodes, "--node", "hall-17", "--output", str(tmp_path / "other")]) == 78
    assert f"{file}:23: cameras.desk.fps = 0" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_a_wrong_name_and_a_missing_file(file: Path, capsys: Any) -> None:
    with pytest.raises(SystemExit):
        main(["config", "render", str(file), "--node", "Hall 17"])
    assert "a-z, 0-9 and hyphen" in capsys.readouterr().err
    assert main(["config", "render", str(file.with_name("none.toml"))]) == 78
    assert "no such file" in capsys.readouterr().err


# ---- properties ----

letters = st.characters(exclude_categories=["Cs"])
leaves = st.one_of(st.text(letters), st.integers(-(2**53), 2**53), st.booleans(), st.floats(allow_nan=False))
keys = st.text(letters, max_size=5)
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3))
trees = st.dictionaries(keys, values, max_size=4)


def paths(tree: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The values that are no sections, by their keys."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from paths(value, (*above, key))
        else:
            yield (*above, key), value


@given(trees)
def test_what_is_written_is_read_as_it_was(tree: dict[str, Any]) -> None:
    assert tomllib.loads(to_toml(tree)) == tree


@given(trees, trees)
def test_a_merge_has_every_value_of_the_upper_and_of_the_lower_what_the_upper_leaves(
    below: dict[str, Any], above: dict[str, Any]
) -> None:
    was = repr((below, above))
    result = dict(paths(merged(below, above)))
    upper = dict(paths(above))
    assert {key: result[key] for key in upper} == upper
    for key, value in result.items():
        assert value == upper[key] if key in upper else value == dict(paths(below))[key]
    for key in dict(paths(below)).keys() - result.keys():
        # It gave way to a value or a section of the upper one that has its place.
        assert any(key[:size] in upper for size in range(1, len(key) + 1)) or _leads_to(above, key)
    assert repr((below, above)) == was, "the arguments stay as they are"


def _leads_to(tree: Any, key: tuple[str, ...]) -> bool:
    for part in key:
        if not isinstance(tree, dict) or part not in tree:
            return False
        tree = tree[part]
    return isinstance(tree, dict)


@given(trees)
def test_a_merge_with_nothing_or_with_itself_changes_nothing(tree: dict[str, Any]) -> None:
    assert merged(tree, {}) == merged({}, tree) == merged(tree, tree) == tree
