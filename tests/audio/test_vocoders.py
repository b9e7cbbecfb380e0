"""The recipes: their losses against the plain formulation, whole iterations on meta, given mels, files, refusals."""

from __future__ import annotations

import copy
import dataclasses
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from polygan import ConfigError, DataError, Samples, TrainerSettings, Turn, make_samples, testing
from polygan.game.sampling import stream_samples
from polygan.plugins import load_catalogue
from polygan.runs.assembly import resolve
from polygan.runs.given import Maker, convert_files
from polygan.testing import RepeatedBatch
from polygan.training.trainer import Trainer
from polygan_audio import losses, vocos
from polygan_audio.data import files
from polygan_audio.data.domain import AudioDomain
from polygan_audio.hifigan import Config, HiFiGAN
from polygan_audio.vocoder import Sampling

DOMAIN = AudioDomain()
INFO = {"sample_rate": 16_000, "segment": 2048, "count": 50}
SMALL = {"channels": 16, "discriminator_width": 8, "variant": "v2"}


def hifigan(info=INFO, **options):
    return HiFiGAN(Config(**{**SMALL, **options}), info)


def small_vocos(info=INFO, **options):
    return vocos.Vocos(
        vocos.Config(**{"dim": 16, "hidden": 32, "blocks": 2, "iterations": 4, "pretrain_steps": 2, **options}), info
    )


def waveforms(n=2, samples=2048):
    time = torch.arange(samples) / 16_000
    pitch = 200 * 2 ** torch.arange(n)
    return 0.3 * torch.sin(2 * torch.pi * pitch[:, None] * time) + 0.01 * torch.randn(n, samples)


def convert(recipe, networks, source, out, format="", **options):
    maker = Maker(recipe, networks, DOMAIN, DOMAIN, 0, Sampling(**options))
    return list(convert_files(maker, source, out, format))


def trainer(recipe, batch, **settings):
    size = len(batch["waveform"])
    settings = TrainerSettings(**{"steps": 100, "batch_size": size, "precision": "fp32", "hang_timeout": 0, **settings})
    return Trainer(recipe, {"train": RepeatedBatch(batch)}, settings)


# The method


@pytest.mark.parametrize(("scales", "tolerance"), [("spectrogram", 1e-9), ("waveform", 4e-4)])
def test_a_step_is_the_official_one(scales, tolerance):
    """Three steps against the loop as it is usually written: separate passes, nothing frozen, real features with gradients.

    Parameters are compared; one step moves them by up to 2e-4. Spectral norm differs a little: its estimate is refined with
    each pass, and ours makes fewer.
    """
    batch, recipe = {"waveform": waveforms().double()}, hifigan(scales=scales)
    ours, plain = trainer(recipe, batch), trainer(hifigan(scales=scales), batch)
    for t in (ours, plain):
        for actor in t.actors.values():
            actor.module.double()
    g, d = (plain.actors[n].module.requires_grad_() for n in ("generator", "discriminator"))
    og, od = (torch.optim.AdamW(m.parameters(), 2e-4, (0.8, 0.99), weight_decay=0.01) for m in (g, d))
    real = batch["waveform"]
    for _ in range(3):
        fake = g(recipe.mel(real)[..., : 2048 // 256])
        od.zero_grad()
        pairs = zip(d(real), d(fake.detach()), strict=True)
        sum(((r[-1] - 1) ** 2).mean() + (f[-1] ** 2).mean() for r, f in pairs).backward()
        od.step()
        og.zero_grad()
        pairs = list(zip(d(real), d(fake), strict=True))
        features = sum((a - b).abs().mean() for r, f in pairs for a, b in zip(r, f, strict=True))
        adversarial = sum(((f[-1] - 1) ** 2).mean() for _, f in pairs)
        (adversarial + 2 * features + 45 * (recipe.loss_mel(fake) - recipe.loss_mel(real)).abs().mean()).backward()
        og.step()
        ours.iterate()
    for name, network in (("generator", g), ("discriminator", d)):
        mine = dict(ours.actors[name].module.named_parameters())
        for key, theirs in network.named_parameters():
            difference = (mine[key] - theirs).abs().max().item()
            assert difference < tolerance, f"{key}: {difference}"


def test_terms_by_hand():
    real = [[torch.zeros(2, 1, 4), torch.full((2, 1, 3), 2.0)]]
    fake = [[torch.ones(2, 1, 4), torch.full((2, 1, 3), -1.0)]]
    assert losses.discriminator_loss(real, fake) == {"real": torch.tensor(1.0), "fake": torch.tensor(1.0)}
    assert losses.generator_loss(fake) == 4.0
    assert losses.feature_matching(real, fake) == 1.0 + 3.0


def test_hinge_terms_by_hand():
    real = [[torch.zeros(2, 4), torch.full((2, 3), 2.0)], [torch.zeros(2, 4), torch.full((2, 3), 0.5)]]
    fake = [[torch.ones(2, 4), torch.full((2, 3), -1.5)], [torch.ones(2, 4), torch.full((2, 3), 0.25)]]
    weights = (1.0, 0.1)
    terms = losses.hinge_discriminator_loss(real, fake, weights)
    torch.testing.assert_close(terms, {"real": torch.tensor(0.05), "fake": torch.tensor(0.125)})
    torch.testing.assert_close(losses.hinge_generator_loss(fake, weights), torch.tensor(2.5 + 0.075))
    torch.testing.assert_close(losses.feature_matching(real, fake, weights), torch.tensor(4.5 + 0.125))


def test_the_default_segments_of_vocos_are_several_times_what_its_network_sees():
    """In segments of 32 frames every one was near an end, and phases were learned from where the padding is.

    Griffin and Lim's iterations, which learn nothing, are left out: they see farther, ever less.
    """
    settings = resolve("audio/vocos", [{"data": "tones", "model": {"prior": "pseudo-inverse"}}])
    recipe = vocos.Vocos(settings.model, INFO | {"segment": settings.data.segment})
    seen = 2 * recipe.networks()["generator"].context() + 1
    assert settings.data.segment / recipe.mel.hop_length > 2.5 * seen
    assert settings.data.segment * settings.run.batch_size == 8 * 8192


def test_a_step_of_vocos_is_the_official_one():
    """Three steps against the loop of the official code: means over a family's members, spectrograms count a tenth."""
    batch = {"waveform": waveforms(samples=4096).double()}
    info, real = INFO | {"segment": 4096}, batch["waveform"]
    ours, plain = (
        trainer(small_vocos(info, pretrain_steps=0, discriminators="paper", stft_weight=0), batch) for _ in range(2)
    )
    for t in (ours, plain):
        for actor in t.actors.values():
            actor.module.double()
    g, d = (plain.actors[n].module.requires_grad_() for n in ("generator", "discriminator"))
    og, od = (torch.optim.AdamW(m.parameters(), 5e-4, (0.8, 0.99), weight_decay=0.01) for m in (g, d))
    schedules = [torch.optim.lr_scheduler.CosineAnnealingLR(o, 100) for o in (og, od)]
    recipe = ours.recipe
    for _ in range(3):
        fake = g(recipe.mel(real)[..., :16])
        total = 0
        for name, weight in (("periods", 1), ("resolutions", 0.1)):
            pairs = list(zip(d.families[name](real), d.families[name](fake.detach()), strict=True))
            each = [F.relu(1 - r[-1]).mean() + F.relu(1 + f[-1]).mean() for r, f in pairs]
            total = total + weight * sum(each) / len(each)
        od.zero_grad()
        total.backward()
        od.step()
        total = 45 * (recipe.loss_mel(fake) - recipe.loss_mel(real)).abs().mean()
        for name, weight in (("periods", 1), ("resolutions", 0.1)):
            pairs = list(zip(d.families[name](real), d.families[name](fake), strict=True))
            each = [
                F.relu(1 - f[-1]).mean() + sum((a - b).abs().mean() for a, b in zip(r, f, strict=True))
                for r, f in pairs
            ]
            total = total + weight * sum(each) / len(each)
        og.zero_grad()
        total.backward()
        og.step()
        for schedule in schedules:
            schedule.step()
        ours.iterate()
    for name, network in (("generator", g), ("discriminator", d)):
        mine = dict(ours.actors[name].module.named_parameters())
        for key, theirs in network.named_parameters():
            difference = (mine[key] - theirs).abs().max().item()
            assert difference < 1e-9, f"{key}: {difference}"


def test_discriminators_of_vocos_have_the_weights_of_their_families():
    """A family without a weight is not there, so that it costs nothing; the others' terms are the mean over their members."""
    kinds = {
        (1.0, 0.1): ([1 / 3] * 3 + [0.05] * 2, ["periods", "resolutions"]),
        (0.0, 1.0): ([0.5] * 2, ["resolutions"]),
        (2.0, 0.0): ([2 / 3] * 3, ["periods"]),
    }
    for (period, resolution), (weights, families) in kinds.items():
        recipe = small_vocos(period_weight=period, resolution_weight=resolution, pretrain_steps=0)
        discriminators = recipe.networks()["discriminator"]
        assert list(recipe.weights) == pytest.approx(weights)
        assert list(discriminators.families) == families
        assert len(discriminators(waveforms())) == len(weights)
        played = trainer(recipe, {"waveform": waveforms()})
        before = [p.detach().clone() for p in played.actors["generator"].module.parameters()]
        played.iterate()
        assert any(
            not torch.equal(a, b) for a, b in zip(before, played.actors["generator"].module.parameters(), strict=True)
        )


def test_stft_terms_by_hand():
    waveform = waveforms()
    convergence, logarithm = losses.stft_loss(waveform, 1.1 * waveform)
    torch.testing.assert_close(convergence, torch.tensor(0.1), atol=1e-5, rtol=0)
    torch.testing.assert_close(logarithm, torch.tensor(1.1).log(), atol=2e-3, rtol=0)
    assert losses.stft_loss(waveform, waveform)[0] == 0


def test_the_mel_term_goes_up_to_half_the_rate():
    """The official code conditions on bands up to 8 kHz and compares bands up to half the sample rate."""
    recipe = HiFiGAN(Config(), INFO | {"sample_rate": 22_050, "segment": 8192})
    assert (recipe.mel.fmax, recipe.loss_mel.fmax) == (8000.0, 11_025.0)
    high = 0.5 * torch.sin(2 * torch.pi * 10_000 * torch.arange(8192) / 22_050)[None]
    assert recipe.mel_term({"waveform": torch.zeros(1, 8192)}, high)["mel"] > 20


def test_vocos_pretrains_on_spectra_alone():
    played = trainer(small_vocos(), {"waveform": waveforms()})
    before = [p.clone() for p in played.actors["discriminator"].module.parameters()]
    for _ in range(2):
        played.iterate()
    assert all(map(torch.equal, before, played.actors["discriminator"].module.parameters()))
    assert [t.name for t in played.turns if t.due(1)] == ["pretrain"]
    assert [t.name for t in played.turns if t.due(2)] == ["d", "g"]
    played.iterate()
    assert not all(map(torch.equal, before, played.actors["discriminator"].module.parameters()))


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
    return {name: network.eval() for name, network in recipe.networks().items()}


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
    with pytest.raises(DataError, match="mel b has 100 bands, this vocoder takes 80; make it with the same front end"):
        make_samples(recipe, networks, 0, given=given)


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
    assert not list(out.rglob(".*"))


def test_recordings_are_not_overwritten_by_the_re_synthesis_of_their_neighbours(recipe, networks, tmp_path):
    files.write(tmp_path / "a.wav", waveforms(1, 7000)[0], 16_000)
    np.save(tmp_path / "a.npy", recipe.mel(waveforms(1, 7168)[0]).numpy())
    before = (tmp_path / "a.wav").read_bytes()
    with pytest.raises(DataError, match="1 of 2 files"):  # a.wav would overwrite itself
        convert(recipe, networks, tmp_path, tmp_path)
    assert (tmp_path / "a.wav").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.npy", "a.npy.wav", "a.wav"]


def test_one_file_becomes_one_file(recipe, networks, tmp_path):
    files.write(tmp_path / "a.wav", waveforms(1, 7000)[0], 16_000)
    (made,) = convert(recipe, networks, tmp_path / "a.wav", tmp_path / "deeper" / "b.flac")
    assert made == tmp_path / "deeper" / "b.flac"
    assert files.header(made).frames == 28 * 256
    with pytest.raises(ConfigError, match=r"b\.wav is one file, and .* a folder"):
        convert(recipe, networks, tmp_path, tmp_path / "b.wav")


def test_a_waveform_is_finer_than_bf16():
    made = hifigan().networks()["generator"]
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        sound = made(torch.randn(1, 80, 4))
    assert sound.dtype == torch.float32
    assert not torch.equal(sound, sound.bfloat16().float())


def test_runs_that_stop_learning_early_say_so():
    made = small_vocos(pretrain_steps=8000)
    for steps, said in ((5000, True), (20_000, False)):
        assert bool(made.notes(TrainerSettings(steps=steps))) is said
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
    assert sorted(p.name for p in out.iterdir()) == ["b.wav", "c.wav"]
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
        for recipe in ("audio/hifigan", "audio/vocos")
        for direction in ("export", "import")
    }
    assert there == {
        ("audio/hifigan", "export"): ["onnx", "speecht5"],
        ("audio/hifigan", "import"): ["hifigan"],
        ("audio/vocos", "export"): ["onnx"],
        ("audio/vocos", "import"): [],
    }
    for spec in catalogue.formats.values():
        assert callable(catalogue.resolve(spec))


# Settings


@pytest.mark.parametrize(
    ("options", "info", "message"),
    [
        ({}, {"segment": 2000}, r"2000 samples are 7.8125 hops of 256"),
        ({}, {"segment": 256}, r"whole number of at least 2; use e.g. --data.segment 512"),
        ({}, {"sample_rate": 8000}, r"fmax = 8000 Hz is over half the sample rate, 8000 / 2 = 4000"),
        ({"hop_length": 300, "upsample_rates": (8, 8, 4)}, {"segment": 2400}, r"8 x 8 x 4 = 256 do not give the 300"),
        ({"learning_rate": 0.0}, {}, r"learning_rate = 0.0 is outside"),
        ({"discriminator_learning_rate": 2.0}, {}, r"discriminator_learning_rate = 2.0 is outside \[0, 1\]"),
        ({"beta2": 1.0}, {}, r"beta2 = 1.0 is outside"),
        ({"mel_weight": -1.0}, {}, r"mel_weight = -1.0"),
        ({"variant": "v4"}, {}, r"variant = 'v4'.*known are v1, v2, v3"),
        ({"decay": 0.0}, {}, r"decay = 0.0"),
        ({"discriminator_width": 3}, {}, r"discriminator_width = 3"),
        ({"channels": 8}, {}, r"8 channels cannot be halved 4 times"),
    ],
)
def test_settings_that_cannot_work_are_refused(options, info, message):
    with pytest.raises(ConfigError, match=message):
        hifigan(INFO | info, **options).networks()


def test_vocos_settings_are_refused():
    for options, message in (
        ({"blocks": 0}, "blocks = 0"),
        ({"stft_weight": -1.0}, "stft_weight = -1.0"),
        ({"resolution_weight": -1.0}, "resolution_weight = -1.0"),
        ({"period_weight": float("inf")}, "period_weight = inf"),
        ({"period_weight": 0.0, "resolution_weight": 0.0}, "both 0, which leaves no discriminator"),
        ({"iterations": 0}, "iterations = 0 is too small; the least is 1"),
        ({"prior": "pseudo"}, "known are griffin-lim, pseudo-inverse, none"),
        ({"discriminators": "big"}, "known are small, paper"),
    ):
        with pytest.raises(ConfigError, match=message):
            small_vocos(**options)
    with pytest.raises(ConfigError, match=r"1024 samples are too short .* reflect 1024 .*--data.segment 1280"):
        small_vocos(INFO | {"segment": 1024})
    with pytest.raises(ConfigError, match=r"too short for the spectrogram discriminators"):
        hifigan(INFO | {"segment": 1024}, scales="spectrogram")
    with pytest.raises(ConfigError, match=r"^precision = 'fp8' is unknown.*known are auto, fp32, bf16"):
        Sampling(precision="fp8")
    with pytest.raises(ConfigError, match=r"^chunk = 0 is too small"):
        Sampling(chunk=0)
    assert isinstance(small_vocos(pretrain_steps=0).turns()[0], Turn)
