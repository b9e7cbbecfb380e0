"""WaveGAN: its turns against the formulas written out, augmentation, generation by class and pitch, what is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).parent))
from small_wavegan import INFO, MEL, NOTES, SAMPLES, batch, trainer, wavegan

from polygan import ConfigError, make_samples
from polygan.testing import check_devices
from polygan_audio import wavegan as module
from polygan_audio.shots.settings import Sampling

PLAIN = {"augment": "none", "phase_shuffle": 0}


def terms_of(recipe, steps=1):
    played = trainer(recipe)
    for _ in range(steps):
        played.iterate()
    return {name: value.item() for name, value in played._meter.means().items()}


def judged(recipe, given, label):
    """A fresh trainer's discriminator and generator, and what they say at the first step."""
    played = trainer(recipe)
    d, g = (played.actors[name].module for name in ("discriminator", "generator"))
    return d, g, d(given, label)


def test_terms_are_those_of_the_formulas():
    """-log s(D(x)) - log(1 - s(D(G(z)))), gamma / 2 |grad D|^2 with the weight of its rarity, and -log s(D(G(z)))."""
    recipe, given = wavegan(**PLAIN, gamma=3.0, learning_rate=1e-9), batch()
    d, _, logits = judged(recipe, given["waveform"], given["label"])
    found = terms_of(recipe)
    assert logits.shape == (2, 4)
    assert found["d/real"] == pytest.approx(F.softplus(-logits).mean().item(), rel=1e-4)
    assert found["d/r_t"] == pytest.approx(logits.sign().mean().item(), abs=1e-6)
    total = 0.0
    for member, view in zip(d.members.values(), d.views(given["waveform"]), strict=True):
        view = view.detach().requires_grad_()
        (slope,) = torch.autograd.grad(member(view, given["label"]).sum(), view)
        total += slope.square().flatten(1).sum(1).mean().item() * 3.0 / 2 * 2  # every second iteration
    assert found["r1/r1"] == pytest.approx(total / 2, rel=1e-4)
    fake = -torch.log(
        1 - torch.exp(-torch.tensor(found["d/fake"]))
    )  # nearly equal logits: softplus(-x) from softplus(x)
    assert found["g/adversarial"] == pytest.approx(fake.item(), rel=5e-2)


def test_the_paper_has_its_own_game():
    recipe = wavegan(loss="wgan-gp", learning_rate=1e-9)
    assert [(t.name, t.repeat, t.differentiates_twice) for t in recipe.turns()] == [("d", 5, True), ("g", 1, False)]
    found = terms_of(recipe)
    assert found["d/real"] + found["d/fake"] == pytest.approx(0, abs=0.5)
    assert found["g/adversarial"] == pytest.approx(-found["d/fake"], abs=0.2)
    assert 5 < found["d/wgan_gp"] <= 10.5  # slopes are near 0 at the start: 10 (0 - 1)^2
    assert "d/r_t" not in found
    assert [t.name for t in wavegan(gamma=0.0).turns()] == ["d", "g", "ada"]


def test_generator_and_discriminators_learn_the_kind_of_their_classes():
    """A few steps on a batch teach the discriminators to tell real sounds from made ones, and both game's sides move."""
    played = trainer(wavegan(learning_rate=2e-3))
    before = {name: [p.clone() for p in actor.module.parameters()] for name, actor in played.actors.items()}
    for _ in range(12):
        played.iterate()
    for name in ("generator", "discriminator"):
        after = played.actors[name].module.parameters()
        assert all(not torch.equal(a, b) for a, b in zip(before[name], after, strict=True)), name
    assert played._meter.means()["d/accuracy"].item() > 0.6


def test_both_networks_see_augmented_sounds_only(monkeypatch):
    seen = []

    def mark(sound, p, uniform, normal):
        seen.append(sound.shape)
        return sound * 0 + 0.25

    monkeypatch.setattr(module, "augment_waveform", mark)
    played = trainer(wavegan())
    watched = []
    member = played.actors["discriminator"].module.members["waveform"]
    member.register_forward_pre_hook(lambda _, args: watched.append(args[0]))
    played.iterate()
    assert len(seen) == len(watched) == 4  # real and fake, R1's real, the generator's fake
    assert all(bool((x == 0.25).all()) for x in watched)


def test_the_probability_of_augmentation_follows_the_signs():
    played = trainer(wavegan(augment_target=1e-6, augment_horizon=1000, learning_rate=2e-3))
    while played.step < 9:
        played.iterate()
    assert played._meter.means()["d/r_t"].item() > 0.1
    p = played.networks()["augmentation"].p.item()
    assert p == pytest.approx(3 * 4 * 4 / 1000, rel=1e-5) or p == pytest.approx(4 * 4 / 1000, rel=1e-5)
    assert "augmentation" not in wavegan(augment="none").networks()
    assert "augmentation" not in wavegan(loss="wgan-gp").networks()


@pytest.mark.parametrize("options", [{}, {"loss": "wgan-gp"}, MEL, {"upsample": "nearest"}])
def test_no_turn_reads_a_value_or_names_a_device(options):
    check_devices(wavegan(**options), batch())


def test_notes_are_made_at_the_pitch_that_is_asked_for():
    recipe = wavegan(NOTES, harmonics=4)
    networks = recipe.networks()
    assert networks["generator"].harmonics is not None
    assert wavegan(NOTES, harmonics=0).networks()["generator"].harmonics is None
    assert wavegan().networks()["generator"].harmonics is None
    by_pitch = make_samples(recipe, networks, 3, 0, Sampling(pitch="C4"))
    by_label = make_samples(recipe, networks, 3, 0, Sampling(label="C4"))
    assert by_pitch.labels.tolist() == [1, 1, 1]
    assert all(torch.equal(a, b) for a, b in zip(by_pitch.data, by_label.data, strict=True))
    assert "2 classes are notes: 4 sines" in recipe.notes(None)[0]


def test_sounds_have_their_length_rate_and_classes_in_turn():
    recipe = wavegan()
    made = make_samples(recipe, recipe.networks(), 5, 0)
    assert made.labels.tolist() == [0, 1, 0, 1, 0]
    assert made.class_names() == ["hat", "kick", "hat", "kick", "hat"]
    assert made.extra == {"sample_rate": 16_000, "encoding": "pcm16"}
    assert {clip.shape for clip in made.data} == {(SAMPLES,)}
    assert all(float(clip.abs().max()) < 1 for clip in made.data)
    without = wavegan({**INFO, "classes": []})
    assert make_samples(without, without.networks(), 2, 0).labels is None
    assert "no classes" in without.notes(None)[0]


def test_log_mels_become_sound_by_griffin_lim():
    recipe = wavegan(**MEL)
    made = make_samples(recipe, recipe.networks(), 2, 0)
    assert [clip.shape for clip in made.data] == [(SAMPLES,), (SAMPLES,)]
    assert all(clip.isfinite().all() for clip in made.data)
    assert recipe.mel.n_mels == 16
    assert not hasattr(wavegan(), "mel")  # scores of mels would take it for a recipe that makes mels
    with pytest.raises(ConfigError, match=r"vocoder = runs/x: this run makes samples, not mels"):
        make_samples(wavegan(), wavegan().networks(), 1, 0, Sampling(vocoder="runs/x"))


@pytest.mark.parametrize(
    ("info", "options", "message"),
    [
        ({"segment": 22_050}, {}, "data.segment = 22050 samples .* --data.segment 22528"),
        ({"segment": 0}, {}, "data.segment = 0 samples"),
        ({}, {"spectra": (300,)}, "model.spectra = 300 does not fit sounds of 1024 samples"),
        ({}, {"spectra": (2048,)}, "model.spectra = 2048 does not fit"),
        ({}, {"augment": "ada", "loss": "wgan-gp"}, "no meaning in model.loss = wgan-gp; use none"),
        ({"classes": []}, {"conditional": "yes"}, "needs data with two classes or more.*--data.speakers folders"),
        ({}, {**MEL, "hop_length": 100}, "no whole number of hops of 100"),
        ({}, {**MEL, "n_mels": 15}, "15 bands and 16 frames"),
    ],
)
def test_what_does_not_fit_is_refused(info, options, message):
    with pytest.raises(ConfigError, match=message):
        wavegan({**INFO, **info}, **options)
