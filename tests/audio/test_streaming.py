"""Sound while its mels still come: the same as of the whole, as early as the delay says, and what is refused."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from small_vocoders import INFO, hifigan, small_vocos

from polygan import ConfigError, DataError, Samples, make_samples
from polygan_audio.parallel_wavegan import Config, ParallelWaveGAN
from polygan_audio.streaming import delay, stream
from polygan_audio.vocoder import Sampling

PWG = {"mel": "hifigan", "layers": 4, "stacks": 2, "channels": 8, "discriminator_channels": 4}
MAKE = {
    "hifigan": hifigan,
    "vocos": lambda: small_vocos(prior="pseudo-inverse"),
    "wavegan": lambda: ParallelWaveGAN(Config(**PWG), INFO | {"segment": 8192}),
    "griffin-lim": lambda: ParallelWaveGAN(
        Config(**PWG, excitation="griffin-lim", iterations=1), INFO | {"segment": 8192}
    ),
    "streaming": lambda: ParallelWaveGAN(Config(mel="hifigan", size="streaming"), INFO | {"segment": 8192}),
}


@pytest.fixture(scope="module", params=sorted(MAKE))
def run(request):
    """What `polygan.load` gives, as far as streams look at it."""
    torch.manual_seed(0)
    recipe = MAKE[request.param]()
    networks = recipe.networks()
    for network in networks.values():
        network.eval().requires_grad_(False)
    return SimpleNamespace(
        recipe=recipe, networks=networks, folder=Path("runs/x"), settings=SimpleNamespace(recipe="x")
    )


def mel_of(frames):
    return torch.randn(80, frames, generator=torch.Generator().manual_seed(frames)) - 4


def whole(run, mel, seed=0):
    given = Samples([torch.zeros(0)], extra={"sample_rate": 16_000, "mel": [mel]})
    return make_samples(run.recipe, run.networks, 1, seed, Sampling(), given=given).data[0]


@pytest.mark.parametrize("latency", ["usual", "low"])
def test_pieces_are_the_sound_of_the_joined_mels(run, latency):
    mel = mel_of(90)
    pieces = [*stream(run, [part.numpy() for part in mel.split([1, 1, 40, 48], 1)], seed=5, latency=latency)]
    made, expected = torch.cat(pieces), whole(run, mel, 5)
    assert made.dtype == torch.float32
    torch.testing.assert_close(made, expected, atol=1e-5 * max(1.0, float(expected.abs().max())), rtol=0)
    assert len(made) == 90 * 256
    assert len(pieces) > 1 or latency == "usual"


def test_no_sound_comes_later_than_the_delay_says(run):
    """Frame by frame: with low latency the worst frame waits as long, or one frame less."""
    heard, waited, done = 0, [], 0

    def frames():
        nonlocal heard
        for column in mel_of(120).split(1, 1):
            heard += 1
            yield column
        heard = 10_000  # the end: everything comes out

    for piece in stream(run, frames(), latency="low"):
        if heard == 10_000:
            break
        waited.append(heard - done // 256)  # frames heard since the one whose sound comes next, that one among them
        done += len(piece)
    promised = round(delay(run, latency="low") * 16_000 / 256)
    assert promised - 1 <= max(waited) <= promised
    assert delay(run) > delay(run, latency="low")


def test_the_streaming_size_waits_for_two_frames():
    recipe = MAKE["streaming"]()
    run = SimpleNamespace(recipe=recipe, networks=recipe.networks())
    assert delay(run, latency="low") == 2 * 256 / 16_000
    assert recipe.shape.causal


def test_what_is_no_mel_of_the_vocoder_is_refused(run):
    with pytest.raises(
        DataError, match=r"mel 1 of the stream has the shape \[81, 3\]; this vocoder takes \[80, frames\]"
    ):
        [*stream(run, [mel_of(3), torch.zeros(81, 3)])]
    with pytest.raises(DataError, match="not finite"):
        [*stream(run, [mel_of(3) * torch.nan])]
    with pytest.raises(ConfigError, match=r"unknown option 'latenzy' of a stream \(did you mean 'latency'\?\)"):
        stream(run, [], latenzy="low")
    other = SimpleNamespace(recipe=object(), folder="runs/a", settings=SimpleNamespace(recipe="audio/wavegan"))
    with pytest.raises(ConfigError, match="is of audio/wavegan, which is no vocoder"):
        stream(other, [])
    assert [*stream(run, [])] == []
