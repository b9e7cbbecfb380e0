"""Synthesis in pieces equals the whole, whatever the pieces; so do mels of a stream."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from polygan import ConfigError
from polygan_audio.networks import vocos as vocos_networks
from polygan_audio.networks.hifigan import Generator, Shape
from polygan_audio.networks.melspec import MelSpec
from polygan_audio.synthesis import Synthesiser, mel_stream

MEL = MelSpec(sample_rate=16_000, n_fft=64, win_length=64, hop_length=16, n_mels=8)
SHAPE = Shape(channels=8, rates=(4, 2, 2), kernels=(8, 4, 4), block=1, sizes=(3, 5), dilations=((1, 3), (1, 2)))


@pytest.fixture(scope="module", params=["hifigan", "vocos", "vocos center", "vocos griffin-lim"])
def generator(request):
    torch.manual_seed(0)
    mel = dataclasses.replace(MEL, padding="center" if "center" in request.param else "same")
    prior = {"prior": "griffin-lim", "iterations": 2} if "griffin-lim" in request.param else {}
    network = Generator(SHAPE, mel) if request.param == "hifigan" else vocos_networks.Generator(mel, 8, 16, 2, **prior)
    for parameter in network.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, 0.0, 0.5)
    return network.eval()


@pytest.mark.parametrize("frames", [1, 5, 39, 40, 41, 75, 200])
@pytest.mark.parametrize("size", [1, 7, 40, 1000])
def test_pieces_have_no_seams(generator, frames, size):
    mel = torch.randn(8, frames, generator=torch.Generator().manual_seed(frames))
    with torch.no_grad():
        whole = generator(mel[None])[0]
    pieces = list(Synthesiser(generator, chunk=40).stream(mel.split(size, 1)))
    torch.testing.assert_close(torch.cat(pieces), whole, atol=2e-6 * max(1.0, float(whole.abs().max())), rtol=0)
    assert whole.abs().max() > 0.05
    assert max(map(len, pieces)) <= 40 * 16


@pytest.mark.parametrize("frames", [75, 85, 95, 105, 115, 200])
def test_the_last_run_is_no_longer_than_quarters_that_hold_what_is_left(generator, frames):
    made, seen = Synthesiser(generator, chunk=40), []
    made.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[2]))
    mel = torch.randn(8, frames)
    with torch.no_grad():
        torch.testing.assert_close(made(mel), generator(mel[None])[0], atol=2e-4, rtol=1e-5)
    *runs, last = seen
    assert runs == [40] * len(runs)
    done = runs and 40 * len(runs) - (2 * len(runs) - 1) * made.context
    needed = frames - done + made.context
    assert last % 10 == 0
    assert needed <= last < needed + 10


def test_the_first_piece_comes_before_the_rest_is_read(generator):
    read = []

    def frames():
        for i in range(50):
            read.append(i)
            yield torch.randn(8, 10)

    next(Synthesiser(generator, chunk=40).stream(frames()))
    assert len(read) == 4


def test_half_precision_is_close(generator):
    mel = torch.randn(8, 60)
    full, half = (Synthesiser(generator, 40, precision)(mel) for precision in ("fp32", "bf16"))
    assert half.dtype == torch.float32
    assert ((full - half).norm() / full.norm()) < 0.2


def test_networks_have_a_chunk_of_their_own_that_holds_their_context(generator, monkeypatch):
    usual = 1024 if isinstance(generator, vocos_networks.Generator) else 512
    assert Synthesiser(generator).chunk == usual
    monkeypatch.setattr(generator, "context", lambda: 2000)
    assert Synthesiser(generator).chunk == 6000


def test_nothing_and_too_short_chunks(generator):
    assert list(Synthesiser(generator, chunk=40).stream([])) == []
    with pytest.raises(
        ConfigError, match=rf"contexts of {generator.context()} .* at least {2 * generator.context() + 1}"
    ):
        Synthesiser(generator, chunk=2 * generator.context())


@pytest.mark.parametrize("padding", ["same", "center"])
@pytest.mark.parametrize("samples", [5, 16, 40, 48, 500, 1600, 1607])
@pytest.mark.parametrize("size", [1, 37, 400, 5000])
def test_mels_of_a_stream_are_those_of_the_whole(padding, samples, size):
    mel = dataclasses.replace(MEL, padding=padding)
    waveform = torch.randn(samples, generator=torch.Generator().manual_seed(samples))
    found = list(mel_stream(mel, waveform.split(size)))
    frames = samples // 16
    assert sum(m.shape[1] for m in found) == frames
    if frames:
        whole = mel(F.pad(waveform, (0, max(0, mel.pad + 1 - samples))))[:, :frames]
        torch.testing.assert_close(torch.cat(found, 1), whole, atol=1e-5, rtol=0)
