"""Read a face as it is and in the mirror in turn. Pure: no clock.

A net errs differently on the two, and their mean errs less. In video each frame still costs one call, because the
smoothing over time takes the mean; a new face, or the only picture of one, is read both ways at once.
"""

from __future__ import annotations

from collections.abc import Collection

from ferd.types import Image
from ferd.vision.images import in_mirror


class Sides:
    """Choose for each face which way round it is read now.

    Args:
        mirrors: whether the model's classes are the same in a mirror; otherwise each face is read as it is.
    """

    def __init__(self, *, mirrors: bool) -> None:
        self._mirrors = mirrors
        self._was_turned: dict[int, bool] = {}

    def __call__(self, number: int, image: Image) -> tuple[Image, ...]:
        """Return the one or two images to read now of the face with this number, whose crop (H, W[, 3]) is given."""
        if not self._mirrors:
            return (image,)
        if number not in self._was_turned:
            self._was_turned[number] = True
            return image, in_mirror(image)
        self._was_turned[number] = turned = not self._was_turned[number]
        return (in_mirror(image) if turned else image,)

    def keep(self, numbers: Collection[int]) -> None:
        """Forget all other faces."""
        if len(self._was_turned) > len(numbers):
            self._was_turned = {it: turned for it, turned in self._was_turned.items() if it in numbers}
