"""Scores of speech that does not keep the time, with known answers."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import torchaudio.functional as AF

sys.path.insert(0, str(Path(__file__).parent))
from made_evaluations import RATE, SPEC, Speaker, by_name, conversion, evaluation, noisy, voice

from polygan import DataError
from polygan_audio.networks.griffinlim import griffin_lim
from polygan_audio.scores import measures, metrics, speech

TEXTS = ["One.", "Two."]


def spoken(fault, **more):
    return evaluation(fault, recipe=Speaker, text=TEXTS, **more)


def behind_silence(clip, before=4000, behind=8000):
    return F.pad(clip, (before, behind))


# Measures


def slower(clip, factor):
    """The clip at another pace and the same pitch, by a phase vocoder."""
    window, hop = torch.hann_window(1024), 256
    spectrum = torch.stft(clip, 1024, hop, window=window, return_complex=True)
    advance = torch.linspace(0, math.pi * hop, 513)[:, None]
    return torch.istft(AF.phase_vocoder(spectrum, 1 / factor, advance), 1024, hop, window=window)


def test_warped_distortion_of_a_slower_copy_is_small_and_of_the_same_clip_is_zero():
    clip, other = voice(0.6), voice(0.6, seed=3)
    slow = slower(clip, 1.2)
    assert len(slow) == pytest.approx(1.2 * len(clip), rel=0.05)
    assert measures.warped_distortion(SPEC, clip, clip) == 0
    found = measures.warped_distortion(SPEC, clip, slow)
    assert found < 0.3 * measures.mel_cepstral_distortion(SPEC, F.pad(clip, (0, len(slow) - len(clip))), slow)
    assert found < 0.3 * measures.warped_distortion(SPEC, clip, other)


def test_warped_distortion_is_in_decibels(monkeypatch):
    """Frames whose cepstra differ by 1 in one coefficient: 10 / ln 10 sqrt(2) dB, for all ways through."""
    monkeypatch.setattr(measures, "cepstra", lambda spec, clip, coefficients: clip)
    a, b = torch.zeros(13, 3), torch.zeros(13, 5)
    b[4] = 1
    assert measures.warped_distortion(SPEC, a, b) == pytest.approx(10 / math.log(10) * math.sqrt(2), rel=1e-6)


def test_warped_distortion_of_more_frames_than_fit_into_the_memory_is_not_known(monkeypatch):
    monkeypatch.setattr(measures, "MOST_FRAMES", 30)
    clip = voice(1.0)
    assert measures.warped_distortion(SPEC, clip, clip[: 20 * 256]) is None
    assert measures.warped_distortion(SPEC, clip[: 20 * 256], clip[: 20 * 256]) == 0


def test_silence_at_the_ends_is_cut_to_frames_of_20_milliseconds():
    tone = 0.5 * torch.sin(torch.arange(8000) * 0.3)
    found = measures.trimmed(RATE, behind_silence(tone) + 1e-4)
    assert abs(len(found) - 8000) <= 2 * 320
    assert len(measures.trimmed(RATE, torch.zeros(5000))) == 0
    assert len(measures.trimmed(RATE, tone[:100])) == 100
    quiet = F.pad(tone, (0, 4000)) + 0.02 * F.pad(tone[:4000], (8000, 0))  # 34 dB below the tone
    assert len(measures.trimmed(RATE, quiet)) > 11_500


def test_durations_are_logarithms_of_ratios_of_what_sounds():
    clip = noisy(torch.zeros(RATE), 0.1)
    twice = noisy(torch.zeros(2 * RATE), 0.1)
    assert measures.log_duration(RATE, clip, behind_silence(twice)) == pytest.approx(math.log(2), abs=0.03)
    assert measures.log_duration(RATE, twice, clip) == pytest.approx(-math.log(2), abs=0.03)
    assert measures.log_duration(RATE, clip, torch.zeros(100)) is None


def test_curvature_worked_out_on_a_mel():
    clip = voice(0.5)
    mel = SPEC(measures.trimmed(RATE, clip)).double()
    expected = sum(float((mel[b - 1] - 2 * mel[b] + mel[b + 1]).abs().mean()) for b in range(1, len(mel) - 1)) / (
        len(mel) - 2
    )
    assert measures.curvature(SPEC, clip) == pytest.approx(expected, rel=1e-5)
    assert measures.curvature(SPEC, torch.zeros(5000)) is None


# Scores


def test_a_slower_copy_keeps_its_spectra():
    clips = [voice(0.5), voice(0.5, seed=1)]
    found = by_name(speech.mcd_dtw(spoken(lambda clip: slower(clip, 1.2), clips=clips)))["audio/mcd-dtw"]
    worse = by_name(speech.mcd_dtw(spoken(lambda clip: noisy(clip, 0.1), clips=clips)))["audio/mcd-dtw"]
    same = by_name(speech.mcd_dtw(spoken(lambda clip: clip, clips=clips)))
    assert 0 == same["audio/mcd-dtw"].value == same["audio/mcd-dtw"].floor
    assert 0 < found.value < 0.3 * worse.value
    assert same["audio/mcd-dtw-of-griffin-lim"].value > 0
    assert "cepstra 1-13" in found.note


def test_duration_says_how_much_too_long_and_too_short_clips_are():
    clips = [noisy(torch.zeros(8000), 0.1, seed) for seed in range(2)]
    wrong = {0: 2.0, 1: 0.5}
    factors = iter(wrong.values())
    found = by_name(speech.duration(spoken(lambda clip: clip.repeat(2)[: int(len(clip) * next(factors))], clips=clips)))
    score = found["audio/duration"]
    assert score.value == pytest.approx(math.log(2), abs=0.06)
    assert (score.floor, score.better) == (0.0, "lower")
    assert "last 1.0" in score.note or "last 0.9" in score.note  # too long and too short even out
    same = by_name(speech.duration(spoken(behind_silence)))["audio/duration"]
    assert same.value < 0.05  # silence is not counted


def test_a_blurred_mel_is_less_sharp_than_its_recording():
    def blurred(clip):
        mel = SPEC(clip)
        smooth = F.avg_pool1d(F.pad(mel.T[:, None], (3, 3), mode="replicate"), 7, 1)[:, 0].T
        return griffin_lim(SPEC, smooth, len(clip), 8)

    clips = [voice(0.5), voice(0.5, seed=1)]
    dull = by_name(speech.sharpness(spoken(blurred, clips=clips)))["audio/sharpness"]
    same = by_name(speech.sharpness(spoken(lambda clip: clip, clips=clips)))["audio/sharpness"]
    assert dull.value < 0.9
    assert same.value == pytest.approx(1, abs=1e-6)
    assert (same.floor, same.better) == (1.0, "near")


class Voices:
    """Embeddings at the angle that a clip's peak says, in quarters of a turn."""

    def embeddings(self, clips, rate):
        angles = torch.stack([clip.abs().max() for clip in clips]) * math.pi / 2
        return torch.stack([angles.cos(), angles.sin()], 1)


@pytest.fixture
def voices(monkeypatch):
    monkeypatch.setattr(speech, "_encoder", lambda evaluation: Voices())


def peaked(*peaks):
    return [voice(0.3, seed=i) / voice(0.3, seed=i).abs().max() * peak for i, peak in enumerate(peaks)]


def cosine(a, b):
    return math.cos(math.pi / 2 * (a - b))


def test_speakers_are_compared_with_their_other_recordings(voices):
    e = evaluation(
        lambda clip: clip * 0.5, peaked(0.2, 0.3, 0.8, 0.9), recipe=Speaker, text=TEXTS * 2, labels=[0, 0, 1, 1]
    )
    found = by_name(speech.similarity(e))
    score = found["audio/speaker"]
    assert score.floor == pytest.approx(cosine(0, 0.1), abs=1e-5)
    expected = [cosine(0.1, 0.3), cosine(0.15, 0.2), cosine(0.4, 0.9), cosine(0.45, 0.8)]
    assert score.value == pytest.approx(sum(expected) / 4, abs=1e-5)
    assert score.better == "higher"


def test_the_speaker_asked_for_counts_and_not_the_one_of_the_recording(voices):
    e = evaluation(lambda clip: clip, peaked(0.2, 0.2, 0.8, 0.8), recipe=Speaker, text=TEXTS * 2, labels=[0, 0, 1, 1])
    made = e.recipe.generate

    def always_second(networks, request):
        samples = made(networks, request)
        samples.labels = torch.ones(4, dtype=torch.long)
        return samples

    e.recipe.generate = always_second
    score = by_name(speech.similarity(e))["audio/speaker"]
    assert score.value == pytest.approx((cosine(0.2, 0.8) + 1) / 2, abs=1e-5)


def test_data_without_speakers_has_one_and_one_recording_is_too_few(voices):
    score = by_name(speech.similarity(evaluation(lambda clip: clip, peaked(0.2, 0.6))))["audio/speaker"]
    assert score.value == score.floor == pytest.approx(cosine(0.2, 0.6), abs=1e-5)
    with pytest.raises(DataError, match=r"needs two held-out recordings of a speaker.*--data\.held_out"):
        speech.similarity(evaluation(lambda clip: clip, peaked(0.5)))


def test_a_converted_voice_is_near_its_target_and_far_from_its_source(voices):
    clips = peaked(0.2, 0.9, 0.2, 0.9, 0.9)
    moved = conversion(lambda clip: clip * 4, clips, "ababb")
    near, far = by_name(speech.similarity(moved))["audio/speaker"], by_name(speech.similarity_to_source(moved))
    assert near.value == pytest.approx(cosine(0.8, 0.9), abs=1e-5)
    assert near.floor == pytest.approx(1, abs=1e-5)
    assert near.baseline == (pytest.approx(cosine(0.2, 0.9), abs=1e-5), "the given recordings")
    far = far["audio/speaker-of-source"]
    assert far.value == pytest.approx(cosine(0.8, 0.2), abs=1e-5)
    assert (far.floor, far.better) == (pytest.approx(cosine(0.9, 0.2), abs=1e-5), "lower")


def test_scores_that_do_not_apply_say_so_in_one_line(voices):
    with pytest.raises(DataError, match="for recipes that make one voice into another") as error:
        speech.similarity_to_source(evaluation())
    assert "\n" not in str(error.value)
    with pytest.raises(DataError, match="needs recordings of the same words by the voice that is made"):
        speech.mcd_dtw(conversion(lambda clip: clip, peaked(0.5, 0.5), "ab"))


def test_sharpness_of_a_converted_voice_is_against_the_other_voice():
    clips = [voice(0.5), noisy(voice(0.5), 0.05)]
    score = by_name(speech.sharpness(conversion(lambda clip: clip, clips, "ab")))["audio/sharpness"]
    expected = measures.curvature(SPEC, clips[0]) / measures.curvature(SPEC, clips[1])
    assert score.value == pytest.approx(expected, rel=1e-5)


def test_word_errors_and_opinions_take_speech_of_any_length(monkeypatch):
    pytest.importorskip("pocketsphinx")
    monkeypatch.setattr(metrics.word_errors, "recognise", lambda clips, rate: ["one"] * len(clips))
    clips = [voice(0.5), voice(0.5, seed=1)]
    found = by_name(metrics.wer(spoken(lambda clip: clip[: len(clip) // 2], clips=clips)))
    assert found["audio/wer"].value == 0.5
    monkeypatch.setattr(measures, "DNSMOS", lambda: Opinion())
    found = by_name(metrics.dnsmos(spoken(lambda clip: clip[:4000], clips=clips)))
    assert (found["audio/dnsmos-bak"].value, found["audio/dnsmos-bak"].floor) == (4000.0, 8000.0)


class Opinion:
    names = ("sig", "bak", "ovrl")

    def __call__(self, waveform):
        return torch.tensor([0.0, float(len(waveform)), 1.0]).numpy()
