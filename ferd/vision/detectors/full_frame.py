"""The whole picture in place of a face, for models that look at all of it: a mug, a pose, a winking eye."""

from __future__ import annotations

from ferd.types import Box, Face, Frame, Image


class FullFrameDetector:
    """A detector that finds one face in every frame: the frame."""

    name = "whole"
    gray = True

    def __call__(self, frame: Frame) -> list[Face]:
        return [Face(Box(0, 0, frame.width, frame.height))]

    def prepare(self, frame: Frame) -> Image:
        return frame.image

    def search(self, picture: Image) -> None:
        """There is nothing to search."""

    def __repr__(self) -> str:
        return "<FullFrameDetector>"
