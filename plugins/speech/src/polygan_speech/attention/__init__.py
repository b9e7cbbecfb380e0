"""Tacotron 2: an encoder of text and a decoder that attends to it, frame by frame."""

from __future__ import annotations

from .network import Outputs, Tacotron2
from .shape import ORIGINAL, SMALL, Shape, shape_of
from .stopping import Stop

__all__ = ["ORIGINAL", "SMALL", "Outputs", "Shape", "Stop", "Tacotron2", "shape_of"]
