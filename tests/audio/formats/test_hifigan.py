"""Weights of the official program: its golden waveform, and files that are not what they say."""

from __future__ import annotations

import json
import os
import pickle
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

import polygan

sys.path.insert(0, str(Path(__file__).parent))
from small_generators import AUDIO, SMALL, SMALL3, made, noise, sound

from polygan import CheckpointError, ConfigError
from polygan.training.weights import load_module
from polygan_audio.formats import comparison
from polygan_audio.formats.hifigan import import_hifigan
from polygan_audio.hifigan import Config, HiFiGAN
from polygan_audio.networks.discriminators import Discriminators, multi_period, multi_scale
from polygan_audio.networks.hifigan import Generator

GOLDEN = Path(__file__).parents[2] / "golden/hifigan"


def official(generator):
    """The state dict as the official code saves it: the weight norm of old."""
    names = {".parametrizations.weight.original0": ".weight_g", ".parametrizations.weight.original1": ".weight_v"}
    found = {}
    for key, value in generator.state_dict().items():
        for ours, theirs in names.items():
            key = key.replace(ours, theirs)
        found[key] = value.clone()
    del found["mel_spec"]
    return found


@cache
def usual():
    """The official state dict of `made()`, to be read only."""
    return official(made())


def files(folder, state=None, config=SMALL, name="g_00000010"):
    """An official checkpoint and its config.json."""
    path = folder / name
    torch.save({"generator": usual() if state is None else state}, path)
    (folder / "config.json").write_text(json.dumps(config))
    return path


def rebuilt(imported):
    """The recipe's generator with imported weights."""
    model = {k: tuple(v) if isinstance(v, list) else v for k, v in imported.model.items()}
    recipe = HiFiGAN(Config(**model), imported.info)
    generator = Generator(recipe.shape, recipe.mel)
    load_module(generator, imported.networks, "generator", "test")
    return generator.eval()


def test_the_official_generators_waveform(tmp_path):
    path = GOLDEN / "generator-v1-narrow.safetensors"
    config = json.loads(path.with_suffix(".json").read_text()) | AUDIO
    (tmp_path / "config.json").write_text(json.dumps(config))
    generator = rebuilt(import_hifigan(path, tmp_path / "config.json"))
    golden = load_file(path)
    got = sound(generator, golden["mel"])
    assert got.abs().max() > 1e-3
    assert (got - golden["waveform"][:, 0]).abs().max() < 1e-5


@pytest.mark.parametrize("config", [SMALL, SMALL3], ids=["v1", "v3"])
@pytest.mark.parametrize("kind", ["official", "before zip", "bare", "safetensors", "prefixed", "folded", "new names"])
def test_every_way_that_weights_are_kept(tmp_path, config, kind):
    source = made(config)
    path = files(tmp_path, official(source), config)
    if kind == "before zip":  # as torch 1.4 wrote the published ones
        torch.save({"generator": official(source)}, path, _use_new_zipfile_serialization=False)
    elif kind == "bare":
        torch.save(official(source), path)
    elif kind in ("safetensors", "prefixed"):
        path = tmp_path / "model.safetensors"
        prefix = "generator." if kind == "prefixed" else ""
        extra = {"mel": torch.zeros(2)} if prefix else {}
        save_file({prefix + k: v for k, v in official(source).items()} | extra, path)
    elif kind == "folded":
        torch.save({k: v for k, v in comparison.folded(source).state_dict().items() if k != "mel_spec"}, path)
    elif kind == "new names":
        torch.save({k: v for k, v in source.state_dict().items() if k != "mel_spec"}, path)
    mel = noise()
    expected = sound(source, mel)
    assert expected.std() > 1e-3
    assert (sound(rebuilt(import_hifigan(path)), mel) - expected).abs().max() < 1e-6


def test_a_folded_weight_of_zero_stays_zero_and_finite(tmp_path):
    state = {k: v for k, v in comparison.folded(made()).state_dict().items() if k != "mel_spec"}
    state["conv_pre.weight"][3] = 0
    generator = rebuilt(import_hifigan(files(tmp_path, state)))
    assert torch.equal(generator.conv_pre.weight[3], torch.zeros(80, 7))
    assert sound(generator, noise()).isfinite().all()


def test_the_front_end_is_the_configurations(tmp_path):
    config = SMALL | {
        "sampling_rate": 16000,
        "n_fft": 800,
        "win_size": 640,
        "fmin": 20,
        "fmax": None,
        "segment_size": 999,
    }
    imported = import_hifigan(files(tmp_path, config=config))
    mel = rebuilt(imported).mel
    assert (mel.sample_rate, mel.n_fft, mel.win_length, mel.hop_length, mel.fmin) == (16000, 800, 640, 256, 20)
    assert mel.top == 8000  # null is half the rate, not the preset's 8000 Hz ...
    assert (mel.padding, mel.epsilon, mel.scale, mel.log, mel.floor) == ("same", 1e-9, "slaney", "ln", 1e-5)
    assert imported.info == {"sample_rate": 16000, "segment": 768}
    high = import_hifigan(files(tmp_path, config=SMALL | {"fmax": None}))
    assert rebuilt(high).mel.top == 11025  # ... at any rate
    json.dumps([imported.model, imported.info])  # plain data


def test_an_imported_model_generates_as_a_run_does(tmp_path):
    written = polygan.import_weights("audio/hifigan", files(tmp_path), tmp_path / "imported")
    assert [p.name for p in written] == ["imported.safetensors", "imported.json"]
    run = polygan.load(written[0], device="cpu")
    mel = noise(frames=70) - 4  # no louder than sound can be
    np.save(tmp_path / "a.npy", mel[0].numpy())
    (wav,) = run.convert(tmp_path / "a.npy", tmp_path / "out")
    soundfile = pytest.importorskip("soundfile")
    got, rate = soundfile.read(wav, dtype="float32")
    assert rate == 22050
    assert np.abs(got - sound(made(), mel)[0].numpy()).max() < 1e-4  # 16 bits


class OfficialPeriod(nn.Module):
    """The official layout of a period's discriminator: time folded into rows of ``period`` columns."""

    def __init__(self, period, widths):
        super().__init__()
        norm = nn.utils.weight_norm
        self.period = period
        self.convs = nn.ModuleList(
            norm(nn.Conv2d(a, b, (5, 1), (3 if i < 4 else 1, 1), padding=(2, 0)))
            for i, (a, b) in enumerate(zip((1, *widths), widths, strict=False))
        )
        self.conv_post = norm(nn.Conv2d(widths[-1], 1, (3, 1), 1, padding=(1, 0)))

    def forward(self, x):
        b, c, t = x.shape
        if t % self.period:
            missing = self.period - t % self.period
            x, t = F.pad(x, (0, missing), "reflect"), t + missing
        x = x.view(b, c, t // self.period, self.period)
        for convolution in self.convs:
            x = F.leaky_relu(convolution(x), 0.1)
        return torch.flatten(self.conv_post(x), 1, -1)


class OfficialScale(nn.Module):
    def __init__(self, spectral, w):
        super().__init__()
        norm = nn.utils.spectral_norm if spectral else nn.utils.weight_norm
        layers = [(1, w, 15, 1, 1), (w, w, 41, 2, 4), (w, 2 * w, 41, 2, 16), (2 * w, 4 * w, 41, 4, 16)]
        layers += [(4 * w, 8 * w, 41, 4, 16), (8 * w, 8 * w, 41, 1, 16), (8 * w, 8 * w, 5, 1, 1)]
        self.convs = nn.ModuleList(norm(nn.Conv1d(a, b, k, s, groups=g, padding=k // 2)) for a, b, k, s, g in layers)
        self.conv_post = norm(nn.Conv1d(8 * w, 1, 3, 1, padding=1))

    def forward(self, x):
        for convolution in self.convs:
            x = F.leaky_relu(convolution(x), 0.1)
        return torch.flatten(self.conv_post(x), 1, -1)


def official_discriminators(divisor):
    torch.manual_seed(3)
    mpd, msd = nn.Module(), nn.Module()
    widths = [w // divisor for w in (32, 128, 512, 1024, 1024)]
    mpd.discriminators = nn.ModuleList(OfficialPeriod(p, widths) for p in (2, 3, 5, 7, 11))
    msd.discriminators = nn.ModuleList(OfficialScale(i == 0, 128 // divisor) for i in range(3))
    return mpd.eval(), msd.eval()


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
def test_discriminators_come_along_and_see_what_the_official_ones(tmp_path):
    mpd, msd = official_discriminators(8)
    path = files(tmp_path)
    state = {"mpd": mpd.state_dict(), "msd": msd.state_dict(), "steps": 10, "epoch": 0, "optim_d": {"state": {}}}
    torch.save(state, tmp_path / "do_00000010")
    networks = import_hifigan(path).networks
    assert sorted(networks) == ["discriminator", "generator"]
    discriminators = Discriminators({"periods": multi_period(8), "scales": multi_scale(8)}).eval()
    load_module(discriminators, networks, "discriminator", path)  # every name and shape
    x = 0.3 * torch.randn(2, 1, 4001, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours = [maps[-1] for maps in discriminators(x[:, 0])]
        theirs = [d(x) for d in mpd.discriminators]
        for i, d in enumerate(msd.discriminators):
            y = x
            for _ in range(i):
                y = F.avg_pool1d(y, 4, 2, padding=2)
            theirs.append(d(y))
    for a, b in zip(ours, theirs, strict=True):
        a = a.transpose(2, 3) if a.dim() == 4 else a
        assert b.std() > 0
        assert (a.flatten(1) - b).abs().max() < 1e-5 * max(1, float(b.abs().max()))
    torch.save({"mpd": mpd.state_dict()}, tmp_path / "do_00000010")
    with pytest.raises(CheckpointError, match=r"holds no msd.*move it away"):
        import_hifigan(path)


class Harmful:
    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return os.mkdir, (str(self.place),)


def plain_pickle(what, path, protocol=2):
    path.write_bytes(pickle.dumps(what, protocol=protocol))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize(
    ("save", "reason"),
    [
        (torch.save, "it asks for (posix|nt).mkdir"),
        (plain_pickle, "it asks for (posix|nt).mkdir"),
        (lambda what, path: plain_pickle(what, path, 4), "it is no pickle of torch"),
    ],
)
def test_a_pickle_with_code_is_refused_and_does_not_run(tmp_path, save, reason):
    path = files(tmp_path)
    save({"generator": Harmful(tmp_path / "harmed")}, path)
    with pytest.raises(CheckpointError, match=f"g_00000010 was refused: {reason}") as error:
        import_hifigan(path)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize("suffix", ["", ".safetensors"])
@pytest.mark.parametrize("damage", ["empty", "text", "cut"])
def test_damaged_files_are_one_line(tmp_path, suffix, damage):
    path = files(tmp_path, name=f"g_00000010{suffix}")
    if suffix:
        save_file(usual(), path)
    data = {"empty": b"", "text": b"<html>not found</html>\n" * 9, "cut": path.read_bytes()[:3000]}[damage]
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="g_00000010") as error:
        import_hifigan(path)
    assert "\n" not in str(error.value)


def test_a_damaged_file_of_old_is_one_line(tmp_path):
    """Its reader fails with struct.error, AssertionError and others, at every second place."""
    path = files(tmp_path)
    torch.save({"generator": usual()}, path, _use_new_zipfile_serialization=False)
    whole = path.read_bytes()
    for end in range(1, len(whole), 9001):
        path.write_bytes(whole[:end])
        with pytest.raises(CheckpointError, match="g_00000010") as error:
            import_hifigan(path)
        assert "\n" not in str(error.value)


def changed(**changes):
    state = dict(usual())
    for key, value in changes.items():
        if value is None:
            del state[key]
        else:
            state[key] = value
    return state


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (changed(**{"ups.1.weight_v": None}), r"ups\.1\.weight_g is missing|ups\.1\.weight_v is missing"),
        (changed(**{"conv_post.bias": None}), r"conv_post\.bias is missing|no place"),
        (
            changed(**{"conv_pre.weight_v": torch.zeros(16, 40, 7)}),
            r"conv_pre\.weight_v has the shape \(16, 40, 7\).*\(16, 80, 7\)",
        ),
        (changed(**{"resblocks.9.convs1.0.bias": torch.zeros(2)}), r"resblocks\.9\.convs1\.0\.bias has no place"),
        (changed(**{"conv_pre.bias": torch.full((16,), float("nan"))}), "NaN or infinite"),
        (
            changed(**{"conv_pre.bias": torch.zeros(16, dtype=torch.int64)}),
            "tensor of torch.int64 and not a tensor of floats",
        ),
        (changed(**{"conv_pre.bias": [1.0]}), "is a list and not a tensor"),
        ({}, "holds no tensors of a generator"),
        ([torch.zeros(1)], "holds no tensors of a generator"),
    ],
)
def test_tensors_that_make_no_generator_are_named(tmp_path, state, message):
    with pytest.raises(CheckpointError, match=message) as error:
        import_hifigan(files(tmp_path, state))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"sampling_rate": None}, ConfigError, "sampling_rate = None is not a whole number"),
        ({"num_mels": "80"}, ConfigError, "num_mels = 80 is not a whole number"),
        (
            {"num_mels": 10**6},
            CheckpointError,
            r"the weights have num_mels = 80, config.json says 1000000: conv_pre\.weight_v has the shape \(16, 80, 7\)",
        ),
        ({"n_fft": True}, ConfigError, "n_fft = True is not"),
        ({"hop_size": 250}, ConfigError, "8 x 8 x 4 = 256 do not give the 250 samples"),
        ({"fmax": 20000}, ConfigError, "over half the sample rate"),
        ({"fmin": -1}, ConfigError, "fmin = -1 is not a frequency"),
        ({"upsample_rates": [8, 8]}, ConfigError, "2 upsampling rates"),
        ({"upsample_rates": 8}, ConfigError, "upsample_rates = 8 is not a list"),
        ({"upsample_kernel_sizes": [16, 16, 7]}, ConfigError, "upsampling by 4 with kernel 7"),
        (
            {"upsample_initial_channel": 32},
            CheckpointError,
            r"weights have upsample_initial_channel = 16, config.json says 32: .* the configuration makes it",
        ),
        ({"upsample_initial_channel": 2**19}, CheckpointError, r"has the shape .* the configuration makes it"),
        ({"upsample_initial_channel": 2**30}, ConfigError, "is not a whole number from 1 to 1,000,000"),
        ({"resblock": "3"}, ConfigError, "resblock = 3 is not"),
        ({"resblock_kernel_sizes": [3, 5, 11]}, ConfigError, "no variant of the paper"),
        ({"resblock_dilation_sizes": [1, 3, 5]}, ConfigError, "not a list of lists"),
        ({k: v for k, v in SMALL3.items() if k.startswith("resblock")}, CheckpointError, "is missing|no place"),
    ],
)
def test_configurations_that_do_not_fit_are_named(tmp_path, changes, kind, message):
    path = files(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(SMALL | changes))
    with pytest.raises(kind, match=message) as error:
        import_hifigan(path)
    assert "\n" not in str(error.value)


def test_a_configuration_must_be_there_and_be_one(tmp_path):
    path = files(tmp_path)
    config = tmp_path / "config.json"
    config.write_text(json.dumps({k: v for k, v in SMALL.items() if k != "win_size"}))
    with pytest.raises(ConfigError, match="has no win_size"):
        import_hifigan(path)
    for text in ("[1]", "{", "[" * 100_000):
        config.write_text(text)
        with pytest.raises(ConfigError, match=r"config\.json (cannot be read|holds no settings)"):
            import_hifigan(path)
    config.unlink()
    with pytest.raises(CheckpointError, match=r"has no config\.json beside it"):
        import_hifigan(path)
    config.write_text(json.dumps(SMALL))
    with pytest.raises(CheckpointError, match="does not exist"):
        import_hifigan(tmp_path / "g_1")
