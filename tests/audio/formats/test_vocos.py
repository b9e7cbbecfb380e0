"""Vocos of the official code: the sound of its equations, and files that are not what they say."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
import torchaudio
import yaml
from safetensors.torch import save_file
from torch import nn

import polygan
from polygan import CheckpointError, ConfigError
from polygan.training.weights import load_module
from polygan_audio.formats.vocos import import_vocos
from polygan_audio.vocos import Config, Vocos

DIM, HIDDEN, BLOCKS, N_FFT, HOP, BANDS = 16, 24, 2, 256, 64, 20
CONFIG = {
    "feature_extractor": {
        "class_path": "vocos.feature_extractors.MelSpectrogramFeatures",
        "init_args": {"sample_rate": 16_000, "n_fft": N_FFT, "hop_length": HOP, "n_mels": BANDS, "padding": "center"},
    },
    "backbone": {
        "class_path": "vocos.models.VocosBackbone",
        "init_args": {"input_channels": BANDS, "dim": DIM, "intermediate_dim": HIDDEN, "num_layers": BLOCKS},
    },
    "head": {
        "class_path": "vocos.heads.ISTFTHead",
        "init_args": {"dim": DIM, "n_fft": N_FFT, "hop_length": HOP, "padding": "center"},
    },
}


class Block(nn.Module):
    """The official ConvNeXtBlock."""

    def __init__(self):
        super().__init__()
        self.dwconv = nn.Conv1d(DIM, DIM, 7, padding=3, groups=DIM)
        self.norm = nn.LayerNorm(DIM, eps=1e-6)
        self.pwconv1, self.pwconv2 = nn.Linear(DIM, HIDDEN), nn.Linear(HIDDEN, DIM)
        self.gamma = nn.Parameter(torch.full((DIM,), 0.5))

    def forward(self, x):
        y = self.norm(self.dwconv(x).transpose(1, 2))
        return x + (self.gamma * self.pwconv2(F.gelu(self.pwconv1(y)))).transpose(1, 2)


class Official(nn.Module):
    """The official Vocos by its equations and names."""

    def __init__(self):
        super().__init__()
        self.backbone, self.head = nn.Module(), nn.Module()
        self.backbone.embed = nn.Conv1d(BANDS, DIM, 7, padding=3)
        self.backbone.norm = nn.LayerNorm(DIM, eps=1e-6)
        self.backbone.convnext = nn.ModuleList(Block() for _ in range(BLOCKS))
        self.backbone.final_layer_norm = nn.LayerNorm(DIM, eps=1e-6)
        self.head.out = nn.Linear(DIM, N_FFT + 2)

    def forward(self, mel):
        b = self.backbone
        x = b.norm(b.embed(mel).transpose(1, 2)).transpose(1, 2)
        for block in b.convnext:
            x = block(x)
        magnitude, phase = self.head.out(b.final_layer_norm(x.transpose(1, 2))).transpose(1, 2).chunk(2, 1)
        spectrum = magnitude.exp().clip(max=100) * torch.exp(1j * phase)
        return torch.istft(spectrum, N_FFT, HOP, N_FFT, torch.hann_window(N_FFT), center=True)


@pytest.fixture
def official():
    torch.manual_seed(0)
    model = Official().eval().requires_grad_(False)
    for tensor in model.parameters():
        if tensor.dim() > 1:
            tensor.normal_(0, 0.3)
    return model


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    return tmp_path


def saved(folder, model, wrap=lambda state: state):
    """What the official files hold: constants of the front end too."""
    state = model.state_dict() | {
        "feature_extractor.mel_spec.mel_scale.fb": torch.ones(2, 2),
        "head.istft.window": torch.ones(4),
    }
    torch.save(wrap(state), folder / "pytorch_model.bin")
    return folder / "pytorch_model.bin"


def networks(found):
    recipe = Vocos(Config(**found.model), found.info)
    generator = recipe.networks()["generator"]
    load_module(generator, found.networks, "generator", "x")
    return recipe, generator.eval()


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state | {"multiperioddisc.w": torch.ones(1)}, "epoch": 3},
        lambda state: {f"module.{k}": v for k, v in state.items()},
    ],
)
def test_official_weights_make_the_official_sound(folder, official, wrap):
    recipe, generator = networks(import_vocos(saved(folder, official, wrap)))
    sound = 0.1 * torch.randn(1, 64 * 30)
    mel = torchaudio.transforms.MelSpectrogram(16_000, N_FFT, hop_length=HOP, n_mels=BANDS, power=1)(sound)
    mel = mel.clip(min=1e-7).log()
    torch.testing.assert_close(recipe.mel(sound), mel, atol=1e-4, rtol=1e-4)
    expected = official(mel)
    assert expected.std() > 0.01
    with torch.no_grad():
        made = generator(mel)[:, : expected.shape[1]]
    torch.testing.assert_close(made, expected, atol=1e-5 * float(expected.abs().max()), rtol=1e-4)


def test_the_command_writes_a_model_that_opens(folder, official, monkeypatch):
    monkeypatch.chdir(folder)
    saved(folder, official)
    from polygan.runs.exported import import_weights

    import_weights("audio/vocos", "pytorch_model.bin", "vocoder.safetensors")
    run = polygan.load("vocoder.safetensors")
    assert run.recipe.config.prior == "none"
    assert run.recipe.mel.sample_rate == 16_000
    save_file(official.state_dict(), folder / "b.safetensors")
    import_weights("audio/vocos", "b.safetensors", "other.safetensors")
    mel = torch.randn(1, BANDS, 9)
    with torch.no_grad():
        one, two = (polygan.load(n).networks["generator"](mel) for n in ("vocoder.safetensors", "other.safetensors"))
    assert torch.equal(one, two)


@pytest.mark.parametrize(
    ("group", "change", "words"),
    [
        ("feature_extractor", {"class_path": "vocos.feature_extractors.EncodecFeatures"}, "the Vocos that takes mels"),
        ("head", {"class_path": "vocos.heads.IMDCTCosHead"}, "the head with an inverse STFT"),
        ("feature_extractor", {"padding": "same"}, "feature_extractor has padding = same"),
        ("head", {"padding": "same"}, "head has padding = same"),
        ("head", {"n_fft": 512}, "n_fft of the head is 512 and of the mels 256"),
        ("backbone", {"adanorm_num_embeddings": 4}, "plain layer norms"),
        ("backbone", {"dim": 17}, r"dim of the head is not the backbone's 17"),
        ("backbone", {"num_layers": "8"}, "num_layers = 8 is not a whole number"),
        ("backbone", {"num_layers": 5000}, "no network that anybody trained"),
        ("backbone", {"intermediate_dim": 25}, "the configuration makes it"),
        ("backbone", {"num_layers": 3}, "is missing; the file is no Vocos of that size"),
        ("backbone", {"num_layers": 1}, "has no place in the network"),
    ],
)
def test_a_vocos_of_another_kind_is_named(folder, official, group, change, words):
    config = copy.deepcopy(CONFIG)
    for key, value in change.items():
        (config[group] if key == "class_path" else config[group]["init_args"])[key] = value
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises((ConfigError, CheckpointError), match=words):
        import_vocos(saved(folder, official))


def test_files_that_hold_something_else_are_refused(folder, official, tmp_path):
    torch.save({"conv.weight": torch.ones(2)}, folder / "a.bin")
    with pytest.raises(CheckpointError, match=r"holds no backbone\.\* and head\.\*"):
        import_vocos(folder / "a.bin")
    (folder / "config.yaml").write_text("- 1\n")
    with pytest.raises(ConfigError, match="feature_extractor is None"):
        import_vocos(saved(folder, official))
    (folder / "config.yaml").unlink()
    with pytest.raises(CheckpointError, match=r"has no config\.yaml beside it"):
        import_vocos(folder / "a.bin")
