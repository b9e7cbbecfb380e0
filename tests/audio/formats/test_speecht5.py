"""HiFi-GAN in transformers: the same sound, and what that class cannot play."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

sys.path.insert(0, str(Path(__file__).parent))
from small_generators import MEL, SMALL3, made, noise, sound

from polygan import CheckpointError, ConfigError
from polygan_audio.formats import speecht5
from polygan_audio.networks import vocos as vocos_networks
from polygan_audio.networks.hifigan import VARIANTS, Generator


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
    with pytest.raises(CheckpointError, match="does not sound as its source"):
        speecht5.export_speecht5(made(), tmp_path / "hf")


def test_exports_leave_the_generator_as_it_was(tmp_path):
    pytest.importorskip("transformers")
    generator = made().train()
    before = {k: v.clone() for k, v in generator.state_dict().items()}
    speecht5.export_speecht5(generator, tmp_path / "hf")
    assert generator.training
    assert before.keys() == generator.state_dict().keys()
    assert all(torch.equal(v, before[k]) for k, v in generator.state_dict().items())
