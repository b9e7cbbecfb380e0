"""What all vocoders share: rates, given mels, re-synthesis of files and pieces, refusals."""

from __future__ import annotations

import copy
import dataclasses
import math
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).parent))
from small_vocoders import INFO, hifigan, small_vocos, trainer, waveforms

from polygan import ConfigError, DataError, Samples, TrainerSettings, make_samples, testing
from polygan.game.sampling import stream_samples
from polygan.plugins import load_catalogue
from polygan.runs.given import Maker, convert_files
from polygan.training.checkpoint import Checkpoints
from polygan_audio import vocos
from polygan_audio.data import files
from polygan_audio.data.domain import AudioDomain
from polygan_audio.hifigan import HiFiGAN
from polygan_audio.parallel_wavegan import Config as WaveGANConfig
from polygan_audio.parallel_wavegan import ParallelWaveGAN
from polygan_audio.vocoder import Sampling

DOMAIN = AudioDomain()


def convert(recipe, networks, source, out, format="", **options):
    maker = Maker(recipe, networks, DOMAIN, DOMAIN, 0, Sampling(**options))
    return list(convert_files(maker, source, out, format))


# The method


@pytest.mark.parametrize("make", [hifigan, small_vocos])
def test_discriminators_may_have_a_rate_of_their_own(make):
    def rates(**options):
        recipe = make(**options)
        players = recipe.players(recipe.networks(), TrainerSettings(steps=100))
        return [players[name].optimizer.param_groups[0]["lr"] for name in ("generator", "discriminator")]

    assert rates(learning_rate=3e-4) == [3e-4, 3e-4]
    assert rates(learning_rate=3e-4, discriminator_learning_rate=2e-3) == [3e-4, 2e-3]


def test_rates_fall_by_epoch_or_along_a_cosine():
    played = trainer(hifigan(decay=0.5, epoch=2), {"waveform": waveforms()})
    rates = []
    for _ in range(5):
        rates.append(played.actors["generator"].optimizer.param_groups[0]["lr"])
        played.iterate()
    np.testing.assert_allclose(rates, [2e-4, 2e-4, 1e-4, 1e-4, 5e-5])
    played = trainer(small_vocos(), {"waveform": waveforms()}, steps=6)
    for _ in range(6):
        played.iterate()
    assert played.actors["generator"].optimizer.param_groups[0]["lr"] < 1e-9


def wavegan(**options):
    sizes = {"layers": 2, "stacks": 1, "channels": 8, "discriminator_channels": 4, "discriminator_start": 2}
    return ParallelWaveGAN(WaveGANConfig(**{"mel": "hifigan", **sizes, **options}), INFO | {"segment": 4096})


@pytest.mark.parametrize(("make", "begin"), [(hifigan, 0), (small_vocos, 2), (wavegan, 2)])
def test_in_their_warm_up_the_discriminators_learn_alone_and_a_resume_is_equal_to_the_bit(make, begin, tmp_path):
    def state(played, name):
        return {key: value.clone() for key, value in played.networks(averaged=False)[name].state_dict().items()}

    def start(**settings):
        torch.manual_seed(0)
        batch = {"waveform": waveforms(samples=4096 if make is wavegan else 2048)}
        return trainer(make(discriminator_warmup=3), batch, **settings)

    played = start()
    for _ in range(begin):
        played.iterate()
    before = {name: state(played, name) for name in ("generator", "discriminator")}
    learned = played.actors["generator"].optimizer.state_dict()["state"]
    for _ in range(3):
        played.iterate()
    for key, value in state(played, "generator").items():
        assert torch.equal(value, before["generator"][key]), key
    assert bool(learned) == bool(begin)
    after = state(played, "discriminator")
    assert any(not torch.equal(value, before["discriminator"][key]) for key, value in after.items())
    played.iterate()
    moved = state(played, "generator")
    assert any(not torch.equal(value, before["generator"][key]) for key, value in moved.items())
    one = start(checkpoints=Checkpoints(tmp_path))
    for _ in range(begin + 1):  # within the warm-up
        one.iterate()
    one.save()
    two = start(checkpoints=Checkpoints(tmp_path))
    two.restore(two.checkpoints.load())
    for _ in range(3):
        two.iterate()
    for key, value in state(two, "generator").items():
        assert torch.equal(value, moved[key]), key


def test_a_run_that_ends_in_the_warm_up_says_so():
    for recipe, begin in ((hifigan, 0), (small_vocos, 2)):
        notes = recipe(discriminator_warmup=50).notes(TrainerSettings(steps=begin + 40))
        assert [note for note in notes if f"stays as it is until step {begin + 50}" in note]
        notes = recipe(discriminator_warmup=50).notes(TrainerSettings(steps=begin + 60))
        assert not [note for note in notes if "stays as it is" in note]


@pytest.mark.parametrize(
    "recipe",
    [  # the defaults are held to it in test_conformance
        lambda: hifigan(variant="v2", scales="spectrogram"),
        lambda: hifigan(scales="none"),
        lambda: small_vocos(mel="speecht5"),
    ],
)
def test_whole_iterations_play_on_the_meta_device(recipe):
    testing.check_devices(recipe(), {"waveform": waveforms()})


# The whole band


@pytest.mark.parametrize(("preset", "rate"), [("bigvgan_44k", 44_100), ("bigvgan_44k", 48_000), ("vocos_48k", 48_000)])
@pytest.mark.parametrize("make", [hifigan, small_vocos])
def test_full_band_front_ends_train_and_keep_what_lies_high(make, preset, rate):
    info = INFO | {"sample_rate": rate, "segment": 4096}
    made = make(info, mel=preset)
    assert (made.mel.n_mels, made.mel.hop_length, made.mel.top) == (128, 512, rate / 2)
    assert getattr(made, "shape", None) is None or math.prod(made.shape.rates) == 512
    tone = 0.3 * torch.sin(2 * math.pi * 18_000 * torch.arange(8192) / rate)
    assert made.mel(tone).amax() > made.mel(torch.zeros(8192)).amax() + 3
    played = trainer(made, {"waveform": 0.1 * torch.randn(2, 4096)})
    before = [p.detach().clone() for p in played.actors["generator"].module.parameters()]
    played.iterate()
    after = [*played.actors["generator"].module.parameters()]
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert all(bool(p.isfinite().all()) for p in after)
    clip = Samples([tone[:5000]], DOMAIN, extra={"sample_rate": rate})
    assert len(make_samples(made, played.networks(), 0, 0, given=clip).data[0]) == 5000


@pytest.mark.parametrize("make", [hifigan, small_vocos])
def test_a_mel_that_ends_far_below_half_the_rate_is_named_before_training(make):
    def said(rate, **options):
        info = INFO | {"sample_rate": rate, "segment": 8192}
        return [n for n in make(info, **options).notes(TrainerSettings(steps=10)) if n.startswith("The mel ends at")]

    assert said(16_000) == said(22_050) == said(44_100, mel="bigvgan_44k") == []
    (note,) = said(44_100)
    assert "ends at 8,000 Hz, and sound of 44,100 Hz reaches 22,050 Hz" in note
    assert "--model.mel bigvgan_44k" in note
    assert said(16_000, fmax=4000.0)


# Given mels


def test_given_mels_are_what_the_generator_hears():
    info = INFO | {"n_mels": 80, "mel_hop": 256}
    recipe = hifigan(info)
    mel = torch.randn(2, 80, 8)
    assert recipe.condition({"waveform": waveforms(), "mel": mel}) is mel
    assert trainer(recipe, {"waveform": waveforms(), "mel": mel}).iterate() is None
    with pytest.raises(ConfigError, match=r"n_mels = 100, the front end has 80"):
        hifigan(info | {"n_mels": 100})
    with pytest.raises(ConfigError, match=r"mel_hop = 200, the front end has 256"):
        hifigan(info | {"mel_hop": 200})


# Re-synthesis


@pytest.fixture(scope="module", params=["hifigan", "vocos"])
def recipe(request):
    return hifigan() if request.param == "hifigan" else small_vocos()


@pytest.fixture(scope="module")
def networks(recipe):
    torch.manual_seed(1)
    made = {name: network.eval() for name, network in recipe.networks().items()}
    if isinstance(
        recipe, vocos.Vocos
    ):  # whose head is zero before training, so that nothing of the network would be heard
        torch.nn.init.normal_(made["generator"].head.weight, 0, 0.02)
    return made


def test_recordings_keep_their_length(recipe, networks):
    lengths = [300, 2048, 5000]
    clips = Samples([0.1 * torch.randn(n) for n in lengths], AudioDomain(), extra={"sample_rate": 16_000})
    made = make_samples(recipe, networks, 0, 0, given=clips)
    assert [len(w) for w in made.data] == lengths
    one = Samples(clips.data[1:2], AudioDomain(), extra={"sample_rate": 16_000})
    torch.testing.assert_close(make_samples(recipe, networks, 0, 5, given=one).data[0], made.data[1])
    with torch.no_grad():
        mel = recipe.mel(clips.data[1])[:, :8]
        torch.testing.assert_close(networks["generator"](mel[None])[0], made.data[1], atol=1e-5, rtol=0)
    clips.extra["sample_rate"] = 22_050
    with pytest.raises(ConfigError, match="22050 Hz and a vocoder of 16000 Hz"):
        make_samples(recipe, networks, 0, 0, given=clips)


def test_mels_alone_are_decoded(recipe, networks):
    mels = [torch.randn(80, n) - 4 for n in (9, 5)]
    given = Samples([torch.zeros(0)] * 2, names=["a", "b"], extra={"sample_rate": 16_000, "mel": mels})
    made = make_samples(recipe, networks, 0, given=given)
    assert [len(w) for w in made.data] == [9 * 256, 5 * 256]
    with torch.no_grad():
        torch.testing.assert_close(networks["generator"](mels[0][None])[0], made.data[0], atol=1e-5, rtol=0)
    mels[1] = torch.zeros(100, 5)
    data = Samples([torch.zeros(0)] * 2, origins=["0.npy", "x/1.npy"], extra={"sample_rate": 16_000, "mel": mels})
    with pytest.raises(DataError, match=r"given mel 1 \(x/1\.npy\) has 100 bands, this vocoder takes 80"):
        make_samples(recipe, networks, 0, given=data)
    with pytest.raises(DataError, match="mel b has 100 bands, this vocoder takes 80; make it with the same front end"):
        make_samples(recipe, networks, 0, given=given)


def test_mel_files_on_another_scale_are_refused_by_name_and_the_others_are_made(recipe, networks, tmp_path, capsys):
    mel = recipe.mel(waveforms(1)[0])
    (tmp_path / "mels").mkdir()
    np.save(tmp_path / "mels/dB.npy", mel * 20 / math.log(10))
    np.save(tmp_path / "mels/ln.npy", mel)
    with pytest.raises(DataError, match="1 of 2 files"):
        convert(recipe, networks, tmp_path / "mels", tmp_path / "made")
    assert [p.name for p in (tmp_path / "made").glob("[!.]*")] == ["ln.wav"]
    assert re.search(r"dB\.npy has values from -\d.* it looks like dB", capsys.readouterr().err)


def test_a_run_that_keeps_the_scale_of_its_mels_takes_any_values():
    recipe = hifigan({**INFO, "mels_scale": "keep"})
    given = Samples([torch.zeros(0)], names=["a"], extra={"sample_rate": 16_000, "mel": [torch.full((80, 9), -50.0)]})
    made = make_samples(recipe, recipe.networks(), 0, given=given)
    assert len(made.data[0]) == 9 * 256


def test_a_long_recording_sounds_before_it_is_read_to_its_end(recipe, networks):
    """And the pieces are together what is made of the whole."""
    waveform, asked = waveforms(1, 256 * 1600)[0], []

    def pieces():
        for i, block in enumerate(waveform.split(16_000)):
            asked.append(i)
            yield Samples([block], names=["a"], extra={"sample_rate": 16_000})

    made = stream_samples(recipe, networks, pieces(), options=Sampling(chunk=256))
    first = next(made)
    assert first.names == ["a"]
    assert len(asked) < 8
    rest = list(made)
    assert max(len(piece.data[0]) for piece in rest) <= 256 * 256
    joined = DOMAIN.join([first, *rest])
    whole = make_samples(
        recipe, networks, 0, options=Sampling(chunk=256), given=DOMAIN.take(waveform, {"sample_rate": 16_000})
    )
    torch.testing.assert_close(joined.data[0], whole.data[0], atol=1e-5, rtol=0)


def test_recordings_of_another_rate_are_refused_in_pieces_too(recipe, networks):
    pieces = [Samples([torch.zeros(9000)], extra={"sample_rate": 8000})]
    with pytest.raises(ConfigError, match="8000 Hz and a vocoder of 16000 Hz"):
        list(stream_samples(recipe, networks, pieces))


def test_a_folder_is_converted_file_by_file(recipe, networks, tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    (source / "deeper").mkdir(parents=True)
    files.write(source / "a.wav", waveforms(1, 7000)[0], 16_000)
    files.write(source / "deeper" / "b.flac", waveforms(1, 30_000)[0], 22_050)
    np.save(source / "a.npy", recipe.mel(waveforms(1, 7168)[0]).numpy())
    made = convert(recipe, networks, source, out)
    heads = {p.relative_to(out).as_posix(): files.header(p) for p in made}
    assert sorted(heads) == ["a.wav", "a.wav.wav", "deeper/b.wav"]  # a.npy and a.wav do not overwrite each other
    assert {h.rate for h in heads.values()} == {16_000}
    frames = math.ceil(math.ceil(30_000 * 16_000 / 22_050) / 256)
    assert heads["deeper/b.wav"].frames == frames * 256
    assert [p.name for p in out.rglob(".*")] == [".polygan-samples.json"]  # which files a later run may replace


def test_recordings_are_not_overwritten_by_the_re_synthesis_of_their_neighbours(recipe, networks, tmp_path):
    files.write(tmp_path / "a.wav", waveforms(1, 7000)[0], 16_000)
    np.save(tmp_path / "a.npy", recipe.mel(waveforms(1, 7168)[0]).numpy())
    before = (tmp_path / "a.wav").read_bytes()
    with pytest.raises(DataError, match="1 of 2 files"):  # a.wav would overwrite itself
        convert(recipe, networks, tmp_path, tmp_path)
    assert (tmp_path / "a.wav").read_bytes() == before
    assert sorted(p.name for p in tmp_path.glob("a*")) == ["a.npy", "a.npy.wav", "a.wav"]


def test_one_file_becomes_one_file(recipe, networks, tmp_path):
    files.write(tmp_path / "a.wav", waveforms(1, 7000)[0], 16_000)
    (made,) = convert(recipe, networks, tmp_path / "a.wav", tmp_path / "deeper" / "b.flac")
    assert made == tmp_path / "deeper" / "b.flac"
    assert files.header(made).frames == 28 * 256
    with pytest.raises(ConfigError, match=r"b\.wav is one file, and .* a folder"):
        convert(recipe, networks, tmp_path, tmp_path / "b.wav")


def test_runs_that_stop_learning_early_say_so():
    made = small_vocos(pretrain_steps=8000)
    for steps, said in ((5000, True), (20_000, False)):
        assert ("--model.pretrain_steps" in "".join(made.notes(TrainerSettings(steps=steps)))) is said
    for count, said in ((120, True), (13_100, False)):
        made = hifigan(INFO | {"count": count})
        notes = made.notes(TrainerSettings(steps=100_000, batch_size=16))
        assert ("--model.epoch" in "".join(notes)) is said


def test_a_mel_and_its_sound_give_the_same(recipe, networks, tmp_path):
    waveform = waveforms(1, 16_000)[0]
    files.write(tmp_path / "a.wav", waveform, 16_000)
    sound, _ = files.read(tmp_path / "a.wav")
    mel = recipe.mel(F.pad(torch.from_numpy(sound), (0, -16_000 % 256)))[:, : -(-16_000 // 256)]
    np.save(tmp_path / "b.npy", mel.numpy())
    (one,) = convert(recipe, networks, tmp_path / "a.wav", tmp_path / "out")
    (two,) = convert(recipe, networks, tmp_path / "b.npy", tmp_path / "out", "flac")
    assert two.suffix == ".flac"
    np.testing.assert_allclose(files.read(one)[0], files.read(two)[0], atol=2 / 32768)


def test_files_are_converted_by_the_weights_of_now(recipe, networks, tmp_path):
    """A synthesiser is kept from file to file."""
    files.write(tmp_path / "a.wav", waveforms(1, 4000)[0], 16_000)
    own = copy.deepcopy(networks)
    (first,) = convert(recipe, own, tmp_path / "a.wav", tmp_path / "1")
    (same,) = convert(recipe, own, tmp_path / "a.wav", tmp_path / "2")
    assert first.read_bytes() == same.read_bytes()
    for parameter in own["generator"].parameters():
        parameter.data *= 1.1
    (kept,) = convert(recipe, own, tmp_path / "a.wav", tmp_path / "3")
    (fresh,) = convert(recipe, copy.deepcopy(own), tmp_path / "a.wav", tmp_path / "4")
    assert first.read_bytes() != kept.read_bytes() == fresh.read_bytes()


def test_what_cannot_be_converted_is_named(recipe, networks, tmp_path):
    np.save(tmp_path / "wide.npy", np.zeros((100, 5), np.float32))
    np.save(tmp_path / "turned.npy", np.zeros((500, 80), np.float32))
    (tmp_path / "text.wav").write_text("no sound")
    files.write(tmp_path / "a.wav", waveforms(1, 4000)[0], 16_000)
    for name, message in (
        ("wide.npy", r"wide.npy has 100 bands, this vocoder takes 80"),
        ("turned.npy", r"the other way round"),
        ("text.wav", r"/text.wav: cannot be read as sound"),
    ):
        with pytest.raises(DataError, match=message) as error:
            convert(recipe, networks, tmp_path / name, tmp_path / "out")
        assert str(tmp_path / "out") not in str(error.value)  # what is wrong is the input
    with pytest.raises(DataError, match="would be overwritten"):
        convert(recipe, networks, tmp_path / "a.wav", tmp_path)
    assert not list((tmp_path / "out").glob("*"))


def test_a_bad_file_of_a_folder_does_not_stop_the_others(recipe, networks, tmp_path, capsys):
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    (source / "a.wav").write_text("no sound")
    for name in ("b", "c"):
        files.write(source / f"{name}.wav", waveforms(1, 4000)[0], 16_000)
    with pytest.raises(DataError, match=r"1 of 3 files of .*/in could not be converted"):
        convert(recipe, networks, source, out)
    assert sorted(p.name for p in out.glob("*.wav")) == ["b.wav", "c.wav"]
    assert capsys.readouterr().err.startswith(f"{source / 'a.wav'}: cannot be read as sound")


def test_a_network_that_makes_nan_is_named_with_its_place(recipe, networks, tmp_path):
    broken = copy.deepcopy(networks["generator"])
    for parameter in broken.parameters():
        parameter.data.fill_(float("nan"))
    files.write(tmp_path / "a.wav", waveforms(1, 4000)[0], 16_000)
    with pytest.raises(DataError, match=r"/a.wav: .*/out/a.wav: holds samples that are not finite"):
        convert(recipe, {"generator": broken}, tmp_path / "a.wav", tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("kind", [HiFiGAN, vocos.Vocos])
def test_help_shows_settings_that_are_there_first(kind):
    assert set(kind.first_options) <= {f.name for f in dataclasses.fields(kind.Config)}
    assert len(kind.first_options) == 2


def test_formats_stand_apart_from_the_recipes():
    catalogue = load_catalogue(allow=["audio"], strict=True)
    there = {
        (recipe, direction): sorted(catalogue.formats_of(recipe, direction))
        for recipe in ("audio/hifigan", "audio/vocos", "audio/parallel-wavegan", "audio/griffin-lim")
        for direction in ("export", "import")
    }
    assert there == {
        ("audio/hifigan", "export"): ["onnx", "pt2", "speecht5"],
        ("audio/hifigan", "import"): ["hifigan"],
        ("audio/vocos", "export"): ["onnx", "pt2"],
        ("audio/vocos", "import"): ["vocos"],
        ("audio/griffin-lim", "export"): ["onnx", "pt2"],
        ("audio/griffin-lim", "import"): [],
        ("audio/parallel-wavegan", "export"): ["onnx", "pt2"],
        ("audio/parallel-wavegan", "import"): ["parallel-wavegan"],
    }
    for spec in catalogue.formats.values():
        assert callable(catalogue.resolve(spec))
