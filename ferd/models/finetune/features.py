"""Faces as the shipped expression network sees them just before it names them: a row of numbers each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ferd.models.bundle import Bundle
from ferd.models.finetune.tflite_edit import Floats, features_file
from ferd.models.runtime import Network
from ferd.types import Image
from ferd.vision.classifier import Classifier


class FeatureNet:
    """The network without its last layer. Call it with crops of the bundle's size, gray."""

    def __init__(self, bundle: Bundle) -> None:
        """Raises ModelError when the bundle is broken or cannot be built on."""
        self.bundle = bundle
        self.whole = Classifier(bundle)
        self.model = bundle.path.read_bytes()
        with TemporaryDirectory(prefix="ferd-teach-") as folder:
            file = Path(folder) / "features.tflite"
            file.write_bytes(features_file(self.model))
            self._network = Network(file)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of a crop."""
        return self.whole.input.width, self.whole.input.height

    def __call__(self, crops: Sequence[Image]) -> Floats:
        """(n, features) float32."""
        rows = [self._network.invoke(self.whole.prepare(crop)).reshape(-1) for crop in crops]
        return np.stack([self._network.outputs[0].dequantise(row) for row in rows])
