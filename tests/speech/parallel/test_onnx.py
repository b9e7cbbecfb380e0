"""The parallel network as an ONNX file, and as a program of torch."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from small_speech import INFO, speech

from polygan import ConfigError
from polygan_audio import vocoding
from polygan_audio.networks.excitation import GriffinLim
from polygan_audio.networks.parallel_wavegan import Generator as WaveGAN
from polygan_audio.networks.parallel_wavegan import Shape
from polygan_speech.parallel.onnx import export, program
from polygan_speech.settings import Exported

onnx, runtime = (pytest.importorskip(name) for name in ("onnx", "onnxruntime"))


@pytest.mark.parametrize(("classes", "language"), [((), "en"), (("ann", "bob"), "en"), (("ann", "bob"), "en,it")])
def test_the_file_speaks_as_the_network_does_at_any_length(tmp_path, classes, language):
    recipe = speech(
        {**INFO, "classes": list(classes), "pitch_mean": [5.0] * 2, "pitch_deviation": [0.2] * 2} if classes else INFO,
        language=language,
    )
    torch.manual_seed(0)
    networks = {name: network.eval() for name, network in recipe.networks().items()}
    (file,) = export(recipe, networks, tmp_path / "voice")
    session = runtime.InferenceSession(file, providers=["CPUExecutionProvider"])
    names = {value.name for value in session.get_inputs()}
    several = len(recipe.languages) > 1
    assert names == {"ids", "pace", "pitch", *(["speaker"] if classes else []), *(["language"] if several else [])}
    ids = torch.tensor([[recipe.end, 1, 5, 3, 2, 2, 4, recipe.end]])
    one = torch.tensor([1])
    given = {"ids": ids, "pace": torch.tensor([0.7]), "pitch": torch.ones(1), "speaker": one, "language": one - 1}
    made = torch.from_numpy(session.run(None, {name: given[name].numpy() for name in names})[0])
    generator = networks["generator"]
    wanted, _ = generator.network.speak(ids, one if classes else None, 0.7, 1.0, one - 1 if several else None)
    assert (generator.mel(wanted) - made).abs().max() < 1e-4
    if several:
        other, _ = generator.network.speak(ids, one, 0.7, 1.0, one)
        assert other.shape != wanted.shape or not torch.equal(other, wanted)
    facts = {entry.key: json.loads(entry.value) for entry in onnx.load(file).metadata_props}
    assert facts["mel"]["hop_length"] == 64
    assert facts["symbols"] == INFO["symbols"]
    assert facts["end"] == recipe.end
    assert facts.get("languages") == (["en", "it"] if several else None)


def test_the_program_speaks_as_the_network_does_at_any_length(tmp_path):
    classes = ["ann", "bob"]
    recipe = speech(
        {**INFO, "classes": classes, "pitch_mean": [5.0] * 2, "pitch_deviation": [0.2] * 2}, language="en,it"
    )
    torch.manual_seed(0)
    networks = {name: network.eval() for name, network in recipe.networks().items()}
    generator = networks["generator"]
    with torch.no_grad():
        for parameter in generator.network.predictor.parameters():  # symbols of different lengths
            parameter += 0.05 * torch.randn_like(parameter)
    (file,) = program(recipe, networks, tmp_path / "voice")
    assert file.name == "voice.pt2"
    extra = {"polygan": ""}
    run, facts = torch.export.load(file, extra_files=extra).module(), json.loads(extra["polygan"])
    assert (facts["kind"], facts["symbols"], facts["speakers"]) == ("speech", INFO["symbols"], classes)
    one, lengths = torch.tensor([1]), set()
    for ids in ([1], [1, 5, 3, 2, 2, 4], [4, 3, 2, 1] * 5):
        ids = torch.tensor([[recipe.end, *ids, recipe.end]])
        given = {"pace": torch.tensor([0.7]), "pitch": torch.ones(1), "speaker": one, "language": one - 1}
        with torch.no_grad():
            wanted, _ = generator.network.speak(ids, one, 0.7, 1.0, one - 1)
            assert (generator.mel(wanted) - run(ids=ids, **given)).abs().max() < 1e-4
        lengths.add(wanted.shape[2] / ids.shape[1])
    assert len(lengths) == 3


@pytest.mark.parametrize("write", [export, program])
def test_another_network_is_refused(tmp_path, write):
    with pytest.raises(ConfigError, match="takes a generator of audio/tacotron2; this is a Linear"):
        write(speech(), {"generator": torch.nn.Linear(1, 1)}, tmp_path / "x")


def spoken(recipe, networks, vocoder, monkeypatch, tmp_path, **more):
    """The file with a vocoder's network, its session, and what it makes of a sentence."""
    monkeypatch.setattr(vocoding, "network", lambda name, spec, runs=None: vocoder(spec))
    (file,) = export(recipe, networks, tmp_path / "voice", Exported(vocoder="any", **more))
    session = runtime.InferenceSession(file, providers=["CPUExecutionProvider"])
    facts = {entry.key: json.loads(entry.value) for entry in onnx.load(file).metadata_props}
    return session, facts["polygan"]


def made_of(session, ids, pace=0.8, **beside):
    given = {"ids": torch.tensor([ids]), "pace": torch.tensor([pace]), "pitch": torch.zeros(1), **beside}
    return map(torch.from_numpy, session.run(["waveform", "mel"], {name: x.numpy() for name, x in given.items()}))


def test_with_griffin_lim_the_file_gives_the_sound_of_its_mel(tmp_path, monkeypatch):
    recipe = speech()
    torch.manual_seed(0)
    networks = {name: network.eval() for name, network in recipe.networks().items()}
    networks["generator"].mel_mean.fill_(-7.0)  # a quiet sound, which nothing clips
    few = []

    def vocoder(spec):
        few.append(GriffinLim(spec, 3, 5).eval())
        return few[0]

    session, facts = spoken(recipe, networks, vocoder, monkeypatch, tmp_path)
    ids = [recipe.end, 1, 5, 3, 2, 2, 4, 1, 1, recipe.end]
    waveform, mel = made_of(session, ids)
    made, _ = networks["generator"].network.speak(torch.tensor([ids]), None, 0.8)
    wanted = networks["generator"].mel(made).clamp(min=recipe.mel.silence)
    assert wanted.shape[2] > 20
    assert (wanted - mel).abs().max() < 1e-4
    assert waveform.shape == (1, mel.shape[2] * 64)
    assert (few[0](mel) - waveform).abs().max() < 1e-4
    assert 0.001 < waveform.abs().max() < 1
    assert facts["reading"]["kind"] == "characters"
    assert (facts["sample_rate"], facts["hop_length"], facts["end"], facts["longest_text"]) == (8000, 64, 7, 40)
    assert facts["semitones"] == pytest.approx([0.05776 / 0.25], rel=1e-3)


def test_a_vocoder_that_hears_noise_takes_noise_of_the_longest_sentence(tmp_path, monkeypatch):
    recipe = speech()
    torch.manual_seed(0)
    networks = {name: network.eval() for name, network in recipe.networks().items()}
    made = []

    def vocoder(spec):
        shape = Shape(layers=2, stacks=1, channels=4, gates=6, skips=5, scales=(4, 4, 4), window=1)
        made.append(WaveGAN(shape, spec).eval())
        return made[0]

    session, facts = spoken(recipe, networks, vocoder, monkeypatch, tmp_path)
    most = facts["most_frames"] * facts["hop_length"]
    assert most == 20 * 8000
    noise = torch.randn(1, most)
    waveform, mel = made_of(session, [recipe.end, 1, 2, recipe.end], noise=noise)
    wanted = made[0](mel, noise[:, : waveform.shape[1]]).clamp(-1, 1)
    assert (wanted - waveform).abs().max() < 1e-4
    assert wanted.abs().max() > 0.01


def test_a_sentence_that_does_not_end_is_cut_after_the_longest(tmp_path, monkeypatch):
    recipe = speech()
    networks = {name: network.eval() for name, network in recipe.networks().items()}
    session, facts = spoken(recipe, networks, lambda spec: GriffinLim(spec, 1, 1).eval(), monkeypatch, tmp_path)
    _, mel = made_of(session, [1] * 300, pace=0.1)
    assert mel.shape[2] == facts["most_frames"]


def test_words_for_characters_and_vocoders_that_are_nowhere_are_refused_in_one_line(tmp_path):
    (tmp_path / "words.txt").write_text("one\n")
    recipe = speech()
    with pytest.raises(ConfigError, match="reads characters, which need no pronunciations"):
        export(recipe, recipe.networks(), tmp_path / "x.onnx", Exported(words=str(tmp_path / "words.txt")))
    with pytest.raises(ConfigError, match="is neither a run nor an exported file"):
        export(recipe, recipe.networks(), tmp_path / "x.onnx", Exported(vocoder="nowhere"))
    assert not list(tmp_path.glob("*.onnx"))
