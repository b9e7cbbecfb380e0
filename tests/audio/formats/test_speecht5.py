"""HiFi-GAN in transformers: the same sound, and what that class cannot play."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

sys.path.insert(0, str(Path(__file__).parent))
from small_generators import MEL, SMALL3, made, noise, sound

from polygan import CheckpointError, ConfigError
from polygan.training.weights import load_module
from polygan_audio.formats import speecht5
from polygan_audio.formats.either_hifigan import import_either
from polygan_audio.hifigan import Config, HiFiGAN
from polygan_audio.networks import vocos as vocos_networks
from polygan_audio.networks.hifigan import VARIANTS, Generator
from polygan_audio.networks.melspec import PRESETS


@pytest.mark.parametrize("variant", ["v1", "v2"])
def test_transformers_plays_the_same(tmp_path, variant):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    channels = 64 if variant == "v1" else 128  # the shape of V1, which is V2's at 512 channels
    generator = Generator(dataclasses.replace(VARIANTS[variant], channels=channels), MEL).eval()
    generator.load_state_dict(generator.state_dict())
    with torch.no_grad():
        for name, p in generator.named_parameters():
            if name.endswith("original0"):
                p.mul_(20 if "resblocks" in name or "ups" in name else 1)
    written = speecht5.export_speecht5(generator, tmp_path / "hf")
    assert [p.name for p in written] == ["config.json", "mel.json", "model.safetensors"]
    theirs = transformers.SpeechT5HifiGan.from_pretrained(tmp_path / "hf")
    mel = noise(17, batch=2)
    expected = sound(generator, mel)
    assert expected.std() > 1e-3
    with torch.no_grad():
        assert (theirs(mel.transpose(1, 2)) - expected).abs().max() < 1e-5
    assert json.loads(written[1].read_text())["epsilon"] == 1e-9
    assert not any("weight_g" in k or "original" in k for k in load_file(written[2]))


def test_transformers_takes_no_v3_and_nothing_but_hifigan(tmp_path):
    pytest.importorskip("transformers")
    with pytest.raises(ConfigError, match=r"V3 has single ones \(ResBlock2\); export V1 or V2"):
        speecht5.export_speecht5(made(SMALL3), tmp_path / "hf")
    with pytest.raises(ConfigError, match=r"takes generators of audio/hifigan; this is .*networks\.vocos\.Generator"):
        speecht5.export_speecht5(vocos_networks.Generator(MEL, 8, 16, 1), tmp_path / "hf")
    assert not (tmp_path / "hf").exists()


def test_an_export_that_sounds_otherwise_is_refused(tmp_path, monkeypatch):
    pytest.importorskip("transformers")
    monkeypatch.setattr(speecht5, "SLOPE", 0.2)  # as if the two had drifted apart
    with pytest.raises(CheckpointError, match="samples differ by"):
        speecht5.export_speecht5(made(), tmp_path / "hf")


def test_exports_leave_the_generator_as_it_was(tmp_path):
    pytest.importorskip("transformers")
    generator = made().train()
    before = {k: v.clone() for k, v in generator.state_dict().items()}
    speecht5.export_speecht5(generator, tmp_path / "hf")
    assert generator.training
    assert before.keys() == generator.state_dict().keys()
    assert all(torch.equal(v, before[k]) for k, v in generator.state_dict().items())


# Import


def folder_of(path, **config):
    """A folder as transformers saves it, with random weights of a sound."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    sizes = {"upsample_initial_channel": 16, "upsample_rates": [8, 8, 4], "upsample_kernel_sizes": [16, 16, 8]}
    theirs = transformers.SpeechT5HifiGan(transformers.SpeechT5HifiGanConfig(**{**sizes, **config})).eval()
    with torch.no_grad():
        theirs.mean.normal_(-2, 1)
        theirs.scale.uniform_(0.5, 2)
        for name, p in theirs.named_parameters():
            p.normal_(0, 0.02 if name.endswith("bias") else 0.15)
    theirs.save_pretrained(path)
    return theirs.requires_grad_(False)


def opened(found):
    recipe = HiFiGAN(Config(**found.model), found.info)
    generator = recipe.networks()["generator"]
    load_module(generator, found.networks, "generator", "x")
    return recipe, generator.eval()


@pytest.mark.parametrize("normalised", [True, False])
def test_a_folder_of_transformers_makes_the_same_sound(tmp_path, normalised):
    """At both ends too, where the convolutions see zeros behind normalised mels."""
    theirs = folder_of(tmp_path / "hf", normalize_before=normalised)
    recipe, generator = opened(import_either(tmp_path / "hf"))
    assert recipe.config.normalised == normalised
    assert recipe.mel == PRESETS["speecht5"]
    mel = noise(12, batch=2) - 2
    expected = theirs(mel.transpose(1, 2))
    assert expected.std() > 1e-3
    assert (sound(generator, mel) - expected).abs().max() < 1e-5
    written = speecht5.export_speecht5(generator, tmp_path / "again")
    assert json.loads(written[0].read_text())["normalize_before"] == normalised
    again = opened(import_either(tmp_path / "again"))[1]
    torch.testing.assert_close(sound(again, mel), sound(generator, mel), atol=1e-6, rtol=0)


def test_an_exported_folder_comes_back_with_its_front_end(tmp_path):
    pytest.importorskip("transformers")
    generator = made()
    speecht5.export_speecht5(generator, tmp_path / "hf")
    recipe, again = opened(speecht5.import_speecht5(tmp_path / "hf"))
    assert not recipe.mel.differences(MEL.facts())
    torch.testing.assert_close(sound(again, noise()), sound(generator, noise()), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"leaky_relu_slope": 0.2}, r"leaky_relu_slope = 0\.2 is not 0\.1"),
        ({"model_in_dim": 81}, "num_mels = 80, config.json says 81|has the shape"),
        ({"upsample_rates": [8, 8]}, "upsampl"),
        ({"model_in_dim": None}, "model_in_dim = None is not a whole number"),
    ],
)
def test_a_configuration_that_does_not_fit_is_named(tmp_path, change, words):
    folder_of(tmp_path / "hf")
    place = tmp_path / "hf/config.json"
    place.write_text(json.dumps(json.loads(place.read_text()) | change))
    with pytest.raises((ConfigError, CheckpointError), match=words):
        speecht5.import_speecht5(tmp_path / "hf")


def test_a_folder_that_holds_something_else_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"holds no model\.safetensors or pytorch_model\.bin"):
        import_either(tmp_path)
    folder_of(tmp_path / "hf")
    state = load_file(tmp_path / "hf/model.safetensors")
    save_file({k: v for k, v in state.items() if k != "mean"}, tmp_path / "hf/model.safetensors")
    with pytest.raises(CheckpointError, match="mean is not 80 numbers, and the configuration has normalize_before"):
        import_either(tmp_path / "hf")
    save_file(state | {"scale": torch.zeros(80)}, tmp_path / "hf/model.safetensors")
    with pytest.raises(CheckpointError, match="scale of the mels is not above 0"):
        import_either(tmp_path / "hf")
    (tmp_path / "hf/mel.json").write_text('{"sample_rate": 16000, "hop": 1}')
    with pytest.raises(ConfigError, match=r"mel\.json does not describe a mel front end"):
        import_either(tmp_path / "hf")
    (tmp_path / "hf/config.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"is of no transformers\.SpeechT5HifiGan"):
        import_either(tmp_path / "hf")
