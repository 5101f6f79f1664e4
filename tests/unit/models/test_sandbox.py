"""A broken, hanging or greedy model file ends its trial in a child process, with the reason, and nothing else."""

import hashlib
import json
import os
import re
import resource
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from tflite_files import classifier, greedy, hanging

from ferd.errors import ModelError
from ferd.models import registry, sandbox
from ferd.models.bundle import read_bundle
from ferd.models.preprocess import InputSpec
from ferd.models.registry import is_trusted, load_network, shipped_dir
from ferd.models.runtime import Network
from ferd.vision.landmarks import LandmarkModel

MODEL = shipped_dir() / "expression.tflite"
FACE_MEAN = (0.05, 0.2)
"""A drawn face has this mean on the scale -1 to 1; noise, zeros, ones and flat images have another."""


@pytest.fixture
def limits(monkeypatch):
    def change(**changes):
        monkeypatch.setattr(sandbox, "LIMITS", replace(sandbox.LIMITS, **changes))

    return change


@pytest.fixture
def write(tmp_path):
    def write(data, card=None):
        path = tmp_path / "m.tflite"
        path.write_bytes(data)
        (tmp_path / "labels.txt").write_text("a\nb\nc\n")
        return path

    return write


def python_that(tmp_path, monkeypatch, command):
    fake = tmp_path / "python"
    fake.write_text(f"#!/bin/sh\n{command}\n")
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))


@pytest.mark.parametrize("name", ["expression", "face", "eyes", "landmarks"])
def test_the_shipped_models_pass(name):
    assert sandbox.probe(shipped_dir() / f"{name}.tflite") is None


def test_a_loop_that_ends_is_no_fault(write):
    assert sandbox.probe(write(hanging(5.0, 6.0))) is None


def test_a_model_that_hangs_on_faces_only_is_refused_with_the_reason(write, limits):
    limits(run_s=1.0)
    started = time.monotonic()
    assert "did not finish a run on a drawn face within 1 s" in sandbox.probe(write(hanging(*FACE_MEAN)))
    assert time.monotonic() - started < 30


def test_the_scale_of_the_card_is_used(write, limits):
    """Pixels from 0 to 1: a drawn face then has a mean around 0.5."""
    limits(run_s=1.0)
    path = write(hanging(0.51, 0.6))
    assert "a drawn face" in sandbox.probe(path, (0.0, 1.0))
    assert sandbox.probe(path, (0.5, 0.5)) is None


def test_the_classifier_refuses_it_too(write, limits):
    limits(run_s=1.0)
    with pytest.raises(ModelError, match=r"m\.tflite: did not finish a run on a drawn face"):
        load_network(read_bundle(write(hanging(*FACE_MEAN))))


def test_processor_time_is_limited(write, limits):
    limits(cpu_s=1, run_s=50.0)
    assert "used more than 1 s of processor time" in sandbox.probe(write(hanging(*FACE_MEAN)))


def test_memory_is_limited(write):
    assert re.search(r"needs at least 1525 MB of memory .*; \d+ MB are free here", sandbox.probe(write(greedy())))


@pytest.fixture
def system(tmp_path):
    """Writes what the kernel says of memory; returns the arguments of memory_limit."""

    def write(available_mb=None, limit="max", used_mb=0):
        proc, group = tmp_path / "proc", tmp_path / "cgroup/system.slice/ferd.service"
        (proc / "self").mkdir(parents=True)
        group.mkdir(parents=True)
        if available_mb is not None:
            (proc / "meminfo").write_text(f"MemTotal: 999 kB\nMemAvailable:   {available_mb * 1024} kB\n")
        (proc / "self/cgroup").write_text("1:name=systemd:/\n0::/system.slice/ferd.service\n")
        (group / "memory.max").write_text(f"{limit}\n")
        (group / "memory.stat").write_text(f"anon {used_mb << 20}\nfile 123\n")
        return proc, tmp_path / "cgroup"

    return write


@pytest.mark.parametrize(
    ("known", "expected_mb"),
    [
        ({}, 1024),
        ({"available_mb": 2000}, 1024),
        ({"available_mb": 300}, 300),
        ({"available_mb": 300, "limit": 320 << 20, "used_mb": 130}, 190),
        ({"available_mb": 300, "limit": 320 << 20, "used_mb": 300}, 128),
    ],
)
def test_a_trial_gets_no_more_memory_than_there_is(system, known, expected_mb):
    assert sandbox.memory_limit(1 << 30, *system(**known)) == expected_mb << 20


def test_without_proc_the_limit_stays(tmp_path):
    assert sandbox.memory_limit(1 << 30, tmp_path / "none", tmp_path / "none") == 1 << 30


def test_a_model_that_is_always_slow_is_refused(write, limits):
    limits(slowest_s=0.0)
    assert "the limit is 0 s. Use a smaller model" in sandbox.probe(write(classifier()))


def test_a_crash_is_reported_and_stays_in_the_child(tmp_path, monkeypatch):
    python_that(tmp_path, monkeypatch, "kill -SEGV $$")
    assert "crashed the runtime (SIGSEGV)" in sandbox.probe(MODEL)


def test_a_child_that_never_answers_is_killed(tmp_path, monkeypatch, limits):
    python_that(tmp_path, monkeypatch, "exec sleep 60")
    limits(timeout_s=0.3)
    assert "did not finish its start within 0.3 s" in sandbox.probe(MODEL)


def test_an_answer_that_is_none(tmp_path, monkeypatch):
    python_that(tmp_path, monkeypatch, 'echo \'{"step": "loading"\'; echo oh dear >&2')
    assert sandbox.probe(MODEL) == "the trial run failed: oh dear"


def test_output_is_limited(tmp_path, monkeypatch, limits):
    """The runtime writes a message for each broken operator; a pipe would be read until the memory is full."""
    limits(output_bytes=1 << 20)
    python_that(tmp_path, monkeypatch, "yes message >&2 & yes & wait")
    monkeypatch.setattr(sandbox.subprocess, "Popen", limited(sandbox.subprocess.Popen, 1 << 20))
    assert "wrote more than 1 MB of messages" in sandbox.probe(MODEL)


def limited(popen, size):
    """Start processes under a limit of the files they write, as the child sets it for itself."""

    def start(*args, **kwargs):
        return popen(*args, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)), **kwargs)

    return start


def test_the_child_limits_its_own_output(tmp_path):
    code = (
        "import sys; from ferd.models.sandbox import Limits; from ferd.models.trial import _limit;"
        "_limit(Limits(output_bytes=1000));"
        "sys.stdout.write('x' * 5000); sys.stdout.flush()"
    )
    environ = os.environ | {"PYTHONPATH": str(shipped_dir().parent)}
    with (tmp_path / "out").open("wb") as out:
        child = subprocess.run(
            [sys.executable, "-c", code], env=environ, stdout=out, stderr=subprocess.DEVNULL, check=False
        )
    assert child.returncode in (0, 1, 120)  # 120: what is left cannot be flushed at exit
    assert (tmp_path / "out").stat().st_size == 1000


def test_scores_of_pictures_come_from_the_child(write):
    """Each specification scales the same pictures; BGR pictures are turned to the model's order."""
    path = write(classifier(shape=(1, 8, 6, 3)))
    pictures = np.random.default_rng(1).integers(0, 256, (5, 8, 6, 3), np.uint8)
    specs = [InputSpec(6, 8, "rgb"), InputSpec(6, 8, "bgr"), InputSpec(6, 8, "rgb", 0.0, 1.0)]
    scores = np.array(sandbox.score(path, list(pictures), specs))
    assert scores.shape == (3, 5, 3)
    network = Network(path)
    direct = network.invoke((pictures[0, :, :, ::-1] / 127.5 - 1).astype(np.float32)[None]).reshape(-1)
    np.testing.assert_allclose(scores[0, 0], direct, atol=1e-4)
    assert not np.allclose(scores[0], scores[1])
    assert not np.allclose(scores[0], scores[2])


def test_what_a_model_needs_is_compared_with_what_is_free_when_it_is_loaded(write, monkeypatch):
    """It was imported in a shell with much memory; the service has less, and would be killed."""
    bundle = replace(read_bundle(write(classifier())), card={"memory_bytes": 600 << 20})
    monkeypatch.setattr(registry, "is_trusted", lambda _file: True)
    monkeypatch.setattr(sandbox, "memory_limit", lambda most: min(most, 200 << 20))
    with pytest.raises(ModelError, match="needs 600 MB of memory, and 200 MB are free here"):
        load_network(bundle)


def test_the_child_needs_nothing_else_of_ferd():
    """It must start quickly, and also where OpenCV or pydantic is broken."""
    code = "import sys, ferd.models.sandbox; print([m for m in sys.modules if m in ('numpy', 'cv2', 'pydantic')])"
    environ = os.environ | {"PYTHONPATH": str(shipped_dir().parent)}
    child = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert child.stdout.strip() == "[]"


class TestTrust:
    """A file skips the trial when it ships with ferd or ferd installed it; its own card cannot vouch for it."""

    def test_shipped_files_are_trusted_wherever_they_lie(self, bundle_dir):
        assert is_trusted(MODEL)
        assert is_trusted(bundle_dir / "expression.tflite")

    def test_a_card_with_the_right_digest_is_not_enough(self, bundle_dir, edit_card, monkeypatch):
        file = bundle_dir / "expression.tflite"
        file.write_bytes(file.read_bytes() + b"\0")
        edit_card(sha256=registry.sha256_of(file))
        assert read_bundle(bundle_dir).checksum_ok
        assert not is_trusted(file)
        tried = []
        monkeypatch.setattr(sandbox, "probe", lambda path, scale=None: tried.append((path, scale)))
        load_network(read_bundle(bundle_dir))
        assert tried == [(file, (read_bundle(bundle_dir).input.mean, read_bundle(bundle_dir).input.std))]

    def test_what_ferd_installed_is_trusted_until_it_is_changed(self, write):
        from ferd.models.importer.install import ImportOptions, import_model

        bundle = import_model(write(classifier()), ImportOptions("mood"))
        assert is_trusted(bundle.path)
        bundle.path.write_bytes(bundle.path.read_bytes() + b"\0")
        assert not is_trusted(bundle.path)

    def test_the_digest_in_the_card_does_not_spare_landmarks_the_trial(self, tmp_path, monkeypatch):
        """A person who can write the file can write the card."""
        file = tmp_path / "landmarks.tflite"
        file.write_bytes((shipped_dir() / "landmarks.tflite").read_bytes() + b"\0")
        card = json.loads((shipped_dir() / "landmarks.json").read_text()) | {"sha256": registry.sha256_of(file)}
        file.with_suffix(".json").write_text(json.dumps(card))
        tried = []
        monkeypatch.setattr(sandbox, "probe", lambda path, _scale=None: tried.append(path))
        LandmarkModel(read_bundle(file))
        assert tried == [file]

    def test_a_yunet_file_of_another_digest_is_tried(self, tmp_path):
        file = tmp_path / "yunet.onnx"
        file.write_bytes(b"\x08\x07" + bytes(2000))
        with pytest.raises(ModelError, match="Download face_detection_yunet"):
            registry.check_yunet(file)

    def test_the_yunet_file_of_opencv_zoo_is_not_tried(self, tmp_path, monkeypatch):
        monkeypatch.setattr(registry, "YUNET_SHA256", hashlib.sha256(b"zoo").hexdigest())
        monkeypatch.setattr(sandbox, "probe_yunet", lambda _path: "tried")
        (tmp_path / "yunet.onnx").write_bytes(b"zoo")
        registry.check_yunet(tmp_path / "yunet.onnx")

    def test_a_failed_installation_leaves_nothing(self, write, monkeypatch):
        from ferd.models.importer.install import ImportOptions, import_model

        def full(_digests):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(registry, "_write_installed_digests", full)
        with pytest.raises(ModelError, match="No space left on device"):
            import_model(write(classifier()), ImportOptions("mood"))
        assert list(registry.user_dir().iterdir()) == []

    @pytest.mark.parametrize("content", ["", "{", "5", '{"a": 1}', "[5]"])
    def test_a_damaged_record_trusts_nothing(self, write, content):
        registry.user_dir().mkdir(parents=True)
        (registry.user_dir().parent / "installed-models.json").write_text(content)
        assert not is_trusted(write(classifier()))
