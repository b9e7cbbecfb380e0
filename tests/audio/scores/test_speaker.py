"""Embeddings of voices: equal to resemblyzer's own numbers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
import torchaudio.functional as AF
from safetensors.torch import load_file

sys.path.insert(0, str(Path(__file__).parent))
from made_evaluations import evaluation, voice

from polygan import ConfigError
from polygan_audio.scores import speaker, speech

GOLDEN = Path(__file__).parents[2] / "golden/resemblyzer/voice.safetensors"


@pytest.fixture(scope="module")
def golden():
    return load_file(GOLDEN)


@pytest.fixture(scope="module")
def encoder():
    try:
        return speaker.load(speaker.weights_file())
    except ConfigError as error:
        pytest.skip(str(error))


def test_mel_powers_are_those_of_resemblyzer(golden):
    found = speaker.mel_powers(golden["waveform"].float() / 32768)
    torch.testing.assert_close(found, golden["mel"], rtol=1e-4, atol=1e-6)


def test_partial_utterances_are_those_of_resemblyzer(golden):
    starts = [speaker.partial_starts(samples) for samples in golden["samples"].tolist()]
    assert [len(found) for found in starts] == golden["parts"].tolist()
    assert [found[-1] for found in starts] == golden["last"].tolist()


def test_embeddings_are_those_of_resemblyzer(golden, encoder):
    clip = golden["waveform"].float() / 32768
    expected = torch.stack([golden["embedding"], golden["quiet"]])
    torch.testing.assert_close(encoder.embeddings([clip, 0.01 * clip], 16_000), expected, rtol=0, atol=1e-5)


def test_embeddings_have_length_one_for_clips_of_any_length_and_rate(encoder):
    found = encoder.embeddings([voice(0.2), voice(4.0), torch.zeros(3000)], 22_050)
    assert found.shape == (3, 256)
    assert found[:2].norm(dim=1).tolist() == pytest.approx([1, 1], abs=1e-5)
    assert found[2].isnan().all()  # silence has no voice


def test_similarities_worked_out():
    voices = torch.tensor([[1.0, 0], [0, 1], [torch.nan, torch.nan]])
    belongs = torch.tensor([[True, False, True], [True, True, False], [False, False, True], [True, True, True]])
    made = torch.tensor([[1.0, 0], [1, 0], [1, 0], [torch.nan, 0]])
    found = speaker.similarities(made, voices, belongs)
    assert found[:2] == pytest.approx([1, 0.5**0.5])
    assert found[2:] == [None, None]


def test_missing_weights_are_one_line_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "resemblyzer", None)
    e = evaluation()
    with pytest.raises(ConfigError, match="pip install --no-deps resemblyzer") as error:
        speech.similarity(e)
    assert "\n" not in str(error.value)
    assert e.recipe.calls == 0


def test_weights_of_another_network_are_refused(tmp_path):
    torch.save({"model_state": {"lstm.weight_ih_l0": torch.zeros(3, 3)}}, tmp_path / "pretrained.pt")
    with pytest.raises(ConfigError, match=r"pretrained\.pt holds the weights of another network"):
        speaker.load(tmp_path / "pretrained.pt")


def test_a_higher_voice_is_another_speaker(encoder):
    clips = [voice(1.6, seed=i) for i in range(3)]
    higher = AF.resample(clips[2], 4, 3).repeat(2)[: len(clips[2])]
    first, second, third, other = encoder.embeddings([*clips, higher], 16_000)
    assert other @ first < min(third @ first, second @ first) - 0.05


@pytest.mark.slow
def test_two_real_speakers_are_told_apart(encoder, speech, shared_data):
    import soundfile

    english, _ = speech("activated", "agent-alreadyon", "conf-hasleft", "auth-incorrect")
    folder = shared_data("speech-it") / "wavs"
    names = sorted(folder.glob("*"), key=lambda path: -path.stat().st_size)[:3]
    italian = [torch.from_numpy(soundfile.read(path, dtype="float32")[0]) for path in names]
    a, b = encoder.embeddings(english, 16_000), encoder.embeddings(italian, 16_000)
    within = speaker.similarities(a, a, ~torch.eye(4, dtype=torch.bool))
    across = speaker.similarities(b, a, torch.ones(3, 4, dtype=torch.bool))
    assert min(within) > max(across)
