"""Exports as people download them, small, and a shelf of one's own."""

import zipfile

import pytest
from tflite_files import classifier

LABELS = "0 Happy\n1 Sad\n2 Tired\n"


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """The user's own state directory, empty."""
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "ferd" / "models"


@pytest.fixture
def export(tmp_path):
    """Writes an export and returns its path: zip("x.zip", model.tflite=…, labels.txt=…)."""

    def write(name="converted_tflite_quantized.zip", **files):
        inside = files or {"model.tflite": classifier(dtype="uint8"), "labels.txt": LABELS}
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file, content in inside.items():
                if content is not None:
                    archive.writestr(file, content)
        return path

    return write
