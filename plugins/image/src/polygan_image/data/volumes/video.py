"""Frames of video files through imageio-ffmpeg, one at a time."""

from __future__ import annotations

import logging
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np

from polygan import ConfigError, DataError

from .. import given, pictures
from ..pairs.labels import classes_of
from ..values import showing, users
from ..values.bands import whole_pictures
from .optional import need

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from torch import Tensor

    from polygan import Samples

MADE = ".mp4"
SUFFIXES = (MADE, ".mov", ".mkv", ".webm", ".avi", ".m4v")
RATE = 20.0
"""Frames a second of frames that come from no video."""
_CRF = "16"  # the quality of x264: differences are hard to see


def is_clip(name: str) -> bool:
    """Whether a file is named like a video."""
    return name.lower().endswith(SUFFIXES)


def read(path: Path, info: Mapping[str, Any]) -> Iterator[tuple[Tensor, dict[str, Any]]]:
    """Each frame (1, C, H, W) in [-1, 1] of a video file, in the form of a run's given pictures, and ``clip``: its rate.

    One frame at a time is in memory. Sound is not read; a line on stderr says so.
    """
    ffmpeg = need("imageio_ffmpeg", path)
    if users.has_own_values(info) or classes_of(info) is not None:
        raise DataError(
            "is a video, and the run takes pictures with other values than 8 bits; name pictures or volumes"
        )
    frames = ffmpeg.read_frames(str(path), pix_fmt="rgb24")
    with closing(frames):
        try:
            facts = next(frames)
            width, height = facts["size"]
            clip = {"rate": float(facts["fps"])}
        except (OSError, RuntimeError, LookupError, ValueError, TypeError, StopIteration) as error:
            raise DataError(f"is no video that ffmpeg reads ({_reason(error)}); repair or remove it") from None
        if not clip["rate"] > 0:
            raise DataError("is a video without a rate of frames; repair or remove it")
        if facts.get("audio_codec"):
            logging.getLogger("polygan").warning(f"{path} has sound, which the made video leaves out.")
        while True:
            try:
                frame = next(frames, None)
            except (OSError, RuntimeError) as error:
                raise DataError(f"cannot be read to its end ({_reason(error)}); repair or remove it") from None
            if frame is None:
                return
            values = np.frombuffer(frame, np.uint8).reshape(height, width, 3)
            yield given.take(values, info), {"clip": clip}


def _reason(error: Exception) -> str:
    """The first telling line of ffmpeg's output."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if "nvalid" in line or "rror" in line or "No such" in line]
    return (told or lines or [type(error).__name__])[-1][:160]


def write(pieces: Iterable[Samples], path: Path) -> None:
    """Write made frames as an H.264 video of the rate of the given video. Raises ConfigError for samples that are no frames."""
    ffmpeg = need("imageio_ffmpeg", path)
    writer: Any = None
    try:
        for data, extra in whole_pictures(pieces):
            frame = pictures.to_bytes(given.in_colour(showing.shown(data, extra)))[0]
            if writer is None:
                if "clip" not in extra and "header" not in extra:
                    raise ConfigError(
                        f"{path}: a video is made from a video or a volume; name another --format, or give one with --input"
                    )
                writer = _writer(
                    ffmpeg, path, (frame.shape[1], frame.shape[0]), extra.get("clip", {}).get("rate", RATE)
                )
            writer.send(np.ascontiguousarray(frame).tobytes())
    except (OSError, RuntimeError) as error:
        raise DataError(f"{path} cannot be written ({_reason(error)})") from None
    finally:
        if writer is not None:
            writer.close()


def _writer(ffmpeg: Any, path: Path, size: tuple[int, int], rate: float) -> Any:
    odd = size[0] % 2 or size[1] % 2  # halved colours need even sides
    writer = ffmpeg.write_frames(
        str(path), size, fps=rate, codec="libx264", quality=None, macro_block_size=1,
        pix_fmt_out="yuv444p" if odd else "yuv420p", output_params=["-crf", _CRF],
    )  # fmt: skip
    writer.send(None)
    return writer
