"""Speech from text: real time with each vocoder, the first sound, the search for alignments, and attention against torchaudio."""

from __future__ import annotations

import tempfile
from dataclasses import replace

import torch
from timing import interleave, table
from torchaudio.models import Tacotron2 as Torchaudio

import polygan
from polygan import Samples, make_samples
from polygan.game.sampling import stream_samples
from polygan.testing import RepeatedBatch
from polygan.training.trainer import Trainer
from polygan_speech.aligning.paths import best_paths
from polygan_speech.attention import ORIGINAL, SMALL, Stop
from polygan_speech.formats.tacotron2 import convert
from polygan_speech.settings import Config, Sampling
from polygan_speech.tacotron2 import TextToSpeech

SHAPES = {"256 units": replace(SMALL, reduction=1), "original size": ORIGINAL}
FRAMES, SYMBOLS = 200, 60
PARAGRAPH = "The conference will begin when the leader arrives. Please enter your number, followed by the pound key. To hear the next message, press six."
INFO = {
    "sample_rate": 16_000,
    "segment": 0,
    "symbols": " abcdefghijklmnopqrstuvwxyz.,",
    "frames_per_symbol": 5.0,
    "longest_text": 150,
    "count": 500,
}


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


def vocoder(folder):
    """A run of `audio/vocos` in the usual size, of one step: its speed does not depend on what it learned."""
    data = {"source": "tones", "size": 6, "segment": 4096, "cache": folder}
    return polygan.train(
        "audio/vocos", data=data, steps=1, batch_size=2, sample_every=0, runs=folder, name="vocos", quiet=True
    )


def bench_speaking(rounds):
    """Seconds of sound a second of the parallel network in the usual size, and the first sound of a paragraph."""
    recipe = TextToSpeech(Config(), INFO)
    networks = {name: network.eval() for name, network in recipe.networks().items()}
    given, rows, first = Samples([PARAGRAPH]), [], []
    with tempfile.TemporaryDirectory() as folder:
        names = {"Griffin-Lim": "griffin-lim", "Vocos": str(vocoder(folder).folder)}
        options = {label: Sampling(vocoder=name) for label, name in names.items()}

        def speak(label):
            return make_samples(recipe, networks, 0, 0, options[label], given=given)

        def begin(label):
            next(stream_samples(recipe, networks, iter([given]), 0, options[label]))

        seconds = len(speak("Griffin-Lim").data[0]) / recipe.mel.sample_rate
        for label, t in interleave({label: lambda label=label: speak(label) for label in names}, rounds).items():
            rows.append((label, f"{t:.2f} s", f"{seconds / t:.1f}x real time"))
        for label, t in interleave({label: lambda label=label: begin(label) for label in names}, rounds).items():
            first.append((f"first sound, {label}", f"{t:.2f} s", ""))
    table(
        f"A paragraph of {seconds:.1f} s from text, decoder parallel, {torch.get_num_threads()} threads", rows + first
    )


def bench_paths(rounds):
    """The search for the best alignments beside the step that needs it: 16 clips of 200 frames and 50 symbols."""
    recipe = TextToSpeech(Config(), INFO)
    texts = torch.randint(97, 123, (16, 50), dtype=torch.uint8)
    waveform, lengths = 0.1 * torch.randn(16, FRAMES * 256), torch.full((16,), FRAMES * 256)
    batch = {"waveform": waveform, "waveform_length": lengths, "text": texts, "text_length": torch.full((16,), 50)}
    settings = polygan.TrainerSettings(steps=10**9, batch_size=16, precision="fp32", hang_timeout=0)
    trainer = Trainer(recipe, {"train": RepeatedBatch(batch)}, settings)
    log_p = torch.randn(16, FRAMES, 50).log_softmax(2)
    frames, tokens = torch.full((16,), FRAMES), torch.full((16,), 50)
    runners = {"a step of the aligner alone": trainer.iterate, "the search": lambda: best_paths(log_p, frames, tokens)}
    times = interleave(runners, rounds)
    whole = next(iter(times.values()))
    rows = [(name, f"{1000 * t:.1f} ms", f"{100 * t / whole:.1f} %") for name, t in times.items()]
    table(f"Alignments of 16 clips of {FRAMES} frames and 50 symbols, {torch.get_num_threads()} threads", rows)


def bench_speech(rounds):
    bench_speaking(rounds)
    bench_paths(rounds)
    bench_speech_attention(rounds)
