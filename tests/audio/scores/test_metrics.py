"""Whole evaluations with vocoders of known faults."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from made_evaluations import RATE, SPEC, by_name, evaluation, noisy, voice

from polygan import ConfigError, DataError
from polygan_audio.networks.griffinlim import griffin_lim, invertible
from polygan_audio.networks.melspec import MelSpec
from polygan_audio.scores import measures, metrics, word_errors


def test_windows_without_overlap_have_no_griffin_lim():
    spec = MelSpec(sample_rate=RATE, n_fft=256, win_length=256, hop_length=256, n_mels=20)
    assert invertible(SPEC)
    assert not invertible(spec)
    found = metrics.mel_distance(evaluation(mel=spec))
    assert [s.name for s in found] == ["audio/mel-distance"]


def test_word_errors_over_all_clips_beside_the_recordings(monkeypatch):
    pytest.importorskip("pocketsphinx")
    texts = ["press one", "hello there my friend"]
    e = evaluation(lambda clip: clip * 0.5, text=texts)
    heard = []

    def recognise(clips, rate):
        heard.append(float(clips[0].abs().max()))
        assert rate == RATE
        return ["press one", "hello there my friend"] if len(heard) == 1 else ["press on", "hello their friend"]

    monkeypatch.setattr(word_errors, "recognise", recognise)
    found = by_name(metrics.wer(e))
    assert (found["audio/wer"].value, found["audio/wer"].floor) == (3 / 6, 0.0)
    assert found["audio/wer-of-griffin-lim"].floor == 0.0
    assert heard[1] == pytest.approx(heard[0] / 2)  # the recordings, then the networks' clips
    assert "6 words" in found["audio/wer"].note
    metrics.wer(e)
    assert len(heard) == 4  # recordings and Griffin-Lim are heard once


def test_recordings_stand_on_the_floor_and_noise_above_it():
    for metric, floor in ((metrics.mel_distance, 0), (metrics.stft_distance, 0), (metrics.mcd, 0)):
        same, some, more = (
            by_name(metric(evaluation(f)))[f"audio/{metric.__name__.replace('_', '-')}"]
            for f in (lambda c: c, lambda c: noisy(c, 0.003), lambda c: noisy(c, 0.03))
        )
        assert same.value == same.floor == floor
        assert floor < some.value < more.value
        assert same.better == "lower"


def test_measures_of_speech_rank_noise_and_have_their_floor():
    for name, metric, floor in (("stoi", metrics.stoi, 1.0), ("pesq", metrics.pesq, 4.644)):
        pytest.importorskip({"stoi": "pystoi"}.get(name, name))
        some, more = (
            by_name(metric(evaluation(f)))[f"audio/{name}"] for f in (lambda c: noisy(c, 0.02), lambda c: noisy(c, 0.2))
        )
        assert more.value < some.value < some.floor == pytest.approx(floor, abs=1e-3)
        assert some.better == "higher"


def test_griffin_lim_stands_beside_every_score_and_is_its_own_measure():
    e = evaluation(lambda c: noisy(c, 0.1))
    found = by_name(metrics.mel_distance(e))
    clips = e.domain.clips
    expected = np.mean([measures.mel_distance(SPEC, c, griffin_lim(SPEC, SPEC(c), len(c))) for c in clips])
    assert found["audio/mel-distance-of-griffin-lim"].value == pytest.approx(expected, rel=1e-5)
    note = found["audio/mel-distance"].note
    assert "2 held-out clips, 3 s at 16000 Hz" in note
    assert "80 bands, 1024/256, padding same" in note


def test_given_mels_are_what_griffin_lim_starts_from():
    clip = voice()
    mels = [SPEC(voice(seed=9))]
    found = by_name(metrics.mel_distance(evaluation(clips=[clip], mel=SPEC)))
    other = evaluation(clips=[clip])
    other.domain.extra = {"mel": mels}
    changed = by_name(metrics.mel_distance(other))
    name = "audio/mel-distance-of-griffin-lim"
    assert changed[name].value > 3 * found[name].value


def test_clips_that_cannot_be_judged_are_counted():
    pytest.importorskip("pystoi")
    clips = [voice(1.0), voice(0.2, seed=1)]
    found = by_name(metrics.stoi(evaluation(clips=clips)))["audio/stoi"]
    assert found.value == pytest.approx(1, abs=1e-6)
    assert "1 clip could not be judged" in found.note
    with pytest.raises(DataError, match="audio/stoi: none of the 1 clips could be judged"):
        metrics.stoi(evaluation(clips=clips[1:]))


def test_a_network_that_diverged_gets_a_bad_score_and_is_named():
    def broken(clip):
        clip = clip.clone()
        clip[100:] = math.nan
        return clip

    found = by_name(metrics.mel_distance(evaluation(broken)))["audio/mel-distance"]
    assert found.value > 2
    assert "2 made clips had NaN" in found.note


def test_word_errors_need_transcripts():
    pytest.importorskip("pocketsphinx")
    for extra in ({}, {"text": ["", "..."]}):
        with pytest.raises(DataError, match=r"needs transcripts.*LJSpeech layout"):
            metrics.wer(evaluation(**extra))


def test_word_errors_leave_out_what_has_no_transcript(monkeypatch):
    """Only the first piece of a long recording can have one; what is heard in the others is no insertion."""
    pytest.importorskip("pocketsphinx")
    monkeypatch.setattr(word_errors, "recognise", lambda clips, rate: ["one three four"] * len(clips))
    (found, usual) = metrics.wer(evaluation(clips=[voice(), voice(seed=1)], text=["", "One, two!"]))
    assert (found.value, found.floor, usual.value) == (1.0, 1.0, 1.0)  # two edits over two words
    assert "2 words of 1 clip with a transcript" in found.note


@pytest.mark.parametrize(
    ("metric", "package", "extra"),
    [
        (metrics.stoi, "pystoi", "metrics"),
        (metrics.pesq, "pesq", "metrics"),
        (metrics.wer, "pocketsphinx", "words"),
        (metrics.dnsmos, "speechmos", "mos"),
        (metrics.dnsmos, "onnxruntime", "mos"),
    ],
)
def test_missing_packages_are_one_line_with_what_to_install(monkeypatch, metric, package, extra):
    monkeypatch.setitem(sys.modules, package, None)
    e = evaluation(text=["a", "b"])
    with pytest.raises(
        ConfigError, match=rf"needs the package {package}: pip install 'polygan-audio\[{extra}\]'"
    ) as error:
        metric(e)
    assert "\n" not in str(error.value)
    assert e.recipe.calls == 0  # nothing is generated for it


@pytest.mark.slow
def test_real_speech_and_its_griffin_lim(speech):
    """With the front end of HiFi-GAN, Griffin-Lim is intelligible (STOI) and does not sound well (PESQ)."""
    for package in ("pystoi", "pesq"):
        pytest.importorskip(package)
    clips, _ = speech("agent-alreadyon")
    e = evaluation(lambda c: noisy(c, 0.003), clips=clips)
    stoi, pesq = by_name(metrics.stoi(e)), by_name(metrics.pesq(e))
    assert 0.9 < stoi["audio/stoi-of-griffin-lim"].value < 0.99
    assert 1.3 < pesq["audio/pesq-of-griffin-lim"].value < 3.5
    assert stoi["audio/stoi"].value < stoi["audio/stoi"].floor == pytest.approx(1, abs=1e-6)
    assert pesq["audio/pesq"].value < pesq["audio/pesq"].floor == pytest.approx(4.644, abs=1e-3)


def test_a_clip_without_a_finite_measure_is_counted_and_left_out_of_the_mean(monkeypatch):
    values = iter([0.0, 0.0, math.nan, 2.0, 1.0, math.inf])  # floor, networks, Griffin-Lim of two clips
    monkeypatch.setattr(measures, "stft_distance", lambda real, other: next(values))
    found = by_name(metrics.stft_distance(evaluation(lambda clip: clip)))
    assert found["audio/stft-distance"].value == 2.0
    assert found["audio/stft-distance-of-griffin-lim"].value == 1.0
    assert all("1 clip could not be judged" in s.note for s in found.values())
    monkeypatch.setattr(measures, "stft_distance", lambda real, other: math.nan)
    with pytest.raises(DataError, match="none of the 2 clips could be judged"):
        metrics.stft_distance(evaluation(lambda clip: clip))
