"""An invalid configuration is reported with line, key and remedy."""

from pathlib import Path

import pytest

from ferd.config import Config, load_config, locate, messages
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
    ('[mqtt]\nhot = "x"', ":2: unknown key mqtt.hot. Did you mean host?"),
    ("[mqqt]", ":1: unknown key mqqt. Did you mean mqtt?"),
    ('[mqtt]\npassword = "hush"', ":2: unknown key mqtt.password. Secrets are not kept"),
    ('[mqtt]\nport = "abc"', ":2: mqtt.port = 'abc': must be a whole number"),
    ("[mqtt]\n\nport = 70000", ":3: mqtt.port = 70000: must be less than or equal to 65535"),
    ('[cameras.Desk]\nsource = "usb"', ":1: cameras.Desk = 'Desk': use 1 to 32 of a-z"),
    ("[cameras.desk]\n# no\nwidht = 3", ":3: unknown key cameras.desk.widht. Did you mean width?"),
    ("[cameras.desk]\nrotate = 45", ":2: cameras.desk.rotate = 45: must be 0, 90, 180 or 270"),
    ("[cameras.desk]\nfps = 0", ":2: cameras.desk.fps = 0: must be greater than 0"),
    ("[cameras.desk]\nignore_zones = [\n  [0, 0,\n 0, 5]]", ":2: cameras.desk.ignore_zones = "),
    ("[cameras]", ":1: cameras: must hold at least one"),
    ("[gestures]\nuse = []", ":2: gestures.use = []: must hold at least one"),
    ('[expression]\nmodel = ""', ":2: expression.model = '': must not be empty"),
    ('[node]\narea = " "', ":2: node.area = ' ': write it in one line, without blanks at its ends"),
    (f'[node]\narea = "{"x" * 65}"', ": is too long: 64 characters at most"),
    ('[mqtt]\ndiscovery_prefix = "a+b"', ": write topic levels without + and #"),
    (
        "[smoothing]\non_threshold = 0.2\noff_threshold = 0.6",
        ":1: smoothing: off_threshold (0.6) must not be above on_threshold",
    ),
    ('[smoothing]\nprofile = "slow"', ":2: smoothing.profile = 'slow': must be 'calm' or 'quick'"),
    ("[smoothing]\nprofile = 2", ":2: smoothing.profile = 2: must be 'calm' or 'quick'"),
    ("[smoothing]\nswitch_ratio = 100", ":2: smoothing.switch_ratio = 100: must be less than or equal to 20"),
    ("[smoothing]\nmin_hold_s = -1", ":2: smoothing.min_hold_s = -1: must be greater than or equal to 0"),
    ('[node]\nname = "my pi"', ":2: node.name = 'my pi': use 1 to 32"),
    ('[detector]\nkind = "magic"', ":2: detector.kind = 'magic'"),
    ("[mqtt\nx", ":1: not valid TOML"),
    ('# [mqtt]\nhost = "x"', ":2: unknown key host. It belongs below [mqtt]: remove the # in front of that line (1)"),
    ('host = "x"', ":1: unknown key host. It belongs below the line [mqtt]"),
    ('[node]\nhost = "x"', ":2: unknown key node.host. It belongs below the line [mqtt]"),
    ("port = 1", ":1: unknown key port. It belongs below the line [mqtt] or [web]"),
    ('source = "usb"', ":1: unknown key source. It belongs below the line [cameras.NAME]"),
    (
        "[mqtt]\n\nhost = pi.lan  # me",
        ':3: not valid TOML: Invalid value (column 8). Text needs quotes: host = "pi.lan"',
    ),
    (
        "[mqtt]\nhost = “pi”",
        ":2: not valid TOML: Invalid value (column 8). The quotation marks “” are typographic",
    ),
    ('[mqtt]\nhost\u00a0= "pi"', "The line holds a character that only looks like a blank, or like nothing (U+00A0)"),
    ('[mqtt]\nhost = \u200b"pi"', "or like nothing (U+200B): retype it"),
    ('[mqtt]\rhost = "pi"\r', "The lines end as on an old Mac (CR): save it with the line ends of Unix (LF)"),
    ("[web]\nenabled = True", ":2: not valid TOML: Invalid value (column 11). Write enabled = true or false"),
    ("[mqtt]\npassword = hush", ':2: not valid TOML: Invalid value (column 12). Text needs quotes: password = "***"'),
    ('[mqtt]\nhost = "pi:1884"', 'the port is a key of its own: host = "pi" and port = 1884'),
    ('[mqtt]\nhost = "[::1]:1884"', 'host = "::1" and port = 1884'),
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
    ("[mqtt]\nevent_expiry_s = 0", ":2: mqtt.event_expiry_s = 0: must be greater than or equal to 1. The broker"),
    ("[mqtt]\nevent_expiry_s = 1.5", ":2: mqtt.event_expiry_s = 1.5: must be a whole number"),
    ('[cameras.desk]\nsource = "usb:x"', ":2: cameras.desk.source = '***': source \"usb:…\": write a number"),
    ('[cameras.request]\nsource = "usb"', "request is a topic of the node itself"),
    ('[mqtt]\nhost = "mqtt://pi"', ":2: mqtt.host = 'mqtt://pi': write only the name or the address"),
    ('[mqtt]\npasswort = "hush"', ":2: unknown key mqtt.passwort. Secrets are not kept"),
    ('[mqtt]\nhost = "mqtt://me:hush@pi:1883"', ":2: mqtt.host = 'mqtt://pi:1883': write only the name"),
    ('[mqtt]\nhost = "me:hush@pi"', ":2: mqtt.host = '***': write only the name"),
    ('[mqtt]\nhost = "pi?password=hush"', ":2: mqtt.host = '***': write only the name"),
    ('[mqtt]\nhost = ["mqtt://me:hush@pi"]', ":2: mqtt.host = ['mqtt://pi']: must be text in quotes"),
    ('[mqtt]\nhost = "pi:1884"', ":2: mqtt.host = 'pi:1884': the port is a key of its own"),
    ('[web]\nbind = "http://me:hush@0.0.0.0/"', ":2: web.bind = 'http://0.0.0.0': not an address"),
    (
        '[web]\nallowed_hosts = ["x", "https://me:hush@x/hush"]',
        "web.allowed_hosts = ['x', 'https://x/…']: each must be",
    ),
    ('[mqtt]\npassword_file = "hush\\u0000"', "a path cannot hold the character NUL"),
    ('[cameras."rtsp://me:hush@host/film"]\nfps = 5', "cameras.rtsp://host/… = 'rtsp://host/…': use 1 to 32"),
    ('[cameras.desk]\nsource = ["ftp://me:hush@host/film"]', "ftp://host/…"),
    ('[cameras.desk]\nsource = "ftp://me:hush@host/film"', "ftp://host/…"),
]


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_errors_are_reported_with_line_key_and_remedy(write, text, message):
    with pytest.raises(ConfigError) as refused:
        load_config(write(text))
    assert message in str(refused.value)
    assert refused.value.exit_code == EXIT_CONFIG
    assert "hush" not in str(refused.value)


RENAMED = [
    ("[smoothing]\ntau_s = 0.2", "smoothing.tau_s was renamed to time_constant_s"),
    ("[smoothing]\nenter = 0.5", "smoothing.enter was renamed to on_threshold"),
    ("[smoothing]\nleave = 0.2", "smoothing.leave was renamed to off_threshold"),
    ("[smoothing]\nlead = 1.1", "smoothing.lead was renamed to switch_ratio"),
    ("[smoothing]\nhold_s = 1", "smoothing.hold_s was renamed to min_hold_s"),
    ("[fatigue]\nshut_notice_s = 1.0", "fatigue.shut_notice_s was renamed to eyes_closed_notice_s"),
    ("[fatigue]\nshut_warning_s = 1.5", "fatigue.shut_warning_s was renamed to eyes_closed_warning_s"),
    ("[fatigue]\nshut_alarm_s = 3.0", "fatigue.shut_alarm_s was renamed to eyes_closed_alarm_s"),
    ("[fatigue]\nnot_seen_s = 10", "fatigue.not_seen_s was renamed to unseen_after_s"),
    ("[buzzer]\nlamp_watching = 23", "buzzer.lamp_watching was renamed to status_led_pin"),
    ("[buzzer]\nlamp_level = 24", "buzzer.lamp_level was renamed to alert_led_pin"),
    ("[mqtt]\njournal = true", "mqtt.journal was renamed to persist_events"),
    ("[mqtt]\njournal_events = 100", "mqtt.journal_events was renamed to persist_max_events"),
    (
        "[mqtt]\ninsecure = true",
        "mqtt.insecure was renamed to tls_verify, and its meaning is inverted: "
        "insecure = true is now tls_verify = false",
    ),
    ('[web]\nhosts = ["x"]', "web.hosts was renamed to allowed_hosts"),
    ("[web]\nconnections = 9", "web.connections was renamed to max_connections"),
    ("[web]\nhttps = true", "web.https was renamed to secure_cookies"),
    ("[web]\nfps = 5", "web.fps was renamed to max_fps"),
    ("[detector]\nmin_face = 50", "detector.min_face was renamed to min_face_px"),
    ("[cameras.desk]\nignore = [[0, 0, 9, 9]]", "cameras.desk.ignore was renamed to ignore_zones"),
]


@pytest.mark.parametrize(("text", "message"), RENAMED)
def test_a_former_key_is_refused_with_its_present_name(write, text, message):
    path = write(text)
    with pytest.raises(ConfigError) as refused:
        load_config(path)
    assert str(refused.value) == f"{path}:2: {message}"


def test_every_former_key_is_tested_and_has_a_present_one():
    assert len(RENAMED) == len(messages.RENAMED)
    for keys, present in messages.RENAMED.items():
        assert messages.field_of(keys) is None, keys
        assert messages.field_of((*keys[:-1], present)) is not None, keys


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "FERD_SMOOTHING__TAU_S",
            "0.2",
            "smoothing.tau_s was renamed to time_constant_s (FERD_SMOOTHING__TIME_CONSTANT_S)",
        ),
        (
            "FERD_MQTT__INSECURE",
            "true",
            "mqtt.insecure was renamed to tls_verify (FERD_MQTT__TLS_VERIFY), and its meaning is inverted: "
            "insecure = true is now tls_verify = false",
        ),
        (
            "FERD_CAMERAS__DESK__IGNORE",
            "[[0, 0, 9, 9]]",
            "cameras.desk.ignore was renamed to ignore_zones (FERD_CAMERAS__DESK__IGNORE_ZONES)",
        ),
    ],
)
def test_a_former_key_in_the_environment_is_refused_too(name, value, message):
    with pytest.raises(ConfigError) as refused:
        load_config(None, {name: value})
    assert str(refused.value) == f"environment {name}: {message}"


def test_every_error_is_reported_not_only_the_first(write):
    with pytest.raises(ConfigError) as refused:
        load_config(write("[mqtt]\nport = 0\n[smoothing]\non_threshold = 2\n[nod]\n"))
    assert len(str(refused.value).splitlines()) == 3


def test_a_missing_file_names_the_command_that_writes_one():
    with pytest.raises(ConfigError, match="ferd config default"):
        load_config(Path("/nowhere/ferd.toml"))


def test_a_binary_file_is_reported(tmp_path):
    path = tmp_path / "x.toml"
    path.write_bytes(bytes(range(128, 256)))
    with pytest.raises(ConfigError, match=r"x\.toml: line 1 has a letter in Latin-1"):
        load_config(path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "latin-1"])
def test_files_of_windows_editors(tmp_path, encoding):
    path = tmp_path / "x.toml"
    path.write_bytes('[mqtt]\r\nhost = "pi"  # Büro\r\n'.encode(encoding))
    if encoding == "utf-8-sig":
        assert load_config(path).mqtt.host == "pi"
        return
    says = {"latin-1": f"{path}: line 2 has a letter in Latin-1"}.get(encoding, f"{path}: it is UTF-16")
    with pytest.raises(ConfigError) as refused:
        load_config(path)
    assert says in str(refused.value)


@pytest.mark.parametrize("host", ["::1", "fe80::1%eth0", "192.0.2.7", "homeassistant.local"])
def test_addresses_of_a_broker(write, host):
    assert load_config(write(f'[mqtt]\nhost = "{host}"')).mqtt.host == host


@pytest.mark.parametrize(
    ("section", "key"), [("mqtt", "host"), ("web", "port"), ("buzzer", "pin"), ("cameras.camera", "source")]
)
def test_one_uncommented_key_of_the_default_file_is_enough(write, section, key):
    """What anybody tries first: remove the # in front of one line."""
    before, header, after = default_toml().partition(f"[{section}]\n")
    assert header
    path = write(before + header + after.replace(f"\n# {key} =", f"\n{key} =" + (" 18" if key == "pin" else ""), 1))
    assert load_config(path) == Config().model_copy(update={"buzzer": load_config(path).buzzer})


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ('[expression]\nmodel = "x"', "expression.model: no model named 'x'", ":2: expression.model: no model"),
        ("\n[mqtt]\npassword_file = 'x'", "mqtt.password_file is set but", ":3: mqtt.password_file is set but"),
        ('[[alerts]]\nname = "a"', 'alerts: "a": unknown label', ':1: alerts: "a": unknown label'),
    ],
)
def test_later_errors_get_their_line_too(write, text, error, says):
    path = write(text)
    assert locate(error, path) == f"{path}{says}{error[len(says.partition(': ')[2]) :]}"


def test_later_errors_name_the_variable_or_stay_as_they_are(write):
    environ = {"FERD_EXPRESSION__MODEL": "x"}
    assert (
        locate("expression.model: no", write(""), environ) == "environment FERD_EXPRESSION__MODEL: expression.model: no"
    )
    for text in ("/etc/ferd/ferd.toml:3: mqtt.port: x", "no model named x", "ferd.toml:2: x", "mqtt: off"):
        assert locate(text, write("")) == text


def test_a_folder_is_reported(tmp_path):
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
def test_each_variable_is_converted_to_the_type_of_its_key(name, value, read):
    assert read(load_config(None, {name: value}))


def test_a_relative_file_is_relative_to_the_configuration(write, tmp_path):
    path = write('[mqtt]\nusername = "a"\npassword_file = "pw"\n[detector]\nyunet = "/opt/y.onnx"')
    config = load_config(path)
    assert config.mqtt.password_file == tmp_path / "pw"
    assert config.detector.yunet == Path("/opt/y.onnx")


def test_a_list_from_the_environment_is_toml():
    environ = {"FERD_MQTT__HOSTS": '["a", "b:8883"]', "FERD_WEB__ALLOWED_HOSTS": "['ferd.example']"}
    config = load_config(None, environ)
    assert config.mqtt.hosts == ["a", "b:8883"]
    assert config.web.allowed_hosts == ["ferd.example"]
    with pytest.raises(ConfigError, match=r"environment FERD_MQTT__HOSTS: .* must be a list in brackets"):
        load_config(None, {"FERD_MQTT__HOSTS": "a, b"})


def test_an_unknown_section_from_the_environment_names_the_variable():
    with pytest.raises(ConfigError, match=r"environment FERD_MQT__HOST: unknown key mqt\. Did you mean mqtt"):
        load_config(None, {"FERD_MQT__HOST": "x"})


def test_an_error_from_the_environment_names_the_variable(write):
    with pytest.raises(ConfigError, match=r"environment FERD_MQTT__TLS: mqtt\.tls = 'maybe'"):
        load_config(write(""), {"FERD_MQTT__TLS": "maybe"})


def test_variables_without_a_section_are_ignored():
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
        if line.startswith(("# ", "[")) and not line.startswith("#   ") and not line.endswith("=")
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
def test_line_of(text, keys, line):
    assert line_of(text, keys) == line


@pytest.mark.parametrize(
    ("value", "form"),
    [("true", "device"), ("false", None), ('"device"', "device"), ('"components"', "components")],
)
def test_discovery_is_a_boolean_or_a_form(tmp_path: Path, value: str, form: str | None):
    file = tmp_path / "ferd.toml"
    file.write_text(f"[mqtt]\ndiscovery = {value}\n")
    assert load_config(file).mqtt.discovery_form == form
    assert load_config(None, {"FERD_MQTT__DISCOVERY": value.strip('"')}).mqtt.discovery_form == form
