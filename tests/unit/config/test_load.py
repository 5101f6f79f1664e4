"""A wrong configuration is told with its line, its key and the remedy; nothing starts."""

from pathlib import Path

import pytest

from ferd.config import Config, load_config
from ferd.config.messages import line_of
from ferd.config.template import default_toml
from ferd.errors import EXIT_CONFIG, ConfigError


@pytest.fixture
def write(tmp_path):
    def writer(text):
        path = tmp_path / "ferd.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return writer


WRONG = [
    ('[mqtt]\nhots = "x"', ":2: unknown key mqtt.hots. Did you mean host?"),
    ("[mqqt]", ":1: unknown key mqqt. Did you mean mqtt?"),
    ('[mqtt]\npassword = "hush"', ":2: unknown key mqtt.password. Secrets do not stand"),
    ('[mqtt]\nport = "abc"', ":2: mqtt.port = 'abc': must be a whole number"),
    ("[mqtt]\n\nport = 70000", ":3: mqtt.port = 70000: must be less than or equal to 65535"),
    ('[cameras.Desk]\nsource = "usb"', ":1: cameras.Desk = 'Desk': use 1 to 32 of a-z"),
    ("[cameras.desk]\n# no\nwidht = 3", ":3: unknown key cameras.desk.widht. Did you mean width?"),
    ("[cameras.desk]\nrotate = 45", ":2: cameras.desk.rotate = 45: must be 0, 90, 180 or 270"),
    ("[cameras.desk]\nfps = 0", ":2: cameras.desk.fps = 0: must be greater than 0"),
    ("[cameras.desk]\nignore_zones = [\n  [0, 0,\n 0, 5]]", ":2: cameras.desk.ignore_zones = "),
    ("[cameras]", ":1: cameras: Dictionary should have at least 1 item"),
    (
        "[smoothing]\non_threshold = 0.2\noff_threshold = 0.6",
        ":1: smoothing: off_threshold (0.6) must not be above on_threshold",
    ),
    ("[smoothing]\nmin_hold_s = -1", ":2: smoothing.min_hold_s = -1: must be greater than or equal to 0"),
    ('[node]\nname = "my pi"', ":2: node.name = 'my pi': use 1 to 32"),
    ('[detector]\nkind = "magic"', ":2: detector.kind = 'magic'"),
    ("[mqtt\nx", "not valid TOML"),
    ("mqtt = 5", ":1: mqtt = 5: must be a section"),
    ("[mqtt]\nport = true", ":2: mqtt.port = True: must be a whole number"),
    ('[mqtt]\nport = "1883"', ":2: mqtt.port = '1883': must be a whole number"),
    ("[cameras.desk]\nwidth = 640.5", ":2: cameras.desk.width = 640.5: must be a whole number"),
    ('[cameras.desk]\nmirror = "yes"', ":2: cameras.desk.mirror = 'yes': must be true or false"),
    (
        "[cameras.desk]\nignore_zones = [[1, 2, 3]]",
        ":2: cameras.desk.ignore_zones.0.3 = [1, 2, 3]: something is missing",
    ),
    ('[cameras.desk]\nsource = "webcam"', ":2: cameras.desk.source = 'webcam': source \"webcam\" is not known"),
    ('[cameras.desk]\nsource = "usb:x"', ":2: cameras.desk.source = 'usb:x': source \"usb:x\": a number belongs"),
    ('[cameras.request]\nsource = "usb"', "request is a topic of the node itself"),
    ('[mqtt]\nhost = "mqtt://pi"', ":2: mqtt.host = 'mqtt://pi': only the name or the address"),
    ('[mqtt]\npasswort = "hush"', ":2: unknown key mqtt.passwort. Secrets do not stand"),
    ('[cameras.desk]\nsource = "ftp://me:hush@host/film"', "ftp://me:***@host/film"),
]


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_what_is_wrong_is_told_with_line_key_and_remedy(write, text, message):
    with pytest.raises(ConfigError) as told:
        load_config(write(text))
    assert message in str(told.value)
    assert told.value.exit_code == EXIT_CONFIG
    assert "hush" not in str(told.value)


def test_every_error_is_told_not_only_the_first(write):
    with pytest.raises(ConfigError) as told:
        load_config(write("[mqtt]\nport = 0\n[smoothing]\non_threshold = 2\n[nod]\n"))
    assert len(str(told.value).splitlines()) == 3


def test_a_missing_file_names_the_command_that_writes_one():
    with pytest.raises(ConfigError, match="ferd config default"):
        load_config(Path("/nowhere/ferd.toml"))


def test_a_binary_file_is_told(tmp_path):
    path = tmp_path / "x.toml"
    path.write_bytes(bytes(range(128, 256)))
    with pytest.raises(ConfigError, match="UTF-8"):
        load_config(path)


def test_a_folder_is_told(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path)


def test_the_environment_goes_over_the_file(write):
    path = write('[mqtt]\nhost = "a"\n[cameras.desk]\nsource = "usb"')
    config = load_config(path, {"FERD_MQTT__HOST": "b", "FERD_MQTT__PORT": "1884", "FERD_CAMERAS__DESK__FPS": "5"})
    assert (config.mqtt.host, config.mqtt.port, config.cameras["desk"].fps) == ("b", 1884, 5)
    assert config.cameras["desk"].source == "usb"


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("FERD_MQTT__USERNAME", "123", lambda c: c.mqtt.username == "123"),
        ("FERD_NODE__NAME", "42", lambda c: c.node.name == "42"),
        ("FERD_CAMERAS__DESK__SOURCE", "0", lambda c: c.cameras["desk"].source == "0"),
        ("FERD_CAMERAS__DESK__MIRROR", "yes", lambda c: c.cameras["desk"].mirror is True),
        ("FERD_MQTT__DISCOVERY", "0", lambda c: c.mqtt.discovery is False),
        (
            "FERD_CAMERAS__DESK__IGNORE_ZONES",
            "[[1, 2, 3, 4]]",
            lambda c: c.cameras["desk"].ignore_zones == [(1, 2, 3, 4)],
        ),
        ("FERD_CAMERAS__DESK__ROTATE", "90", lambda c: c.cameras["desk"].rotate == 90),
        ("FERD_DETECTOR__KIND", "haar", lambda c: c.detector.kind == "haar"),
        ("FERD_MQTT__PASSWORD_FILE", "/run/pw", lambda c: c.mqtt.password_file == Path("/run/pw")),
    ],
)
def test_each_variable_is_read_as_its_key_wants_it(name, value, read):
    assert read(load_config(None, {name: value}))


def test_a_relative_file_lies_beside_the_configuration(write, tmp_path):
    path = write('[mqtt]\nusername = "a"\npassword_file = "pw"\n[detector]\nyunet = "/opt/y.onnx"')
    config = load_config(path)
    assert config.mqtt.password_file == tmp_path / "pw"
    assert config.detector.yunet == Path("/opt/y.onnx")


def test_an_unknown_section_from_the_environment_names_the_variable():
    with pytest.raises(ConfigError, match=r"environment FERD_MQT__HOST: unknown key mqt\. Did you mean mqtt"):
        load_config(None, {"FERD_MQT__HOST": "x"})


def test_an_error_from_the_environment_names_the_variable(write):
    with pytest.raises(ConfigError, match=r"environment FERD_MQTT__TLS: mqtt\.tls = 'maybe'"):
        load_config(write(""), {"FERD_MQTT__TLS": "maybe"})


def test_variables_without_a_section_are_not_ours():
    assert load_config(None, {"FERD_PYTHON": "python3.12", "HOME": "/x"}) == Config()


def test_the_default_file_means_the_same_as_no_file(write):
    text = default_toml()
    assert load_config(write(text)) == Config()
    bare = "\n".join(
        line.removeprefix("# ") for line in text.splitlines() if " = " in line and not line.startswith("#   ")
    )
    assert all(f"{key} = " in bare for key in ("source", "min_hold_s", "discovery_prefix", "min_face_px"))


def test_the_default_file_is_valid_when_every_key_is_uncommented(write):
    lines = [
        line.removeprefix("# ")
        for line in default_toml().splitlines()
        if line.startswith("# ") and not line.startswith("#   ") and not line.endswith("=")
    ]
    text = "\n".join(line for line in lines if line.startswith("[") or " = " in line)
    config = load_config(write(text))
    assert [rule.name for rule in config.alerts] == ["sad for long", "nobody at the desk", "upset"]  # examples
    assert config.model_copy(update={"alerts": []}) == Config()


@pytest.mark.parametrize(
    ("text", "keys", "line"),
    [
        ("a = 1\n[b]\nc = [\n1,\n2]\nd = 3\n", ("b", "c"), 3),
        ("a = 1\n[b]\nc = [\n1,\n2]\nd = 3\n", ("b", "d"), 6),
        ("a = 1\n[b]\nc.d = 4\n", ("b", "c", "d"), 3),
        ("[b]\n'c' = 4\n", ("b", "c"), 2),
        ("[b]\nc = 4\n", ("b", "x"), 1),
        ("[b]\n", ("q",), None),
    ],
)
def test_line_of_asks_the_parser(text, keys, line):
    assert line_of(text, keys) == line


@pytest.mark.parametrize(
    ("value", "form"),
    [("true", "device"), ("false", None), ('"device"', "device"), ('"components"', "components")],
)
def test_discovery_is_a_switch_or_a_form(tmp_path: Path, value: str, form: str | None):
    file = tmp_path / "ferd.toml"
    file.write_text(f"[mqtt]\ndiscovery = {value}\n")
    assert load_config(file).mqtt.discovery_form == form
    assert load_config(None, {"FERD_MQTT__DISCOVERY": value.strip('"')}).mqtt.discovery_form == form
