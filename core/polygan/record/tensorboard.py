"""A plugin that writes a run's values, pictures, sounds and texts into ``RUN/tensorboard``.

The plugin does nothing without the package ``tensorboard`` (extra ``polygan[tensorboard]``), or with ``--no-plugin tensorboard``.
The horizontal axis counts finished iterations; the number of real samples is a curve of its own, ``progress/samples``. PNG and
WAV files are stored without decoding.
"""

from __future__ import annotations

import json
import struct
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ..hookspecs import RunEvent, hookimpl

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch.utils.tensorboard import SummaryWriter

    from ..data.pieces import Piece
    from ..scoring.evaluation import Score

POLYGAN_API = 2

_writers: dict[Path, SummaryWriter] = {}


@hookimpl
def polygan_run_started(event: RunEvent) -> None:
    """Open a file. TensorBoard hides what an interrupted attempt wrote after the step that training resumes from."""
    if find_spec("tensorboard") is None:
        return
    from torch.utils.tensorboard import SummaryWriter

    from ..files import inside

    _close(event)
    folder = inside(event.folder, "tensorboard")
    purge = (event.step + 1 if event.step else 0) if folder.is_dir() else None
    writer = _writers[event.folder] = SummaryWriter(str(folder), purge_step=purge, flush_secs=20)
    writer.add_text("settings", _verbatim(json.dumps(event.settings, indent=2, default=str)), event.step)


@hookimpl
def polygan_logged(event: RunEvent, values: Mapping[str, float]) -> None:
    """Write scalars under the names that they were logged with."""
    if writer := _writers.get(event.folder):
        for name, value in (*values.items(), ("progress/samples", event.samples)):
            writer.add_scalar(name, value, event.step)


@hookimpl
def polygan_sampled(event: RunEvent, pieces: Sequence[Piece]) -> None:
    """Write pieces as ``samples/000``, ``samples/001``, ...; the picture of a sound is ``samples/000/picture``."""
    if not (writer := _writers.get(event.folder)):
        return
    from tensorboard.compat.proto.summary_pb2 import Summary  # pyright: ignore[reportAttributeAccessIssue]

    for i, piece in enumerate(pieces):
        tag, values = f"samples/{i:03d}", []
        wav, rate, png, text = (getattr(piece, name, None) for name in ("wav", "rate", "png", "text"))
        if wav:
            sound = Summary.Audio(encoded_audio_string=wav, content_type="audio/wav", sample_rate=rate)
            values.append(Summary.Value(tag=tag, audio=sound))
        if png:
            width, height = struct.unpack(">II", png[16:24])  # the PNG's header chunk
            picture = Summary.Image(encoded_image_string=png, width=width, height=height, colorspace=3)
            values.append(Summary.Value(tag=f"{tag}/picture" if wav else tag, image=picture))
        if values:
            file = writer.file_writer
            assert file is not None  # only after close
            file.add_summary(Summary(value=values), event.step)
        if text is not None:
            writer.add_text(tag, _verbatim(f"{piece.caption}\n\n{text}" if piece.caption else text), event.step)
    writer.flush()


@hookimpl
def polygan_evaluated(event: RunEvent, scores: Sequence[Score]) -> None:
    """Write the scalars ``score/NAME`` and, for a score with a floor or a baseline, ``floor/NAME`` and ``baseline/NAME``."""
    if writer := _writers.get(event.folder):
        for score in scores:
            writer.add_scalar(f"score/{score.name}", score.value, event.step)
            if score.floor is not None:
                writer.add_scalar(f"floor/{score.name}", score.floor, event.step)
            if score.baseline is not None:
                writer.add_scalar(f"baseline/{score.name}", score.baseline[0], event.step)
        writer.flush()


@hookimpl
def polygan_diverged(event: RunEvent, message: str) -> None:
    """Write the message as a text."""
    if writer := _writers.get(event.folder):
        writer.add_text("diverged", _verbatim(message), event.step)
        writer.flush()


@hookimpl
def polygan_run_ended(event: RunEvent, status: str) -> None:
    """Write the remaining data and close the file."""
    _close(event)


def _close(event: RunEvent) -> None:
    if writer := _writers.pop(event.folder, None):
        writer.close()


def _verbatim(text: str) -> str:
    """Text as a Markdown code block, so that TensorBoard does not read it as Markdown."""
    return "\n".join(f"    {line}" for line in text.encode("utf-8", "replace").decode().splitlines())
