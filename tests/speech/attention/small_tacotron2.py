"""Small networks of the attention decoder, and the golden vectors."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from polygan_speech.attention import Shape, Tacotron2

TINY = Shape(
    width=16,
    prenet=12,
    attention_units=20,
    decoder_units=24,
    attention=8,
    location_filters=4,
    location_kernel=7,
    postnet=10,
    postnet_layers=3,
)
STILL = {f"{part}_dropout": 0.0 for part in ("encoder", "prenet", "attention", "decoder", "postnet")}
"""No dropout at all."""


def tiny(speakers=0, seed=0, languages=0, **changes):
    torch.manual_seed(seed)
    return settled(Tacotron2(11, 6, replace(TINY, **changes), speakers, languages))


def settled(network):
    """In evaluation mode, batch norms with statistics and scales that are no defaults."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.3)
    return network.eval()


def batch(lengths=(4, 7, 2), frames=(9, 5, 12), n_mels=6, symbols=11):
    """ids, lengths, mel, frames; lengths in no order, zeros behind."""
    draw = torch.Generator().manual_seed(3)
    ids = torch.zeros(len(lengths), max(lengths), dtype=torch.int64)
    mel = torch.zeros(len(frames), n_mels, max(frames))
    for row, (s, f) in enumerate(zip(lengths, frames, strict=True)):
        ids[row, :s] = torch.randint(1, symbols, (s,), generator=draw)
        mel[row, :, :f] = torch.randn(n_mels, f, generator=draw)
    return ids, torch.tensor(lengths), mel, torch.tensor(frames)


@cache
def golden():
    """The golden vectors of NVIDIA's network; skips the test where they are absent."""
    data = os.environ.get("POLYGAN_SHARED_DATA") or Path(__file__).parents[4] / "shared/data"
    path = Path(data).parent / "golden/tacotron2/narrow.safetensors"
    if not path.is_file():
        pytest.skip(f"needs the golden vectors in {path}")
    return load_file(path)


def golden_state():
    return {k: v for k, v in golden().items() if k.startswith("model.")}


def torchaudios(network):
    """The names that torchaudio's code gives."""
    found = {}
    for key, value in network.state_dict().items():
        key = key.replace("encoder.ahead.", "encoder.lstm.")
        found[re.sub(r"encoder\.back\.(.*)", r"encoder.lstm.\1_reverse", key)] = value.clone()
    return found


def nvidias(network):
    """The names that NVIDIA's code gives."""
    found = {}
    for key, value in torchaudios(network).items():
        key = re.sub(r"(convolutions\.\d\.0|location_conv)\.(weight|bias)$", r"\1.conv.\2", key)
        key = re.sub(
            r"(layers\.\d|query_layer|memory_layer|\.v|location_dense|projection|gate_layer)\.(weight|bias)$",
            r"\1.linear_layer.\2",
            key,
        )
        found[key] = value
    return found
