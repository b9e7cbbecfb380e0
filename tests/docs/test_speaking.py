"""The eight commands of the page on speaking make a model that speaks, here with small networks and a few made-up recordings."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest
import soundfile

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests/e2e"), str(ROOT / "tests/speech")]
from small_speech import RATE, TEXTS, sound
from survival import command as polygan

pytestmark = pytest.mark.e2e

FRONT = ["--model.n_fft", 256, "--model.hop_length", 64, "--model.n_mels", 20, "--model.fmax", 4000]
TRAIN = ["--batch_size", 4, "--sample_every", 0, "--precision", "fp32", "--data.held_out", 0.2]
SMALL = {
    "audio/tacotron2": [
        *TRAIN, *FRONT, "--steps", 3, "--model.dim", 16, "--model.hidden", 32, "--model.encoder_blocks", 1, "--model.decoder_blocks", 1,
        "--model.window", 16, "--model.discriminator_width", 4, "--model.align_steps", 1, "--model.pretrain_steps", 2,
    ],
    "audio/vocos": [
        *TRAIN, *FRONT, "--steps", 1, "--data.segment", 2048, "--model.dim", 16, "--model.hidden", 32, "--model.blocks", 1, "--model.prior", "none",
        "--model.pretrain_steps", 1,
    ],
    "evaluate": ["--metrics", "audio/duration", "--samples", 2],
}  # fmt: skip


def commands():
    """The words of the page's first block of commands, without the installation."""
    page = (ROOT / "docs/speaking.md").read_text()
    block = re.search(r"## Eight commands\n+```console\n(.*?)```", page, re.S)[1]
    lines = [line[2:] for line in block.splitlines()]
    assert len(lines) == 8
    assert lines[0].startswith("pip install ")
    return [shlex.split(line)[1:] for line in lines[1:]]


@pytest.fixture
def here(tmp_path):
    """A folder with ``recordings/`` in the LJSpeech layout: tones for letters."""
    wavs = tmp_path / "recordings/wavs"
    wavs.mkdir(parents=True)
    texts = [text for i in range(3) for text in TEXTS[i % 2 :]]
    for i, text in enumerate(texts):
        soundfile.write(wavs / f"{i:04}.wav", sound(text, i), RATE)
    lines = [f"{i:04}|{text}" for i, text in enumerate(texts)]
    (tmp_path / "recordings/metadata.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_the_eight_commands_make_a_model_that_speaks(here):
    pytest.importorskip("onnxruntime", reason="the last command writes an ONNX file (polygan-speech[onnx])")
    for words in commands():
        small = SMALL.get(words[1] if words[0] == "train" else words[0], [])
        done = polygan(*words, *small, cwd=here)
        if words[0] == "data":
            assert "samples: 17" in done.stdout
        if words[0] == "evaluate":
            assert "audio/duration" in done.stdout
    spoken, rate = soundfile.read(here / "hello.wav")
    assert rate == RATE
    assert len(spoken) > 0
    assert "<audio" in (here / "runs/tacotron2-recordings/report.html").read_text()
    assert (here / "voice.onnx").stat().st_size > 1000
