"""Another head on the same network: the file stays an ordinary one, and says what the head says."""

import numpy as np
import pytest
from tflite_files import classifier

from ferd.errors import ModelError
from ferd.models.finetune.features import FeatureNet
from ferd.models.finetune.tflite_edit import Head, features_file, head_of, with_head
from ferd.models.registry import find_bundle, shipped_dir
from ferd.models.runtime import Network

RNG = np.random.default_rng(5)
CROPS = [RNG.integers(0, 256, (48, 48), dtype=np.uint8) for _ in range(20)]


@pytest.fixture(scope="module")
def net():
    return FeatureNet(find_bundle("expression"))


def logits_of(path, net, crops=CROPS):
    network = Network(path)
    return np.stack([network.outputs[0].dequantise(network.invoke(net.whole.prepare(c)).reshape(-1)) for c in crops])


def test_features_and_head_are_the_whole_network(net):
    head = head_of(net.model)
    by_hand = net(CROPS) @ head.weights.T + head.bias
    whole = logits_of(net.bundle.path, net)
    assert np.abs(by_hand - whole).max() <= 1.01 * Network(net.bundle.path).outputs[0].scale


def test_a_new_head_says_what_it_was_made_for(net, tmp_path):
    features = net(CROPS)
    head = Head(RNG.normal(0, 0.3, (4, features.shape[1])).astype(np.float32), np.array([1, -1, 0, 2], np.float32))
    (tmp_path / "new.tflite").write_bytes(with_head(net.model, head, features))
    said = logits_of(tmp_path / "new.tflite", net)
    wanted = features @ head.weights.T + head.bias
    assert said.shape == (20, 4)
    # int8 steps of the output, and of the weights: half of 1/127 of the largest on each of some 200 features
    scale = Network(tmp_path / "new.tflite").outputs[0].scale
    assert np.abs(said - wanted).max() < 2 * scale + 0.01 * np.abs(wanted).max()


def test_the_rest_of_the_file_is_untouched(net, tmp_path):
    head = head_of(net.model)
    (tmp_path / "same.tflite").write_bytes(with_head(net.model, head, net(CROPS)))
    (tmp_path / "features.tflite").write_bytes(features_file((tmp_path / "same.tflite").read_bytes()))
    np.testing.assert_array_equal(logits_of(tmp_path / "features.tflite", net), net(CROPS))
    np.testing.assert_allclose(
        head_of((tmp_path / "same.tflite").read_bytes()).weights, head.weights, atol=np.abs(head.weights).max() / 127
    )


@pytest.mark.parametrize("name", ["face", "expression"])
def test_what_cannot_be_built_on_is_refused(name):
    data = (shipped_dir() / "face.tflite").read_bytes() if name == "face" else classifier(dtype="float32")
    with pytest.raises(ModelError, match="does not end in an int8 fully connected layer"):
        features_file(data)


def test_a_broken_file_is_an_error():
    data = (shipped_dir() / "expression.tflite").read_bytes()
    with pytest.raises(ModelError):
        features_file(data[:100])
