"""Speech from text: its terms, its turns, what it refuses, and what it speaks."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from small_speech import INFO, batch_of, speech, trainer

from polygan import ConfigError, Samples, TrainerSettings
from polygan.game.sampling import make_samples, stream_samples
from polygan.testing import check_devices
from polygan_speech.recordings import prosody_of, recorded
from polygan_speech.settings import Sampling
from polygan_speech.text.domain import SentenceDomain

SPEAKERS = {**INFO, "classes": ["ann", "bob"], "pitch_mean": [5.0, 5.3], "pitch_deviation": [0.2, 0.3]}
LANGUAGES = {**SPEAKERS, "spoken_in": {"en": {"bead": "bed"}, "it": {"bead": "babe"}}}


def built(recipe):
    torch.manual_seed(0)
    return recipe.networks()


def sentences(*texts):
    return Samples(list(texts), SentenceDomain())


def heard(recipe, networks, batch):
    transcripts = networks["aligner"].transcripts
    return recorded(batch, recipe.mel, networks["generator"], transcripts, recipe.end, speakers=False)


def test_a_clip_is_heard_the_same_in_any_batch():
    recipe = speech()
    networks = built(recipe)
    alone, among = (heard(recipe, networks, batch_of(texts)) for texts in (["deed"], ["deed", "a bad ace"]))
    frames, tokens = int(alone.frames[0]), int(alone.tokens[0])
    assert (frames, tokens) == (25, 6)
    assert torch.equal(alone.mel[0], among.mel[0, :, :frames])
    assert not among.mel[0, :, frames:].any()
    assert torch.equal(alone.pitch[0], among.pitch[0, :frames])
    assert torch.equal(alone.ids[0, :6], among.ids[0, :6])
    assert among.ids[0].tolist() == [recipe.end, *recipe.spelling.alphabet.encode("deed"), recipe.end, 0, 0, 0, 0, 0]


def test_pitch_and_energy_are_means_of_the_frames_of_a_symbol():
    recipe = speech()
    found = heard(recipe, built(recipe), batch_of(["ae"]))
    said = torch.zeros(1, 12, 4)
    said[0, :6, 1], said[0, 6:, 2] = 1, 1
    prosody = prosody_of(said, found)
    assert prosody.duration[0].expm1().tolist() == pytest.approx([0, 6, 6, 0])
    inner = [(found.pitch[0, a:b].sum() / found.voiced[0, a:b].sum()).item() for a, b in ((0, 6), (6, 12))]
    assert prosody.pitch[0, 1:3].tolist() == pytest.approx(inner)
    assert prosody.pitch[0, 2] > prosody.pitch[0, 1]  # 240 Hz against 120
    assert prosody.energy[0, 1].item() == pytest.approx(found.mel[0, :, :6].mean().item(), abs=1e-6)


def test_terms_do_not_depend_on_the_padding_of_a_batch():
    recipe = speech(dropout=0.0)
    one, wide = batch_of(["deed", "cab bed"]), batch_of(["deed", "cab bed"], width=6000)
    play = trainer(recipe, one)
    terms = [recipe.spectral_loss(play.context, batch) for batch in (one, wide)]
    assert terms[0].keys() == {"mel", "duration", "pitch", "energy", "align"}
    for name in terms[0]:
        assert terms[0][name].item() == pytest.approx(terms[1][name].item(), rel=1e-5), name


def test_terms_are_means_over_clips():
    recipe = speech(dropout=0.0)
    play = trainer(recipe, batch_of(["deed", "cab bed"]))
    both, *alone = (
        recipe.spectral_loss(play.context, batch_of(t)) for t in (["deed", "cab bed"], ["deed"], ["cab bed"])
    )
    # the clip "cab bed" has other noise alone, whose mel is nearly the same
    for name in ("mel", "align"):
        assert both[name].item() == pytest.approx((alone[0][name] + alone[1][name]).item() / 2, rel=0.05)


def test_a_clip_that_is_too_short_for_its_transcript_teaches_nothing():
    recipe = speech(dropout=0.0, pretrain_steps=0)
    batch = batch_of(["a", ""][:1] + ["deed"])
    batch["text"] = torch.cat([batch["text"], torch.zeros(2, 30, dtype=torch.uint8)], 1)
    batch["text"][0, :30], batch["text_length"][0] = ord("a"), 30
    play = trainer(recipe, batch)
    networks = {name: play.context[name] for name in ("generator", "aligner")}
    terms = recipe.spectral_loss(play.context, batch)
    alone = recipe.spectral_loss(play.context, {name: value[1:] for name, value in batch.items()})
    assert terms["mel"].item() == pytest.approx(alone["mel"].item() / 2, rel=1e-5)
    assert heard(recipe, {**networks}, batch).usable.tolist() == [0, 1]
    play.iterate()
    assert all(p.isfinite().all() for network in networks.values() for p in network.parameters())


def test_the_aligner_comes_first_then_spectra_then_the_game():
    turns = speech(align_steps=3, pretrain_steps=5).turns()
    assert [(t.name, t.players, t.start, t.stop) for t in turns] == [
        ("align", ("aligner",), 0, 3),
        ("pretrain", ("generator", "aligner"), 3, 5),
        ("d", ("discriminator",), 5, None),
        ("g", ("generator", "aligner"), 5, None),
    ]
    assert [t.name for t in speech(align_steps=0, pretrain_steps=5).turns()] == ["pretrain", "d", "g"]
    assert [t.name for t in speech(align_steps=9, pretrain_steps=5).turns()] == ["align", "d", "g"]
    assert [t.name for t in speech(pretrain_steps=0).turns()] == ["d", "g"]


def test_feature_matching_weighs_as_much_as_the_difference_of_mels():
    recipe = speech(pretrain_steps=0)
    batch = batch_of(["deed", "cab bed"])
    play = trainer(recipe, batch)
    context = play.context
    recipe.discriminator_loss(context, batch)
    terms = recipe.generator_loss(context, batch)
    assert terms["features"].item() == pytest.approx(terms["mel"].item(), rel=1e-4)
    assert speech(pretrain_steps=0, feature_weight=0.0).config.feature_weight == 0


def test_training_lowers_the_difference_of_mels_and_of_alignments():
    recipe = speech(align_steps=0, pretrain_steps=10_000, learning_rate=3e-3)
    batch = batch_of(["abcab", "deed", "cab bed", "decade"])
    play = trainer(recipe, batch, steps=1000)
    first = recipe.spectral_loss(play.context, batch)
    for _ in range(25):
        play.iterate()
    last = recipe.spectral_loss(play.context, batch)
    assert last["mel"] < 0.8 * first["mel"]
    assert last["align"] < 0.8 * first["align"]


def test_rates_rise_and_fall():
    recipe = speech(pretrain_steps=50, warmup=10)
    players = recipe.players(built(recipe), TrainerSettings(steps=101))  # of which the first is the aligner's
    rate = players["generator"].scheduler.lr_lambdas[0]
    assert rate(0) == pytest.approx(1 / 11)
    assert rate(10) > 0.9
    assert rate(100) == pytest.approx(0)
    assert players["discriminator"].scheduler.lr_lambdas[0](51) == pytest.approx(0)


def test_the_network_with_attention_learns_in_every_turn_and_speaks():
    recipe = speech({**INFO, "mel_mean": [-5.0] * 20, "mel_deviation": [2.0] * 20}, decoder="attention")
    play = trainer(recipe, batch_of(["deed", "cab bed"]))
    before = [p.detach().clone() for p in play.context["generator"].parameters()]
    for _ in range(3):
        play.iterate()
    terms = play._meter.means()
    assert {"align/align", "pretrain/guide", "pretrain/stop", "g/post", "g/adversarial"} <= terms.keys()
    assert all(value.isfinite() for value in terms.values())
    assert any(not torch.equal(a, b) for a, b in zip(before, play.context["generator"].parameters(), strict=True))
    given = sentences("deed")
    torch.nn.init.constant_(play.context["generator"].network.decoder.gate_layer.bias, -20)  # else it stops at once
    one, two, other = (make_samples(recipe, play.networks(), 0, seed, given=given) for seed in (1, 1, 2))
    assert torch.equal(one.extra["mel"][0], two.extra["mel"][0])
    assert not torch.equal(one.extra["mel"][0], other.extra["mel"][0])  # the prenet's dropout
    check_devices(recipe, batch_of(["deed", "cab bed"]))


@pytest.mark.parametrize(("info", "language"), [(INFO, "en"), (SPEAKERS, "en"), (LANGUAGES, "en,it")])
def test_every_turn_plays_on_the_meta_device(info, language):
    recipe = speech(info, language=language)
    check_devices(recipe, batch_of(["deed", "cab bed"], [0, 1] if info is not INFO else None))


@pytest.mark.parametrize("decoder", ["parallel", "attention"])
def test_two_speakers_of_two_languages_learn_with_one_model(decoder):
    recipe = speech(LANGUAGES, language="en,it", decoder=decoder, pretrain_steps=50)
    batch = batch_of(["bead", "bead"], [0, 1])
    play = trainer(recipe, batch)
    said = recipe._hear(play.context, batch)
    inner = slice(1, 4) if decoder == "parallel" else slice(0, 3)
    encode = recipe.spelling.alphabet.encode
    assert [row[inner] for row in said.ids.tolist()] == [encode("bed"), encode("babe")[:3]]
    assert said.language.tolist() == [0, 1]
    rows = play.context["generator"].network.languages.weight
    before = rows.detach().clone()
    for _ in range(2):
        play.iterate()
    assert all(value.isfinite() for value in play._meter.means().values())
    assert (rows != before).any(1).all()


def test_one_language_for_each_of_two_speakers_is_the_same_as_one_for_both():
    one, two = (speech(SPEAKERS, language=language) for language in ("en", "en,en"))
    states = [built(recipe)["generator"].state_dict() for recipe in (one, two)]
    assert states[0].keys() == states[1].keys()
    assert not any("languages" in name for name in states[0])
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_given_mels_are_taken_instead_of_those_of_the_waveform():
    recipe = speech()
    networks = built(recipe)
    batch = batch_of(["deed"])
    mel = torch.randn(1, 20, 25)
    found = heard(recipe, networks, {**batch, "mel": mel, "mel_length": torch.tensor([24])})
    assert found.frames.tolist() == [24]
    assert torch.equal(found.mel[..., :24], mel[..., :24])
    with pytest.raises(ConfigError, match="n_mels = 80, the front end has 20"):
        speech({**INFO, "n_mels": 80})


@pytest.mark.parametrize(
    ("info", "options", "message"),
    [
        ({**INFO, "segment": 8192}, {}, "use --data.segment 0"),
        ({"sample_rate": 8000, "segment": 0}, {}, "have no transcripts"),
        (INFO, {"language": "xx"}, "no numbers are known in this language"),
        (INFO, {"symbols": "phonemes", "language": ""}, "needs a language"),
    ],
)
def test_what_does_not_fit_is_refused(info, options, message):
    with pytest.raises(ConfigError, match=message):
        speech(info, **options)


def test_notes_say_what_is_passed_over_and_that_the_game_never_begins():
    recipe = speech({**INFO, "unusable": 3}, pretrain_steps=50)
    one, two = recipe.notes(TrainerSettings(steps=40))
    assert "3 teach nothing" in one
    assert "comes in at step 50 and this run ends at 40" in two
    assert two.endswith("e.g. to 34.")  # the share of the defaults
    assert not speech(pretrain_steps=50).notes(TrainerSettings(steps=60))


# Speech


def test_the_same_seed_gives_the_same_speech_with_its_mel_and_alignment():
    recipe = speech()
    networks = built(recipe)
    one, two = (make_samples(recipe, networks, 0, 3, given=sentences("abcab.", "deed")) for _ in range(2))
    assert all(map(torch.equal, one.data, two.data))
    assert one.extra["text"] == ["abcab.", "deed"]
    for waveform, mel, alignment in zip(one.data, one.extra["mel"], one.extra["alignment"], strict=True):
        assert len(waveform) == 64 * mel.shape[1]
        assert alignment.shape[0] == mel.shape[1]
        assert alignment.sum(1).tolist() == pytest.approx([1.0] * len(alignment), abs=1e-5)


def test_a_long_text_is_streamed_sentence_by_sentence():
    recipe = speech()
    networks = built(recipe)
    text = "abcab. deed. bead " * 6
    (whole,) = make_samples(recipe, networks, 0, given=sentences(text)).data
    pieces = [*stream_samples(recipe, networks, [sentences(text)])]
    assert len(pieces) == 13
    assert len({piece.names[0] for piece in pieces}) == 1
    assert torch.equal(torch.cat([piece.data[0] for piece in pieces]), whole)
    assert not pieces[1].data[0][:768].any()  # the pause


@pytest.mark.parametrize("text", ["漢字", "😀", "42 xyz"])
def test_a_text_of_which_nothing_is_left_is_an_error(text):
    recipe = speech({**INFO, "symbols": "q"})
    for speak in (
        lambda: make_samples(recipe, built(recipe), 0, given=sentences(text)),
        lambda: [*stream_samples(recipe, built(recipe), [sentences(text)])],
    ):
        with pytest.raises(ConfigError, match="nothing can be spoken of"):
            speak()


def test_a_recording_without_a_transcript_becomes_silence():
    recipe = speech()
    given = Samples([torch.zeros(100)], extra={"sample_rate": 8000, "text": [""]})
    (made,) = make_samples(recipe, built(recipe), 0, given=given).data
    assert len(made) > 0
    assert not made.any()


def test_pace_pitch_and_longest_change_the_speech():
    recipe = speech()
    networks = built(recipe)

    def made(**options):
        return make_samples(recipe, networks, 0, 0, Sampling(**options), given=sentences("decade bed")).data[0]

    plain = made()
    assert abs(len(made(pace=0.5)) - 2 * len(plain)) <= 64
    assert not torch.equal(made(pitch=5.0), plain)
    assert len(made(longest=0.08)) == 640


@pytest.mark.parametrize("decoder", ["parallel", "attention"])
def test_a_text_is_read_in_the_speakers_language_or_in_the_one_that_is_named(decoder):
    recipe = speech({**LANGUAGES, "symbols": " abcdeotuw"}, language="en,it", decoder=decoder)
    networks = built(recipe)

    def made(speaker, language, text="2 bad"):
        options = Sampling(speaker=speaker, language=language, longest=0.5)
        return make_samples(recipe, networks, 0, 0, options, given=sentences(text)).extra

    own, named, other = (made("bob", language) for language in ("", "it", "en"))
    assert torch.equal(own["mel"][0], named["mel"][0])
    ends = 2 if decoder == "parallel" else 0
    assert [x["alignment"][0].shape[1] - ends for x in (own, other)] == [len("due bad"), len("two bad")]
    apart = [made("bob", language, "bad")["mel"][0] for language in ("it", "en")]
    assert not torch.equal(apart[0], apart[1])  # the same symbols
    with pytest.raises(ConfigError, match="use --language with one of en, it"):
        made("bob", "de")
    with pytest.raises(ConfigError, match="use --language with one of en"):
        make_samples(speech(), built(speech()), 0, 0, Sampling(language="it"), given=sentences("deed"))


def test_speakers_are_named_or_taken_from_the_recordings():
    recipe = speech(SPEAKERS)
    networks = built(recipe)
    given = sentences("deed")
    with pytest.raises(ConfigError, match="several voices; name one with --speaker: ann, bob"):
        make_samples(recipe, networks, 0, given=given)
    with pytest.raises(ConfigError, match="no such voice"):
        make_samples(recipe, networks, 0, 0, Sampling(speaker="bop"), given=given)
    ann, bob, second = (
        make_samples(recipe, networks, 0, 0, Sampling(speaker=s), given=given) for s in ("ann", "bob", "1")
    )
    assert ann.labels.tolist() == [0]
    assert torch.equal(bob.data[0], second.data[0])
    assert not torch.equal(ann.data[0], bob.data[0])
    recording = dataclasses.replace(given, labels=torch.tensor([1]))
    assert torch.equal(make_samples(recipe, networks, 0, given=recording).data[0], bob.data[0])
    with pytest.raises(ConfigError, match="has one voice"):
        make_samples(speech(), built(speech()), 0, 0, Sampling(speaker="ann"), given=given)
