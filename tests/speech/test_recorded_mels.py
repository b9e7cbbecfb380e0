"""Mels for recordings with the recordings' prosody: what they are, and a vocoder that trains on them."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

sys.path.insert(0, str(Path(__file__).parent))
from small_speech import RATE, SMALL, batch_of, corpus, sound, speech

import polygan
from polygan import ConfigError, DataError
from polygan.cli import main
from polygan.game.sampling import evaluating
from polygan_audio.data.domain import AudioDomain
from polygan_audio.data.settings import AudioSettings
from polygan_speech.aligning.paths import best_paths, spread
from polygan_speech.recordings import prosody_of, recorded
from polygan_speech.settings import Sampling
from polygan_speech.speaking import Voice
from polygan_speech.teacher_forcing import Clip, TeacherForcing

FRONT_END = {name: SMALL[name] for name in ("n_fft", "hop_length", "n_mels", "fmax")}
TEXTS = ("abcab", "deed 2", "bead", "cab", "a bad ace", "decade") * 2
VOCODER = {**FRONT_END, "dim": 8, "hidden": 16, "blocks": 1}


def trained(folder, data, **settings):
    words = [word for name, value in settings.items() for word in (f"--data.{name}", str(value))]
    run = {"steps": 2, "batch_size": 2, "hang_timeout": 0, "sample_every": 0, "runs": str(folder / "runs")}
    return polygan.train("audio/tacotron2", str(data), model=SMALL, arguments=words, quiet=True, **run)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POLYGAN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run, its data with one recording that is too long and one without a transcript, and the mels that the run makes."""
    folder = tmp_path_factory.mktemp("mels")
    data = corpus(folder / "data", TEXTS)
    soundfile.write(data / "wavs/long.wav", sound("abcab" * 5), RATE)
    soundfile.write(data / "wavs/untold.wav", sound("bead"), RATE)
    with (data / "metadata.csv").open("a") as table:
        table.write(f"long|{'abcab' * 5}\n")
    run = trained(folder, data, held_out=0.25, longest_seconds=1)
    return run, data, polygan.load(run.folder).convert(data, folder / "mels", prosody="recorded")


def test_each_recording_gets_a_mel_as_long_as_itself(made):
    _, data, files = made
    assert [file.name for file in files] == [f"{i:03d}.npy" for i in range(len(TEXTS))]
    for file in files:
        mel, samples = np.load(file), soundfile.info(data / f"wavs/{file.stem}.wav").frames
        assert mel.dtype == np.float32
        assert mel.shape == (20, samples // 64)
        assert mel.std() > 0.1


@pytest.mark.parametrize("speakers", [0, 2])
def test_a_mel_is_what_the_network_makes_in_training(speakers):
    recipe, networks, voice = small(speakers)
    batch = batch_of(["deed", "a bad ace"], [1, 0] if speakers else None)
    with evaluating(networks), torch.no_grad():
        heard = recorded(
            batch,
            recipe.mel,
            networks["generator"],
            networks["aligner"].transcripts,
            recipe.end,
            speakers=bool(speakers),
        )
        log_p = networks["aligner"](heard.ids, heard.tokens, heard.mel, heard.frames, heard.speaker)
        said = spread(best_paths(log_p, heard.frames, heard.tokens), heard.frames, heard.ids.shape[1])
        wanted, _ = networks["generator"](
            heard.ids, heard.tokens, said, heard.frames, prosody_of(said, heard), heard.speaker
        )
        found = TeacherForcing(voice).mels(clips(["deed", "a bad ace"], [1, 0] if speakers else [None] * 2), 0)
    for i, (mel, alignment) in enumerate(found):
        frames, tokens = int(heard.frames[i]), int(heard.tokens[i])
        again = networks["generator"].mel(wanted)[i, :, :frames].clamp(min=recipe.mel.silence)
        torch.testing.assert_close(mel, again, atol=1e-5, rtol=0)
        assert torch.equal(alignment, said[i, :frames, :tokens])


def small(speakers=0, **options):
    from small_speech import INFO

    classes = {"classes": ["ann", "bob"], "pitch_mean": [5.0, 5.3], "pitch_deviation": [0.2, 0.3]} if speakers else {}
    info = {**INFO, **classes, "mel_mean": [-5.0] * 20, "mel_deviation": [2.0] * 20}
    recipe = speech(info, **options)
    torch.manual_seed(0)
    networks = recipe.networks()
    voice = Voice(networks, recipe.mel, recipe.spelling, recipe.languages, Sampling(), 200, recipe.end)
    return recipe, networks, voice


def clips(texts, labels):
    return [
        Clip(t, torch.from_numpy(sound(t, i)), label) for i, (t, label) in enumerate(zip(texts, labels, strict=True))
    ]


def test_the_attention_decoder_gets_the_true_frames_and_a_seed_gives_the_same_mel():
    _, networks, voice = small(decoder="attention")
    with evaluating(networks):
        forcing, given = TeacherForcing(voice), clips(["deed", "a bad ace"], [None, None])
        state = torch.random.get_rng_state()
        (mel, alignment), (longer, _) = forcing.mels(given, 1)
        assert torch.equal(torch.random.get_rng_state(), state)
        assert mel.shape == (20, 25)
        assert alignment.shape == (25, 4)
        assert longer.shape == (20, 56)
        assert torch.equal(forcing.mels(given, 1)[0][0], mel)
        assert not torch.equal(forcing.mels(given, 2)[0][0], mel)
        quiet = Clip("deed", given[0].waveform * 0.1, None)
        assert not torch.allclose(forcing.mels([quiet, given[1]], 1)[0][0], mel, atol=1e-3)


def test_durations_pitch_and_energy_are_those_of_the_recording():
    _, networks, voice = small()
    clip = clips(["deed"], [None])[0]
    late = clip._replace(waveform=torch.cat([clip.waveform, clip.waveform[:800].flip(0)]))
    with evaluating(networks):
        forcing = TeacherForcing(voice)
        plain, loud = (forcing.mels([c], 0)[0][0] for c in (clip, clip._replace(waveform=clip.waveform * 2)))
        assert forcing.mels([late], 0)[0][0].shape[1] == len(late.waveform) // 64
    assert plain.shape == loud.shape
    assert not torch.allclose(plain, loud, atol=1e-3)


def test_recordings_without_a_mel_are_named_once(made, capsys, tmp_path):
    run, data, _ = made
    polygan.load(run.folder).convert(data, tmp_path / "again", prosody="recorded")
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "no mel was made" in line]
    assert "no mel was made of 2 recordings (long: longer than 1 s; untold: no transcript)" in line


def vocoder_data(data, mels, **settings):
    options = AudioSettings(source=str(data), mels=str(mels), hop_length=64, segment=640, **settings)
    return AudioDomain().open(options), options


def test_what_the_model_did_not_train_on_stays_held_out(made):
    from polygan.data import build_store, split_store

    run, data, files = made
    names = {file.stem for file in files}
    held = set(json.loads((files[0].parent / "mels.json").read_text())["held_out"])
    splits = run.splits()
    assert len(held) == len(splits["held_out"]) > 1
    source, options = vocoder_data(data, files[0].parent, held_out=0.5)
    (left,) = [line for line in source.left_out if "no mel" in line.why]
    assert (left.count, left.example) == (2, "long, untold")
    assert {r.name for r in source.recordings} == names
    assert "held-out recordings stay held out" in dict(source.describe())["mels made by"]
    split = split_store(build_store(source, options, progress=False), options.held_out)
    for name in ("train", "held_out"):
        own, theirs = (
            {s.store.item("waveform", int(row)).tobytes() for row in s.rows} for s in (split[name], splits[name])
        )
        assert own == theirs or (name == "train" and own < theirs)


def test_a_vocoder_trains_on_them_and_another_front_end_is_refused_with_both(made, tmp_path):
    _, data, files = made
    words = ["--data.mels", str(files[0].parent), "--data.hop_length", "64", "--data.segment", "1280"]
    run = {"steps": 1, "batch_size": 2, "hang_timeout": 0, "sample_every": 0, "runs": str(tmp_path), "quiet": True}
    vocoder = polygan.train("audio/vocos", str(data), model=VOCODER, arguments=words, **run)
    assert vocoder.step == 1
    assert len(vocoder.splits()["held_out"]) == 3
    with pytest.raises(ConfigError) as caught:
        polygan.train("audio/vocos", str(data), model={**VOCODER, "fmax": 3000}, arguments=words, **run)
    said = str(caught.value)
    assert "made with another mel front end than this model's (fmax 4000 instead of 3000.0)" in said
    assert said.count("MelSpec(") == 2
    assert "\n" not in said


def test_the_command_line_writes_the_same_and_replaces_its_own_alone(made, tmp_path, capsys):
    run, data, files = made
    moved = tmp_path / "elsewhere"
    shutil.copytree(data, moved)
    command = [
        "generate",
        str(run.folder),
        "--input",
        str(moved),
        "--prosody",
        "recorded",
        "--out",
        str(tmp_path / "mels"),
    ]
    for _ in range(2):
        with pytest.raises(SystemExit) as end:
            main(command)
        assert not end.value.code
    assert f"{len(files)} files: {tmp_path / 'mels'}" in capsys.readouterr().out
    for file in [*files, files[0].parent / "mels.json"]:
        assert (tmp_path / "mels" / file.name).read_bytes() == file.read_bytes()
    (tmp_path / "mine").mkdir()
    np.save(tmp_path / "mine/a.npy", np.zeros(3))
    with pytest.raises(ConfigError, match="a file that polygan did not write there"):
        run.convert(data, tmp_path / "mine", prosody="recorded")


def test_held_out_recordings_are_heard_with_their_own_prosody(made):
    run, _, _ = made
    made_again = run.generate(3, prosody="recorded")
    split = run.splits()["held_out"]
    for waveform, row in zip(made_again.data, split.rows, strict=True):
        samples = len(split.store.item("waveform", int(row)))
        assert len(waveform) == samples // 64 * 64
    given = run.domain.real(split, split.rows[:1])
    assert torch.equal(run.generate(given=given, prosody="recorded").extra["mel"][0], made_again.extra["mel"][0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pace": 2.0}, "leave --pace and --pitch out"),
        ({"vocoder": "mine"}, "mels are written and no sound; leave --vocoder out"),
        ({"format": "wav"}, "each recording gets a mel NAME.npy; leave --format out"),
    ],
)
def test_options_that_do_not_fit_are_refused(made, tmp_path, options, message):
    run, data, _ = made
    with pytest.raises(ConfigError, match=message):
        run.convert(data, tmp_path / "mels", prosody="recorded", **options)


def test_inputs_that_do_not_fit_are_refused(made, tmp_path):
    run, data, _ = made
    for given in ("deed", ["deed", "bead"]):
        with pytest.raises(ConfigError, match="prosody = recorded needs recordings with their transcripts"):
            run.generate(given=given, prosody="recorded")
    with pytest.raises(ConfigError, match="prosody = recorded needs recordings"):
        list(run.convert_lines(["deed"], prosody="recorded"))
    with pytest.raises(ConfigError, match="holds no recordings with transcripts"):
        run.convert(data / "wavs", tmp_path / "mels", prosody="recorded")
    with pytest.raises(DataError, match="nowhere' does not exist; name the folder"):
        run.convert(tmp_path / "nowhere", tmp_path / "mels", prosody="recorded")
    with pytest.raises(ConfigError, match=r"mels\.npy is one file, and each recording gets a mel"):
        run.convert(data, tmp_path / "mels.npy", prosody="recorded")
    assert not (tmp_path / "mels").exists()


def test_an_exported_model_makes_them_too_and_says_that_the_split_is_not_known(made, tmp_path, capsys):
    run, data, files = made
    exported = polygan.load(run.export(tmp_path / "voice")[0])
    found = exported.convert(data, tmp_path / "mels", prosody="recorded")
    assert "which recordings were held out from this model is not known" in capsys.readouterr().err
    assert json.loads((tmp_path / "mels/mels.json").read_text())["held_out"] == []
    assert len(found) == len(files) + 1  # an exported model knows no longest clip
    np.testing.assert_array_equal(np.load(tmp_path / "mels/000.npy"), np.load(files[0]))


def test_voices_are_those_of_their_folders(tmp_path):
    data = corpus(tmp_path / "data", TEXTS[:4], ("ann", "bob"))
    for i, text in enumerate(TEXTS[:4]):
        soundfile.write(data / f"bob/wavs/{i:03d}.wav", 0.5 * sound(text, i), RATE)
    run = trained(tmp_path, data, speakers="folders", trim=40)
    files = run.convert(data, tmp_path / "mels", prosody="recorded")
    names = {file.relative_to(tmp_path / "mels").as_posix() for file in files}
    assert names == {f"{who}/{i:03d}.npy" for who in ("ann", "bob") for i in range(4)}
    # Without speakers the same recordings have other names.
    plain, _ = vocoder_data(data, tmp_path / "mels")
    assert len(plain.mels.paths) == 8
    assert sum(plain.mels.is_held_out(r.name) for r in plain.recordings) == len(run.splits()["held_out"]) == 1
    as_bob = run.convert(data / "ann", tmp_path / "bob", prosody="recorded", speaker="bob")
    mine, his = (np.load(tmp_path / folder) for folder in ("mels/ann/000.npy", "bob/000.npy"))
    assert len(as_bob) == 4
    assert mine.shape == his.shape
    assert not np.array_equal(mine, his)
    with pytest.raises(DataError, match=r"has a speaker; .* or name one voice for all with --speaker: ann, bob"):
        run.convert(data / "ann", tmp_path / "none", prosody="recorded")


def test_a_damaged_list_is_named(made, tmp_path):
    _, data, files = made
    shutil.copytree(files[0].parent, tmp_path / "mels")
    for content in ("{", '{"format": 2}', '{"format": 1, "maker": "x", "front_end": {"n_fft": 3}, "held_out": []}'):
        (tmp_path / "mels/mels.json").write_text(content)
        with pytest.raises(DataError, match=r"mels\.json cannot be read .*make the mels again, or remove the file"):
            vocoder_data(data, tmp_path / "mels")
    (tmp_path / "mels/mels.json").unlink()
    source, _ = vocoder_data(data, tmp_path / "mels")
    assert len(source.recordings) == len(files) + 2
    assert "held_out" not in source.fields
