"""The attention decoder against torchaudio's on the same weights: speech, and a step of training."""

from __future__ import annotations

from dataclasses import replace

import torch
from timing import interleave, table
from torchaudio.models import Tacotron2 as Torchaudio

from polygan_speech.attention import ORIGINAL, SMALL, Stop
from polygan_speech.formats.tacotron2 import convert

SHAPES = {"256 units": replace(SMALL, reduction=1), "original size": ORIGINAL}
FRAMES, SYMBOLS = 200, 60


def torchaudios(shape):
    torch.manual_seed(0)
    made = Torchaudio(
        symbol_embedding_dim=shape.width,
        encoder_embedding_dim=shape.width,
        decoder_rnn_dim=shape.decoder_units,
        decoder_max_step=FRAMES,
        attention_rnn_dim=shape.attention_units,
        attention_hidden_dim=shape.attention,
        attention_location_n_filter=shape.location_filters,
        prenet_dim=shape.prenet,
        postnet_embedding_dim=shape.postnet,
        postnet_n_convolution=shape.postnet_layers,
    )
    with torch.no_grad():
        made.decoder.gate_layer.bias.fill_(-50)  # all speak FRAMES frames
    return made.eval()


def bench_speech_synthesis(rounds):
    ids = torch.randint(1, 148, (1, SYMBOLS))
    stop = Stop(gate=1, patience=0)
    runners, gaps = {}, []
    for name, shape in SHAPES.items():
        theirs = torchaudios(shape)
        ours = convert(theirs.state_dict()).network()

        @torch.no_grad()
        def usual(theirs=theirs):
            torch.manual_seed(0)
            return theirs.infer(ids)[0][0]

        def made(ours=ours):
            return ours.infer(ids, torch.Generator().manual_seed(0), max_frames=FRAMES, stop=stop)[0]

        gaps.append(float((usual() - made()).abs().max()))
        runners |= {f"{name}, torchaudio": usual, f"{name}, polygan": made}
    times = interleave(runners, max(rounds, 7))
    rows = []
    for name, t in times.items():
        base = times[name.replace("polygan", "torchaudio")]
        rows.append((name, f"{FRAMES * 256 / 22_050 / t:.1f} x real time", f"{base / t:.2f}x"))
    table(
        f"Mels of {FRAMES} frames, attention, {torch.get_num_threads()} threads (they differ by {max(gaps):.0e})", rows
    )


def step(network, batch, outputs):
    """Forward and backward of a step of training."""
    ids, lengths, mel, frames = batch

    def run():
        network.zero_grad()
        rough, post, gate, _ = outputs(network(ids, lengths, mel, frames))
        ((rough - mel).square().mean() + (post - mel).square().mean() + gate.sigmoid().mean()).backward()

    return run


def bench_speech_training(rounds):
    full = torch.full((8,), SYMBOLS), torch.full((8,), FRAMES)
    batch = torch.randint(1, 148, (8, SYMBOLS)), full[0], torch.randn(8, 80, FRAMES), full[1]
    runners = {}
    for name, shape in SHAPES.items():
        theirs = torchaudios(shape)
        ours = convert(theirs.state_dict()).network()
        runners[f"{name}, torchaudio"] = step(theirs.train(), batch, tuple)
        runners[f"{name}, polygan"] = step(ours.train(), batch, tuple)
    times = interleave(runners, min(rounds, 3))
    rows = []
    for name, t in times.items():
        rows.append((name, f"{t:.2f} s", f"{times[name.replace('polygan', 'torchaudio')] / t:.2f}x"))
    table(f"Training step, 8 x {FRAMES} frames, attention, {torch.get_num_threads()} threads", rows)


def bench_speech_attention(rounds):
    bench_speech_synthesis(rounds)
    bench_speech_training(rounds)
