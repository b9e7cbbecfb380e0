"""Batches of sound: random segments of one length, and whole clips with silence behind the shorter ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from .facts import extra_of, info_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from polygan import Batch, Samples, Split


def segments(split: Split, rows: np.ndarray, draws: np.ndarray) -> Batch:
    """``waveform`` int16 (B, segment): from where ``draws`` (B,) in [0, 1) say, silence behind short clips.

    With the fact ``crop`` start, from the first sample of each clip.

    Where mels are given, a segment begins on a frame, and ``mel`` float32 (B, n_mels, segment / hop) goes along;
    behind a short clip stands the clip's smallest value.
    """
    store, info = split.store, info_of(split.store.info)
    segment, hop = info["segment"], info.get("mel_hop", 0)
    waveforms = np.zeros((len(rows), segment), np.int16)
    frames = segment // hop if hop else 0
    given = np.zeros((len(rows), info.get("n_mels", 0) if hop else 0, frames), np.float32)
    draws = draws * (info.get("crop") != "start")
    for b, (row, draw) in enumerate(zip(rows.tolist(), draws.tolist(), strict=True)):
        waveform = store.item("waveform", row)
        if hop:
            mel = store.item("mel", row)  # (frames, n_mels)
            start = int(draw * max(1, min(len(mel), len(waveform) // hop) - frames + 1))
            part = mel[start : start + frames]
            given[b] = mel.min()
            given[b, :, : len(part)] = part.T
            start *= hop
        else:
            start = int(draw * max(1, len(waveform) - segment + 1))
        part = waveform[start : start + segment]
        waveforms[b, : len(part)] = part
    batch = {"waveform": torch.from_numpy(waveforms)}
    return {**batch, "mel": torch.from_numpy(given)} if hop else batch


def whole_clips(split: Split, rows: np.ndarray) -> Batch:
    """Each field of variable length as ``NAME`` (B, longest) with ``NAME_length`` int64 (B,): ``waveform`` int16, ``text`` uint8.

    Zeros stand behind a clip. Given mels are ``mel`` float32 (B, n_mels, longest); behind a mel stands its smallest value.
    """
    store, batch = split.store, dict[str, torch.Tensor]()
    for name, field in store.fields.items():
        if not field.ragged:
            continue
        items = [store.item(name, row) for row in rows.tolist()]
        lengths = [len(item) for item in items]
        padded = np.zeros((len(items), max([1, *lengths]), *items[0].shape[1:]), field.dtype)
        for place, item in zip(padded, items, strict=True):
            place[: len(item)] = item
            if item.ndim > 1 and len(item):
                place[len(item) :] = item.min()
        found = torch.from_numpy(padded)
        batch[name] = found.mT.contiguous() if found.ndim > 2 else found
        batch[f"{name}_length"] = torch.tensor(lengths)
    return batch


def batch_of(samples: Samples) -> Batch | None:
    """Samples as a batch of prepared form, ``waveform`` float32 (n, T); None where lengths differ and are to be equal.

    Samples of whole clips (``extra["whole"]``) are padded, and have the lengths and texts that batches of whole clips have.
    """
    extra = extra_of(samples)
    mels, labels = [*(extra.get("mel") or ())], {} if samples.labels is None else {"label": samples.labels}
    if not len(samples):
        return None
    if extra.get("whole"):
        batch = _padded("waveform", samples.data)
        if "text" in extra:
            batch |= _padded("text", [torch.tensor([*text.encode()], dtype=torch.uint8) for text in extra["text"]])
        if mels:
            found = _padded("mel", [mel.T for mel in mels])
            for place, mel in zip(found["mel"], mels, strict=True):
                place[mel.shape[1] :] = mel.min()
            batch |= {**found, "mel": found["mel"].mT.contiguous()}
        return {**batch, **labels}
    if any(len({t.shape for t in tensors}) > 1 for tensors in (samples.data, mels)):
        return None
    return {"waveform": torch.stack(samples.data), **({"mel": torch.stack(mels)} if mels else {}), **labels}


def _padded(name: str, items: Sequence[Tensor]) -> Batch:
    """Tensors (T_i, ...) as one (n, longest, ...), and their lengths."""
    padded = pad_sequence([*items], batch_first=True)
    if not padded.shape[1]:
        padded = padded.new_zeros(len(items), 1, *padded.shape[2:])
    return {name: padded, f"{name}_length": torch.tensor([len(item) for item in items], device=padded.device)}
