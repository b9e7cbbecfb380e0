"""Voice conversion: its turns, its data, what it refuses, and recordings that go through it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from small_voices import INFO, RATE, batch, conversion, trainer, voice

from polygan import ConfigError, Request, Samples, Sides, TrainerSettings
from polygan.game.sampling import seeded_noise
from polygan.testing import check_devices
from polygan.training.checkpoint import Checkpoints
from polygan_speech.conversion.baseline import match_statistics
from polygan_speech.conversion.settings import Sampling
from polygan_speech.conversion.voices import survey

THREE = INFO | {"classes": ["ann", "bob", "eve"]}


def state(played):
    return {
        f"{name}.{key}": value.clone()
        for name, network in played.networks(averaged=False).items()
        for key, value in network.state_dict().items()
    }


def known(**facts):
    """Facts of both speakers, over those of speakers of whom nothing is known."""
    plain = {"mel_mean": [-6.0] * 20, "mel_deviation": [2.0] * 20, "pitch_mean": 5.0, "pitch_deviation": 0.2}
    return {"voices": {n: plain | {k: v[i] for k, v in facts.items()} for i, n in enumerate(INFO["classes"])}}


def convert(recipe, networks, samples, **options):
    request = Request(len(samples), seeded_noise(0), Sampling(**options), torch.device("cpu"), samples)
    return recipe.generate({name: n.eval() for name, n in networks.items()}, request)


def test_the_parts_of_the_training_come_in_order():
    played = trainer(conversion(), batch())
    due = [[turn.name for turn in played.turns if turn.due(step)] for step in range(4)]
    assert due == [["recognise", "rebuild"]] * 3 + [["d", "g"]]
    seen = []
    for _ in range(5):
        before = state(played)
        played.iterate()
        after = state(played)
        changed = {key.partition(".")[0] for key in after if not torch.equal(before[key], after[key])}
        seen.append(changed)
    assert seen == [{"content", "generator"}] * 3 + [{"generator", "discriminator"}] * 2


def test_terms_of_the_game_are_all_there():
    played = trainer(conversion(), batch())
    for _ in range(4):
        played.iterate()
    terms = {name for name in played._meter.means() if name.startswith("g/")}
    wanted = ("converted", "cycle", "content", "rebuilt", "identity", "features")
    assert {f"g/{name}" for name in wanted} <= terms
    assert played._meter.means()["g/content"] > 0


def test_the_identity_term_ends_where_its_steps_end():
    recipe = conversion(identity_steps=4)
    played = trainer(recipe, batch())
    for step, kinds in ((3, 2), (4, 1)):
        played.context.step, played.context.cache = step, {}
        recipe.discriminator_loss(played.context, batch())
        assert len(played.context.cache["made"]) == kinds
        assert ("identity" in recipe.generator_loss(played.context, batch())) == (kinds == 2)


@pytest.mark.parametrize("stop", [1, 3, 5])
def test_stopped_and_resumed_is_the_same_to_the_bit_in_each_part(tmp_path, stop):
    def fresh():
        made = trainer(conversion(pretrain_steps=4, ema_half_life=20), batch(), steps=7)
        made.checkpoints = Checkpoints(tmp_path / "checkpoints", writable=True)
        return made

    played = fresh()
    for _ in range(stop):
        played.iterate()
    played.save()
    for _ in range(7 - stop):
        played.iterate()
    resumed = fresh()
    resumed.restore(resumed.checkpoints.load(stop))
    for _ in range(7 - stop):
        resumed.iterate()
    ours, theirs = state(played), state(resumed)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_all_turns_play_on_the_meta_device():
    check_devices(conversion(), batch())
    check_devices(conversion(INFO | {"symbols": ""}, mask=0.0, perturb=0.0), batch())


def test_without_transcripts_there_is_no_recogniser_and_a_note_says_so():
    recipe = conversion(INFO | {"symbols": ""})
    assert [*recipe.networks()] == ["generator", "discriminator"]
    assert [turn.name for turn in recipe.turns()] == ["rebuild", "d", "g"]
    told = recipe.notes(TrainerSettings(steps=100))
    assert any("no transcripts: there is no content term" in line for line in told)
    assert not any("no transcripts" in line for line in conversion().notes(TrainerSettings(steps=100)))


def test_notes_tell_the_pitches_and_a_run_that_ends_too_early():
    facts = known(pitch_mean=(np.log(200.0), np.log(100.0)))
    told = conversion(INFO | facts).notes(TrainerSettings(steps=3))
    assert "ann 200 Hz, bob 100 Hz" in told[0]
    assert "comes in at step 3 and this run ends at 3" in told[1]
    assert len(conversion(INFO | facts).notes(TrainerSettings(steps=4))) == 1


def test_one_speaker_and_segments_are_refused():
    with pytest.raises(ConfigError, match=r"has one speaker, ann; put .* --data.speakers folders"):
        conversion(INFO | {"classes": ["ann"]})
    with pytest.raises(ConfigError, match=r"has no speakers; put .* --data.speakers folders"):
        conversion({k: v for k, v in INFO.items() if k != "classes"})
    with pytest.raises(ConfigError, match=r"data.segment = 8192: .* type --data.segment 0"):
        conversion(INFO | {"segment": 8192})


def test_sides_go_to_the_other_speaker():
    recipe = conversion()
    assert recipe.sides(Sampling()) == Sides("ann", "bob")
    assert recipe.sides(Sampling(speaker="ann")) == Sides("bob", "ann")
    assert recipe.sides(Sampling(source="bob")) == Sides("bob", "ann")
    assert conversion(THREE).sides(Sampling(speaker="eve")) == Sides("ann", "eve")


def test_an_unknown_speaker_is_refused_with_the_names():
    for options, message in (
        ({"speaker": "bo"}, r"speaker = 'bo': no such speaker \(did you mean 'bob'\?\); there are ann, bob, eve"),
        ({"source": "x"}, r"source = 'x': no such speaker; there are ann, bob, eve"),
    ):
        with pytest.raises(ConfigError, match=message):
            conversion(THREE).sides(Sampling(**options))


def test_of_three_speakers_one_must_be_named_for_recordings_of_nobody_known():
    recipe = conversion(THREE)
    networks = recipe.networks()
    samples = Samples([voice(200.0, 1000)], extra={"sample_rate": RATE})
    with pytest.raises(ConfigError, match=r"name the speaker to convert to with --speaker; there are ann, bob, eve"):
        convert(recipe, networks, samples)
    assert len(convert(recipe, networks, samples, speaker="eve").data[0]) == 1000
    known = Samples([voice(200.0, 1000)], labels=torch.tensor([2]), extra={"sample_rate": RATE})
    assert len(convert(recipe, networks, known)) == 1


class Same(torch.nn.Module):
    """A generator that gives its input back."""

    def __init__(self, generator):
        super().__init__()
        self.inner = generator

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("inner"), name)

    def forward(self, mel, label, pitch):
        return mel


def test_conversion_by_an_identity_network_is_the_input():
    recipe = conversion()
    waveform = voice(200.0, 64 * 40 + 10)
    samples = Samples([waveform], names=["a"], extra={"sample_rate": RATE, "text": ["ha"]})
    made = convert(recipe, {"generator": Same(recipe.networks()["generator"])}, samples)
    wanted = recipe.mel(waveform)
    assert made.extra["mel"][0].shape[1] == 41
    assert torch.allclose(made.extra["mel"][0][:, :36], wanted[:, :36], atol=1e-4)
    assert made.data[0].shape == waveform.shape
    assert made.names == ["a"]
    assert made.extra["text"] == ["ha"]
    again = recipe.mel(made.data[0])[:, 4:36]
    assert (again - wanted[:, 4:36]).abs().mean() < 0.25, "Griffin-Lim's sound has the mel"


def test_a_file_in_pieces_gives_the_sound_of_the_whole():
    recipe = conversion()
    networks = {name: n.eval() for name, n in recipe.networks().items()}
    waveform = voice(200.0, 64 * 50 + 7)
    pieces = [Samples([part], names=["a"], extra={"sample_rate": RATE}) for part in waveform.split(1000)]
    request = Request(1, seeded_noise(0), Sampling(), torch.device("cpu"))
    made = torch.cat([piece.data[0] for piece in recipe.stream(networks, iter(pieces), request)])
    whole = convert(recipe, networks, Samples([waveform], extra={"sample_rate": RATE})).data[0]
    assert len(made) == 64 * 51
    assert torch.allclose(made[: len(whole)], whole, atol=1e-4)


def test_a_given_mel_and_a_very_short_recording_are_converted_and_another_rate_is_refused():
    recipe = conversion()
    networks = recipe.networks()
    mel = Samples([torch.zeros(0)], extra={"sample_rate": RATE, "mel": [recipe.mel(voice(200.0, 3200))]})
    assert convert(recipe, networks, mel).extra["mel"][0].shape == (20, 50)
    for samples in (1, 63, 65):
        made = convert(recipe, networks, Samples([voice(200.0, samples)], extra={"sample_rate": RATE}))
        assert len(made.data[0]) == samples
    with pytest.raises(ConfigError, match="recordings of 16000 Hz and a model of 8000 Hz"):
        convert(recipe, networks, Samples([voice(200.0, 900)], extra={"sample_rate": 16_000}))
    wrong = Samples([torch.zeros(0)], extra={"sample_rate": RATE, "mel": [torch.zeros(80, 50)]})
    with pytest.raises(ConfigError, match="a given mel has 80 bands, this model takes 20"):
        convert(recipe, networks, wrong)


class Rows:
    """A store and its split in one, as far as `survey` looks."""

    def __init__(self, clips, labels):
        self.store, self.rows, self.clips, self.labels = self, np.arange(len(clips)), clips, labels

    def gather(self, field, rows):
        assert field == "label"
        return torch.tensor(self.labels)[torch.from_numpy(rows)]

    def item(self, field, row):
        assert field == "waveform"
        return (self.clips[row] * 32767).round().to(torch.int16).numpy()


def test_the_survey_finds_the_pitch_and_the_mel_of_each_speaker():
    recipe = conversion()
    clips = [voice(200.0, 8000), voice(100.0, 8000), voice(220.0, 8000), voice(110.0, 40)]
    facts = survey(recipe.mel, Rows(clips, [0, 1, 0, 1]), ["ann", "bob", "eve"])
    ann, bob, eve = facts["voices"].values()
    assert np.exp([one["pitch_mean"] for one in (ann, bob, eve)]) == pytest.approx([210, 100, 150], rel=0.02)
    assert ann["pitch_deviation"] == pytest.approx(np.log(1.1) / 2, rel=0.2)
    own = torch.cat([recipe.mel(torch.cat([c, torch.zeros(512)]))[:, :125] for c in (clips[0], clips[2])], 1)
    assert ann["mel_mean"] == pytest.approx(own.mean(1).tolist(), abs=1e-3)
    assert ann["mel_deviation"] == pytest.approx(own.std(1, correction=0).clamp(min=0.1).tolist(), abs=1e-3)
    voices = conversion(THREE | facts).voices
    assert voices.mel_mean.shape == (3, 20)
    mean, deviation = voices.together
    assert torch.allclose(mean, voices.mel_mean.mean(0))
    assert (deviation >= voices.mel_deviation.amin(0)).all()
    other = conversion(INFO | {"classes": ["eve", "ann"]} | facts).voices
    assert torch.equal(other.mel_mean[1], voices.mel_mean[0]), "facts go by name"


def test_a_generator_begins_near_the_mean_of_its_speaker():
    facts = known(mel_mean=([-4.0] * 20, [-6.0] * 20), mel_deviation=([1.0] * 20, [0.5] * 20))
    generator = conversion(INFO | facts).networks()["generator"].eval()
    made = generator(torch.randn(2, 20, 9), torch.tensor([0, 1]), torch.zeros(2, 9))
    assert (made.mean((1, 2)) - torch.tensor([-4.0, -6.0])).abs().max() < 0.3


def test_the_baseline_gives_bands_the_other_mean_and_deviation():
    mel = 3 * torch.randn(4, 500) - 2
    mean, deviation = mel.mean(1), mel.std(1)
    made = match_statistics(mel, (mean, deviation), (torch.full((4,), -7.0), torch.full((4,), 0.5)))
    assert torch.allclose(made.mean(1), torch.full((4,), -7.0), atol=1e-4)
    assert torch.allclose(made.std(1), torch.full((4,), 0.5), atol=1e-4)


def test_weights_of_another_front_end_are_refused():
    from polygan import CheckpointError

    one, other = (conversion(n_fft=n).networks()["generator"] for n in (256, 512))
    with pytest.raises(CheckpointError, match="another mel front end: n_fft 256"):
        other.load_state_dict(one.state_dict())
