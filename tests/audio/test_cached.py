"""Cached synthesis: the same samples as in one go, whatever the pieces."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from polygan_audio.cached import CachedSynthesiser, noise_of
from polygan_audio.networks.melspec import MelSpec
from polygan_audio.networks.parallel_wavegan import Generator, Shape

MEL = MelSpec(sample_rate=16_000, n_fft=64, win_length=64, hop_length=16, n_mels=8)
SHAPE = Shape(layers=6, stacks=2, channels=8, gates=16, skips=6, scales=(4, 2, 2))
KINDS = {
    "usual": (SHAPE, 0),
    "far": (replace(SHAPE, layers=8, stacks=1), 0),
    "causal": (replace(SHAPE, causal=True), 0),
    "no window": (replace(SHAPE, window=0), 0),
    "griffin-lim": (SHAPE, 2),
    "causal griffin-lim": (replace(SHAPE, causal=True), 1),
}


@pytest.fixture(scope="module", params=KINDS)
def generator(request):
    torch.manual_seed(0)
    shape, iterations = KINDS[request.param]
    network = Generator(shape, MEL, iterations=iterations)
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    nn.init.ones_(network.last_conv_layers["3"].parametrizations.weight.original0)
    network.mean.normal_()
    network.scale.uniform_(0.5, 2)
    return network.eval()


def mel_of(frames):
    return torch.randn(8, frames, generator=torch.Generator().manual_seed(frames))


@pytest.mark.parametrize(("frames", "chunk"), [(1, 1), (2, 16), (4, 1), (5, 3), (17, 16), (40, 1), (60, 3), (64, 16)])
def test_pieces_are_the_whole(generator, frames, chunk):
    mel = mel_of(frames)
    noise = None if generator.iterations else noise_of(7, 0, frames * 16)[None]
    with torch.no_grad():
        whole = generator(mel[None], noise)[0]
    made = CachedSynthesiser(generator, chunk)
    pieces = list(made.stream([mel], 7))
    torch.testing.assert_close(torch.cat(pieces), whole, atol=2e-6 * max(1.0, float(whole.abs().max())), rtol=0)
    assert whole.std() > 0.02
    reach = generator.shape.seen + (2 * generator.shape.window + 4) * 16
    assert max(map(len, pieces)) <= chunk * 16 + reach


@pytest.mark.parametrize("size", [1, 7])
def test_samples_are_the_same_to_the_bit_however_mels_arrive(generator, size):
    mel, made = mel_of(60), CachedSynthesiser(generator, 4)
    assert torch.equal(torch.cat(list(made.stream(mel.split(size, 1), 3))), made(mel, 3))


def test_a_causal_network_sounds_without_delay():
    torch.manual_seed(0)
    delays = {}
    for causal in (False, True):
        shape = replace(SHAPE, causal=causal)
        made, read = CachedSynthesiser(Generator(shape, MEL), 1), []
        next(made.stream(read.append(i) or mel_of(1) for i in range(50)))
        delays[causal] = len(read)
    assert delays == {True: 2, False: 6}  # one frame is held back until another comes
    network = Generator(replace(SHAPE, causal=True), MEL).eval()
    mel = mel_of(30)
    changed = torch.cat([mel[:, :20], mel[:, 20:] + 1], 1)
    first, second = (CachedSynthesiser(network)(x) for x in (mel, changed))
    assert torch.equal(first[: 20 * 16], second[: 20 * 16])
    assert not torch.equal(first[20 * 16 :], second[20 * 16 :])


def test_noise_depends_on_the_seed_and_the_place_alone():
    whole = noise_of(5, 0, 20_000)
    for start, count in ((0, 1), (4095, 2), (4096, 5000), (9000, 11_000)):
        assert torch.equal(noise_of(5, start, count), whole[start : start + count])
    assert abs(float(whole.mean())) < 0.03
    assert abs(float(whole.std()) - 1) < 0.03
    assert not torch.equal(noise_of(6, 0, 20_000), whole)
    assert len(torch.unique(whole)) > 19_000  # no block repeats another


def test_memory_does_not_grow_with_the_length(generator):
    made = CachedSynthesiser(generator, 4)
    run = None
    sizes = {}

    def watched():
        for i in range(80):
            yield mel_of(4)
            if i in (20, 79):
                sizes[i] = held(run)

    import polygan_audio.cached as module

    kept = module._Run.__init__

    def remember(self, how):
        nonlocal run
        kept(self, how)
        run = self

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module._Run, "__init__", remember)
        for _ in made.stream(watched()):
            pass
    assert sizes[79] <= 1.2 * sizes[20]


def held(run):
    """Numbers that a run keeps, the storage behind each tensor counted whole."""
    tensors = [*run.past, *run.sums, run.excitation, run.added]
    tensors += [value for value in vars(run.features).values() if torch.is_tensor(value)]
    return sum(t.untyped_storage().nbytes() for t in tensors)


def test_weights_of_now_are_heard(generator):
    made, mel = CachedSynthesiser(generator), mel_of(12)
    first = made(mel)
    changed = Generator(generator.shape, MEL, iterations=generator.iterations).eval()
    changed.load_state_dict(
        {k: v * 1.1 if v.is_floating_point() and "spec" not in k else v for k, v in generator.state_dict().items()}
    )
    made.refresh(changed)
    assert torch.equal(made(mel), CachedSynthesiser(changed)(mel))
    assert not torch.equal(made(mel), first)


def test_half_precision_is_close(generator):
    mel = mel_of(40)
    full, half = (CachedSynthesiser(generator, precision=precision)(mel) for precision in ("fp32", "bf16"))
    assert half.dtype == torch.float32
    assert ((full - half).norm() / full.norm()) < 0.2
    assert len(CachedSynthesiser(generator)(torch.zeros(8, 0))) == 0
