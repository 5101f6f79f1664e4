"""How an image becomes the numbers that a model was trained on: scale, channel order, planes."""

import numpy as np
import pytest

from ferd.models.preprocess import InputEncoder, InputSpec, scale_by_range, spec_of
from ferd.models.runtime import Tensor

RED = np.zeros((2, 4, 3), np.uint8)
RED[...] = (255, 0, 51)
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def tensor(shape, dtype="float32", scale=0.0, zero=0):
    return Tensor(0, shape, np.dtype(dtype), scale, zero)


def test_one_scale_for_all_channels():
    spec = InputSpec(4, 2, "rgb", 0.5, 0.5)
    encoded = InputEncoder(spec, tensor((1, 2, 4, 3)))(RED)
    assert encoded.shape == (1, 2, 4, 3)
    np.testing.assert_allclose(encoded[0, 0, 0], [1, -1, -0.6], atol=1e-6)


def test_a_scale_for_each_channel():
    encoded = InputEncoder(InputSpec(4, 2, "rgb", *IMAGENET), tensor((1, 2, 4, 3)))(RED)
    expected = (np.array([1, 0, 0.2]) - IMAGENET[0]) / IMAGENET[1]
    np.testing.assert_allclose(encoded[0, 1, 3], expected, atol=1e-5)


def test_planes_instead_of_pixels():
    spec = InputSpec(4, 2, "rgb", *IMAGENET, layout="nchw")
    image = np.random.default_rng(1).integers(0, 256, (2, 4, 3), np.uint8)
    encoded = InputEncoder(spec, tensor((1, 3, 2, 4)))(image)
    rows = InputEncoder(InputSpec(4, 2, "rgb", *IMAGENET), tensor((1, 2, 4, 3)))(image)
    np.testing.assert_array_equal(encoded[0], rows[0].transpose(2, 0, 1))


def test_a_gray_image_in_planes():
    spec = InputSpec(4, 2, "gray", 0.0, 1.0, layout="nchw")
    encoded = InputEncoder(spec, tensor((1, 1, 2, 4)))(RED[..., 2])
    assert encoded.shape == (1, 1, 2, 4)
    np.testing.assert_allclose(encoded, 0.2, atol=1e-6)


def test_a_quantised_input():
    encoded = InputEncoder(InputSpec(4, 2, "rgb", 0.0, 1.0), tensor((1, 2, 4, 3), "uint8", 1 / 255))(RED)
    np.testing.assert_array_equal(encoded[0], RED)


@pytest.mark.parametrize("spec", [InputSpec(4, 2, "gray"), InputSpec(3, 5, "bgr", *IMAGENET, "frame", "nchw")])
def test_a_card_keeps_everything(spec):
    assert InputSpec.from_card(spec.to_card()) == spec


@pytest.mark.parametrize(
    "change",
    [
        {"mean": [0.1, 0.2]}, {"mean": "x"}, {"std": [0.1, 0.2, 0]}, {"layout": "hwc"}, {"mean": float("nan")},
        {"colour": "gray", "mean": [0.1, 0.2, 0.3]},
    ],
)  # fmt: skip
def test_a_card_that_is_wrong(change):
    card = {"width": 4, "height": 2, "colour": "rgb", "mean": 0.5, "std": 0.5} | change
    with pytest.raises((ValueError, TypeError)):
        InputSpec.from_card(card)


@pytest.mark.parametrize(
    ("shape", "colour", "layout"),
    [
        ((1, 48, 48, 1), "gray", "nhwc"), ((1, 48, 64, 3), "rgb", "nhwc"),
        ((1, 3, 48, 64), "rgb", "nchw"), ((1, 1, 48, 64), "gray", "nchw"),
    ],
)  # fmt: skip
def test_the_input_by_its_shape(shape, colour, layout):
    spec = spec_of(shape)
    assert (spec.colour, spec.layout, spec.shape) == (colour, layout, shape)


@pytest.mark.parametrize("shape", [(1, 48, 48, 2), (2, 48, 48, 3), (1, 400), ()])
def test_what_is_no_image(shape):
    assert spec_of(shape) is None


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ((-1.0, 0.992), (0.502, 0.502)), ((0.0, 1.0), (0.0, 1.0)), ((0.0, 255.0), (0.0, 1 / 255)),
        ((-0.4, 0.9), None), (None, None),
    ],
)  # fmt: skip
def test_the_scale_by_the_range_of_a_quantised_input(limits, expected):
    """A range of other limits is that of somebody's pictures."""
    found = scale_by_range(limits)
    assert found == (expected if expected is None else pytest.approx(expected, abs=1e-3))
