"""What a user types, what comes back, and with which exit code."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
from brokers import Ear, mosquitto

from ferd.cli.main import COMMANDS, main
from ferd.sources.demo import picture


def test_every_command_has_a_help_worth_reading(capsys):
    for command in COMMANDS:
        name = command.name
        with pytest.raises(SystemExit) as ended:
            main([name, "--help"])
        text = capsys.readouterr().out
        assert ended.value.code == 0
        assert f"ferd {name}" in text.split("Exit codes", maxsplit=1)[0].partition("usage:")[2]
        assert re.search(rf"^  (sudo )?ferd {name}", text, re.MULTILINE) or name == "cameras", f"{name}: no example"


def test_without_a_command_the_help_is_shown(capsys):
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    for command in COMMANDS:
        assert re.search(rf"^    {command.name} +\w", shown.err, re.MULTILINE), command.name


def test_without_a_subcommand_the_help_is_shown(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["mqtt"])
    assert ended.value.code == 2
    assert "ferd mqtt purge --node hall-pi" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["rnu"], 'ferd: there is no command "rnu". Did you mean run? `ferd --help` lists all\n'),
        (["docter"], "Did you mean doctor?"),
        (["xyzzy"], 'ferd: there is no command "xyzzy". `ferd --help` lists all\n'),
        (["model", "lst"], 'ferd: there is no command "lst". Did you mean list? `ferd model --help` lists all\n'),
        (["config", "defualt"], "Did you mean default?"),
        (["buzzer", "test", "--kind", "activ"], "Did you mean active?"),
    ],
)
def test_a_misspelt_word_is_refused_with_the_nearest_one(capsys, arguments, says):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


def test_help_is_quick_and_loads_no_heavy_library():
    code = (
        "import sys\nfrom ferd.cli.main import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'cv2', 'ai_edge_litert', 'paho', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_check_of_a_valid_file(tmp_path, capsys):
    path = tmp_path / "ferd.toml"
    path.write_text('[cameras.desk]\nsource = "usb"\n')
    assert main(["check", str(path)]) == 0
    out = capsys.readouterr().out
    assert f"{path}: fine" in out
    assert "desk: usb, 640x480 at 15 fps" in out
    assert "happiness" in out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[mqtt]\nhsot = "x"', ":2: unknown key mqtt.hsot. Did you mean host?"),
        ('[expression]\nmodel = "nothing"', "no model named 'nothing'"),
        ('[detector]\nkind = "yunet"\nyunet = "/nowhere.onnx"', "/nowhere.onnx: no such file"),
    ],
)
@pytest.mark.parametrize("command", ["check", "run"])
def test_a_wrong_config_ends_with_78_and_starts_nothing(tmp_path, capsys, command, text, message):
    path = tmp_path / "ferd.toml"
    path.write_text(text)
    arguments = ["check", str(path)] if command == "check" else ["run", "--config", str(path)]
    assert main(arguments) == 78
    printed = capsys.readouterr()
    assert message in printed.err
    assert "Traceback" not in printed.err
    assert printed.out == ""


def test_a_broken_password_file_ends_with_78(tmp_path, capsys):
    path = tmp_path / "ferd.toml"
    path.write_text('[mqtt]\nusername = "ferd"\npassword_file = "/nowhere/password"')
    assert main(["run", "--config", str(path)]) == 78
    assert "mqtt.password_file: the file that it names does not exist" in capsys.readouterr().err


def test_config_default_can_be_used_as_it_is(tmp_path, capsys):
    assert main(["config", "default"]) == 0
    path = tmp_path / "ferd.toml"
    path.write_text(capsys.readouterr().out)
    assert main(["check", str(path)]) == 0


def test_config_schema_is_json_schema_and_explains(capsys):
    assert main(["config", "schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["$defs"]["SmoothingConfig"]["properties"]["time_constant_s"]["description"].startswith(
        "Time constant"
    )
    assert schema["additionalProperties"] is False


def test_model_list_and_show(capsys):
    assert main(["model", "list"]) == 0
    listed = capsys.readouterr().out
    for word in ("expression\n", "48x48 gray", "KB", "% right", "Apache-2.0", "FER2013", "face\n", "eyes\n"):
        assert word in listed
    assert main(["model", "list", "--json"]) == 0
    assert {row["name"] for row in json.loads(capsys.readouterr().out)} >= {"expression", "face", "eyes"}
    assert main(["model", "show", "expression", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["intact"] is True
    assert facts["figures"]["accuracy"] > 0.8
    assert main(["model", "show", "expression"]) == 0
    assert "not_for" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["expression", "face", "landmarks", "eyes"])
def test_every_shipped_model_can_be_shown(name, capsys):
    assert main(["model", "show", name, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["kind"], facts["intact"]) == (name, True)


def test_cameras_is_a_list_even_where_there_are_none(capsys):
    code = main(["cameras", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert code == (0 if any(camera["reason"] is None for camera in found) else 1)


def test_watch_without_a_broker_names_the_remedy(capsys):
    assert main(["watch", "--host", "127.0.0.1", "--port", "1"]) == 1
    assert "no connection to the broker at 127.0.0.1:1" in capsys.readouterr().err


def test_bench_has_the_keys_that_others_read(capsys):
    assert main(["bench", "--json", "--frames", "3"]) == 0
    figures = json.loads(capsys.readouterr().out)
    for key in (
        "frame_ms",
        "frame_cpu_ms",
        "search_cpu_ms",
        "wire_cpu_ms",
        "wire_search_cpu_ms",
        "floor_cpu_ms",
        "rss_mb",
        "start_s",
    ):
        assert figures[key] > 0, key
    assert set(figures["stages"]) == {"follow", "detect", "track", "prepare", "crop", "classify", "smooth", "tell"}
    assert all(stage["p95_ms"] >= stage["ms"] > 0 for stage in figures["stages"].values())


def test_bench_of_several_faces(capsys):
    assert main(["bench", "--json", "--frames", "3", "--faces", "10"]) == 0
    assert json.loads(capsys.readouterr().out)["faces"] == 10


def test_bench_of_a_video(capsys, film):
    assert main(["bench", "--json", "--frames", "20", "--source", str(film)]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["source_frames"] == 15
    assert figures["wire_cpu_ms"] > 0


def test_bench_of_a_picture_without_a_face_is_an_error(tmp_path, capsys):
    path = tmp_path / "gray.png"
    cv2.imwrite(str(path), np.full((480, 640, 3), 128, np.uint8))
    assert main(["bench", "--image", str(path), "--frames", "3"]) == 1
    assert "must show one face" in capsys.readouterr().err


def test_bench_of_another_file_is_an_error(tmp_path, capsys):
    path = tmp_path / "text.png"
    path.write_text("no picture")
    assert main(["bench", "--image", str(path)]) == 1
    assert "is not a picture" in capsys.readouterr().err


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Three seconds of a calm face, as lossy as any film."""
    path = tmp_path_factory.mktemp("film") / "calm.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (640, 480))
    for _ in range(30):
        writer.write(picture())
    writer.release()
    return path


def jsonl(capsys, *arguments):
    assert main(["replay", *arguments, "--jsonl"]) == 0
    return capsys.readouterr().out


def test_replay_gives_one_line_a_frame_and_the_same_bytes_twice(film, capsys):
    first = jsonl(capsys, str(film))
    assert jsonl(capsys, str(film)) == first
    lines = [json.loads(line) for line in first.splitlines()]
    assert [line["t"] for line in lines] == pytest.approx([i / 10 for i in range(30)], abs=0.002)
    last = lines[-1]
    assert last["state"]["expression"] == last["faces"][0]["expression"] == "neutral"
    assert re.fullmatch(r"1970-01-01T00:00:0\d\.\d{3}Z", last["state"]["since"])
    assert sum(last["faces"][0]["scores"].values()) == pytest.approx(1, abs=0.001)
    x, y, w, h = last["faces"][0]["box"]
    assert 0 <= x < x + w <= 640
    assert 0 <= y < y + h <= 480
    kinds = [event["event_type"] for line in lines for event in line["events"]]
    assert "expression_changed" in kinds
    assert {"t", "faces", "state", "events", "alert"} <= set(last)
    assert {"track", "box", "scores", "expression", "confidence", "eyes_closed", "mouth_open"} <= set(last["faces"][0])


def test_a_trace_replays_to_the_same_readings(film, tmp_path, capsys):
    trace = tmp_path / "trace.jsonl"
    trace.write_text(jsonl(capsys, str(film)))
    again = [json.loads(line) for line in jsonl(capsys, str(trace)).splitlines()]
    before = [json.loads(line) for line in trace.read_text().splitlines()]
    for key in ("t", "faces", "main", "events"):
        assert [line[key] for line in again] == [line[key] for line in before]


def test_replay_prints_a_summary(film, capsys):
    assert main(["replay", str(film)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("30 frames, 2.9 s")
    assert "neutral" in out


@pytest.mark.parametrize("command", [["replay", "/nowhere.mp4"], ["model", "eval", "expression", "/nowhere"]])
def test_a_plot_without_matplotlib_is_refused_before_the_work(command, capsys, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main([*command, "--plot", "x.png"]) == 1
    assert "--plot needs matplotlib: " in (error := capsys.readouterr().err)
    assert "install" in error


def test_replay_of_a_network_camera_names_the_way(capsys):
    assert main(["replay", "http://me:geheim@127.0.0.1:9/x?pw=geheim"]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "http://127.0.0.1:9/…: replay reads recordings, not cameras. Make one first: `ffmpeg" in said
    assert "geheim" not in said


def test_replay_of_a_folder(tmp_path, capsys):
    for i in range(8):
        cv2.imwrite(str(tmp_path / f"{i}.png"), picture())
    lines = jsonl(capsys, str(tmp_path), "--fps", "4").splitlines()
    assert [json.loads(line)["t"] for line in lines] == [i / 4 for i in range(8)]


BAD_SOURCES = {
    "missing.mp4": None,
    "text.mp4": b"this is a text file, whatever its name says\n" * 50,
    "empty.mp4": b"",
    "broken.jsonl": b'{"t": 0}\n',
    "nan.jsonl": b'{"t": NaN, "faces": [], "main": null}\n',
    "deep.jsonl": b"[" * 100_000,
    "empty.jsonl": b"",
    "text.jsonl": b"hello\n",
}


@pytest.mark.parametrize("name", BAD_SOURCES)
def test_replay_of_a_bad_source_ends_with_1_and_the_reason(tmp_path, capsys, name):
    path = tmp_path / name
    if (data := BAD_SOURCES[name]) is not None:
        path.write_bytes(data)
    assert main(["replay", str(path), "--jsonl"]) == 1
    printed = capsys.readouterr()
    assert name in printed.err
    assert "Traceback" not in printed.err


@pytest.mark.parametrize("mouth", ["[NaN, 0.8]", "[0.1]", "3", '["wide", 0.8]'])
def test_a_trace_with_a_broken_mouth_or_score_is_refused_with_its_line(tmp_path, capsys, mouth):
    scores = json.dumps(dict.fromkeys(["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"], 0.1))
    face = '{{"track": 1, "box": [0, 0, 9, 9], "scores": {}, "mouth_shape": {}}}'
    path = tmp_path / "trace.jsonl"
    for bad in (face.format(scores, mouth), face.format(scores.replace("0.1", "NaN"), "null")):
        path.write_text(f'{{"t": 0, "faces": [{face.format(scores, "[0.1, 0.8]")}], "main": 1}}\n'
                        f'{{"t": 1, "faces": [{bad}], "main": 1}}\n')  # fmt: skip
        assert main(["replay", str(path), "--jsonl"]) == 1
        assert "trace.jsonl:2: not a line of a trace" in capsys.readouterr().err


def test_replay_of_a_pipe_is_refused(tmp_path, capsys):
    os.mkfifo(tmp_path / "film.mp4")
    assert main(["replay", str(tmp_path / "film.mp4")]) == 1
    assert "is a pipe or a device" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--node", "#"], ["--node", "A b"], ["--port", "99999"], ["--port", "x"]])
def test_watch_refuses_what_is_no_node_or_port(capsys, arguments):
    with pytest.raises(SystemExit) as ended:
        main(["watch", *arguments])
    assert ended.value.code == 2


def test_watch_ends_when_its_reader_does(tmp_path):
    """ferd watch | head -1"""
    with mosquitto(tmp_path) as broker, Ear(broker.port) as ear:
        ear.say("ferd/a/status", "online", retain=True)
        command = [sys.executable, "-m", "ferd", "watch", "--host", "127.0.0.1", "--port", str(broker.port)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as watch:
            assert watch.stdout.readline() == b"ferd/a/status online\n"
            watch.stdout.close()
            for _ in range(5):
                ear.say("ferd/a/status", "online")
            assert watch.wait(10) == 0


def test_the_home_of_an_unknown_user_is_an_error(capsys, monkeypatch):
    monkeypatch.setenv("FERD_EXPRESSION__MODEL", "~nosuchuser/a.tflite")
    assert main(["check"]) == 78
    assert "no such user's home" in capsys.readouterr().err


@pytest.mark.parametrize("source", ["", "usb:x", "webcam", "ftp://me:geheim@host/x"])
def test_run_with_a_source_that_is_none_starts_nothing(capsys, source):
    assert main(["run", "--source", source]) == 78
    printed = capsys.readouterr().err
    assert "A source is one of" in printed
    assert "geheim" not in printed


def test_ctrl_c_during_the_start_leaves_no_traceback(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-m", "ferd", "bench", "--frames", "20000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A shell that runs the tests in the background ignores Ctrl-C, and its children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  # no threads here
    ) as started:
        time.sleep(0.7)  # Python itself is up, our libraries may or may not be
        started.send_signal(signal.SIGINT)
        _, printed = started.communicate(timeout=30)
    assert b"Traceback" not in printed
    assert started.returncode != 0


def test_replay_of_an_empty_folder(tmp_path, capsys):
    assert main(["replay", str(tmp_path)]) == 1
    assert str(tmp_path) in capsys.readouterr().err
