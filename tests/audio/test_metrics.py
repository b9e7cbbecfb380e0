"""Measures against numbers worked out by hand and by other libraries; whole evaluations with vocoders of known faults."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.fft
import torch

from polygan import ConfigError, DataError, Evaluation, Samples
from polygan_audio import metrics, pairs, scores, words
from polygan_audio.griffinlim import griffin_lim, invertible, magnitudes_of
from polygan_audio.melspec import MelSpec, resolve

RATE = 16_000
SPEC = resolve("hifigan", RATE)


def voice(seconds=1.5, seed=0, rate=RATE):
    """Something that measures of speech take for it: a buzz of gliding pitch through moving formants, in syllables."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * rate)) / rate
    pitch = 120 + 30 * np.sin(2 * np.pi * 0.7 * t + rng.uniform(0, 6))
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    buzz = np.zeros_like(t)
    formant = 900 + 500 * np.sin(2 * np.pi * 2.3 * t + rng.uniform(0, 6))
    for k in range(1, 25):
        height = np.exp(-(((k * pitch - formant) / 400) ** 2)) + 0.3 * np.exp(-(((k * pitch - 2400) / 500) ** 2))
        buzz += height * np.sin(k * phase)
    envelope = np.clip(np.sin(2 * np.pi * 3.1 * t + rng.uniform(0, 6)), 0.0, 1) ** 0.5
    sound = buzz * envelope + 1e-3 * rng.normal(size=len(t))
    return torch.from_numpy(0.6 * sound / np.abs(sound).max()).float()


def noisy(clip, level, seed=0):
    return clip + level * torch.randn(len(clip), generator=torch.Generator().manual_seed(seed))


class Domain:
    """Hands out clips by row."""

    def __init__(self, clips, rate=RATE, **extra):
        self.clips, self.rate, self.extra, self.asked = clips, rate, extra, 0

    def real(self, split, rows):
        self.asked += len(rows)
        extra = {k: [v[r] for r in rows] for k, v in self.extra.items()}
        return Samples([self.clips[r] for r in rows], self, extra={"sample_rate": self.rate, **extra})


class Vocoder:
    """A recipe that makes of recordings what ``fault`` makes of each."""

    translates = True

    def __init__(self, fault, mel=SPEC):
        self.fault, self.mel, self.calls = fault, mel, 0

    def sample(self, networks, n, seed, options=None, inputs=None):
        self.calls += 1
        assert n == len(inputs)
        return Samples([self.fault(clip) for clip in inputs.data], inputs.domain, extra=inputs.extra)


@pytest.fixture(autouse=True)
def _forget(monkeypatch):
    monkeypatch.setattr(pairs.Pairs, "_last", None)


def evaluation(fault=lambda clip: clip, clips=None, rate=RATE, mel=SPEC, count=1000, rows=None, **extra):
    clips = [voice(seed=i) for i in range(2)] if clips is None else clips
    domain = Domain(clips, rate, **extra)
    rows = np.arange(len(clips)) if rows is None else rows
    held_out = SimpleNamespace(store=SimpleNamespace(key="k"), rows=rows)
    return Evaluation(
        domain, {}, None, held_out, None, Path(), torch.device("cpu"), count=count, recipe=Vocoder(fault, mel)
    )


def by_name(found):
    return {s.name: s for s in found}


# The measures


def test_mel_distance_of_a_louder_clip_is_the_logarithm_of_the_gain():
    clip = noisy(torch.zeros(8000), 0.1)  # far above the front end's floor in every band
    assert scores.mel_distance(SPEC, clip, 2 * clip) == pytest.approx(math.log(2), rel=1e-4)
    ten = replace(SPEC, log="log10")
    assert scores.mel_distance(ten, clip, 2 * clip) == pytest.approx(math.log(2), rel=1e-4)
    assert scores.mel_distance(SPEC, clip, clip) == 0


def test_stft_distance_of_a_louder_clip_worked_out():
    """|X| and 2 |X|: convergence 1, logarithms apart by ln 2, at every resolution."""
    clip = noisy(torch.zeros(8000), 0.3)
    assert scores.stft_distance(clip, 2 * clip) == pytest.approx(1 + math.log(2), rel=1e-4)
    assert scores.stft_distance(2 * clip, clip) == pytest.approx(0.5 + math.log(2), rel=1e-4)
    assert scores.stft_distance(clip, clip) == 0


def test_stft_distance_against_plain_fourier_transforms():
    a, b = (noisy(torch.zeros(4000), 0.2, seed).double().numpy() for seed in (1, 2))
    expected = []
    for n, hop, length in ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240)):
        window = np.zeros(n)
        window[(n - length) // 2 :][:length] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
        magnitudes = []
        for x in (a, b):
            x = np.pad(x, n // 2, mode="reflect")
            frames = np.stack([x[i : i + n] * window for i in range(0, len(x) - n + 1, hop)])
            magnitudes.append(np.sqrt(np.maximum(np.abs(np.fft.rfft(frames)) ** 2, 1e-7)))
        x, y = magnitudes
        expected.append(np.linalg.norm(x - y) / np.linalg.norm(x) + np.abs(np.log(x) - np.log(y)).mean())
    got = scores.stft_distance(torch.from_numpy(a).float(), torch.from_numpy(b).float())
    assert got == pytest.approx(np.mean(expected), rel=1e-4)


def test_cepstra_are_those_of_scipy():
    clip = voice(0.5)
    logs = SPEC(clip).double().numpy()  # natural already
    expected = scipy.fft.dct(logs, type=2, axis=0)[1:14] / SPEC.n_mels  # scipy's has a factor of 2
    assert np.allclose(scores.cepstra(SPEC, clip), expected, atol=1e-4)


def test_mel_cepstral_distortion_of_all_coefficients_is_the_difference_in_decibels():
    """Root mean square over bands of 20 log10 of the ratio, less its mean: what the definition stands for."""
    a, b = voice(0.5), noisy(voice(0.5), 0.05)
    levels = 20 / math.log(10) * (SPEC(a) - SPEC(b))
    expected = (levels - levels.mean(0)).square().mean(0).sqrt().mean()
    assert scores.mel_cepstral_distortion(SPEC, a, b, SPEC.n_mels - 1) == pytest.approx(float(expected), rel=1e-4)
    assert scores.mel_cepstral_distortion(SPEC, a, b) < 0.99 * float(expected)  # 13 of them see less
    loud = noisy(torch.zeros(8000), 0.1)
    assert scores.mel_cepstral_distortion(SPEC, loud, 2 * loud) == pytest.approx(0, abs=1e-3)  # loudness is not in it


def test_stoi_is_pystois_and_short_clips_have_none():
    pystoi = pytest.importorskip("pystoi")
    clip = voice(1.0)
    other = noisy(clip, 0.2)
    expected = pystoi.stoi(clip.double().numpy(), other.double().numpy(), RATE)
    assert scores.stoi(RATE, clip, other) == pytest.approx(expected, abs=1e-9)
    assert expected < scores.stoi(RATE, clip, clip) == pytest.approx(1, abs=1e-6)
    assert scores.stoi(RATE, clip[:4000], clip[:4000]) is None
    assert scores.stoi(RATE, torch.zeros(RATE), clip[:RATE]) is None


@pytest.mark.parametrize(("rate", "wanted", "mode"), [(8000, 8000, "nb"), (11_025, 8000, "nb"), (22_050, 16_000, "wb")])
def test_pesq_is_the_packages_at_the_rate_that_it_takes(rate, wanted, mode):
    import torchaudio.functional as AF

    package = pytest.importorskip("pesq")
    a = voice(1.0, rate=rate)
    b = noisy(a, 0.02)
    x, y = (AF.resample(c, rate, wanted).numpy() for c in (a, b))
    assert scores.pesq(rate, a, b) == pytest.approx(package.pesq(wanted, x, y, mode), abs=1e-6)
    assert scores.pesq(rate, a, a) == pytest.approx({"nb": 4.549, "wb": 4.644}[mode], abs=1e-3)


def test_what_pesq_refuses_has_no_score():
    pytest.importorskip("pesq")
    clip = voice(1.0)
    assert scores.pesq(RATE, clip, torch.zeros_like(clip)) is None
    assert scores.pesq(RATE, clip[:2000], clip[:2000]) is None
    with pytest.raises(DataError, match="8000 Hz or more, and the data has 7000 Hz"):
        scores.pesq(7000, clip, clip)


# Griffin-Lim


@pytest.mark.parametrize("preset", ["hifigan", "tacotron2", "vocos", "speecht5"])
def test_magnitudes_have_the_mel_that_they_were_made_from(preset):
    spec = resolve(preset, RATE)
    mel = spec(voice(0.5))
    found = magnitudes_of(spec, mel)
    bands = spec.filters() @ found
    again = bands.clamp(min=spec.floor)
    again = again.log() if spec.log == "ln" else again.log10()
    assert (found >= 0).all()
    loud = mel > mel.max() - (5 if spec.log == "ln" else 5 / math.log(10))
    assert (again - mel)[loud].abs().mean() < 0.02
    first = magnitudes_of(spec, mel, 0)
    wanted = mel.exp() if spec.log == "ln" else 10**mel
    assert (bands - wanted).norm() < 0.5 * (spec.filters() @ first - wanted).norm()


@pytest.mark.parametrize(
    "changes", [{}, {"padding": "center"}, {"n_fft": 1020, "hop_length": 252}, {"win_length": 800}]
)
@pytest.mark.parametrize("length", [8192, 8400])
def test_griffin_lim_lies_where_the_recording_does(changes, length):
    """The envelope, which a shift by half a hop would move: correlated best without a shift."""
    if changes.get("n_fft"):
        changes = {**changes, "win_length": changes["n_fft"]}
    spec = replace(SPEC, **changes)
    clip = voice(1.0)[:length].clone()
    clip[3000:3100] += 0.8 * torch.hann_window(100)  # something sharp
    made = griffin_lim(spec, spec(clip), length)
    assert made.shape == clip.shape
    assert made[-200:].abs().max() > 0.2 * clip[-200:].abs().max()  # the end is not cut off
    power = [torch.nn.functional.avg_pool1d(x.square()[None], 33, 1, 16)[0] for x in (clip, made)]
    power = [p - p.mean() for p in power]
    shifts = range(-192, 193, 32)
    fits = [float((power[0] * power[1].roll(s)).sum()) for s in shifts]
    assert abs(shifts[int(np.argmax(fits))]) <= 32
    assert scores.mel_distance(spec, clip, made) < 0.35


def test_windows_without_overlap_have_no_griffin_lim():
    spec = MelSpec(sample_rate=RATE, n_fft=256, win_length=256, hop_length=256, n_mels=20)
    assert invertible(SPEC)
    assert not invertible(spec)
    found = metrics.mel_distance(evaluation(mel=spec))
    assert [s.name for s in found] == ["audio/mel-distance"]


# Words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I'm sorry,  but... 'WAIT'!", "i'm sorry but wait"),
        ("Call-Forward (IAX)", "call forward iax"),
        ("Press 1 or #; 42 & 7%", "press one or pound forty two and seven percent"),
        ("1,250 users, 300, 17, 90", "one thousand two hundred fifty users three hundred seventeen ninety"),
        ("007 and 1234567", "zero zero seven and one two three four five six seven"),
        ("party’s 2nd", "party's two nd"),
        ("100000", "one hundred thousand"),
        ("\u0663 ...", ""),
    ],
)
def test_words_are_what_a_recogniser_would_write(text, expected):
    assert " ".join(words.words(text)) == expected


def test_edits_worked_out_by_hand():
    assert words.edits(list("abcd"), list("axc")) == 2  # one substituted, one left out
    assert words.edits([], ["a", "b"]) == 2
    assert words.edits("kitten", "sitting") == 3
    assert words.error_rate(["one two three", "four"], ["1 three", "four five six"]) == pytest.approx(3 / 4)
    with pytest.raises(ValueError, match="no words"):
        words.error_rate(["..."], ["what"])


def test_word_errors_over_all_clips_beside_the_recordings(monkeypatch):
    pytest.importorskip("pocketsphinx")
    texts = ["press one", "hello there my friend"]
    e = evaluation(lambda clip: clip * 0.5, text=texts)
    heard = []

    def recognise(clips, rate):
        heard.append(float(clips[0].abs().max()))
        assert rate == RATE
        return ["press one", "hello there my friend"] if len(heard) == 1 else ["press on", "hello their friend"]

    monkeypatch.setattr(words, "recognise", recognise)
    found = by_name(metrics.wer(e))
    assert (found["audio/wer"].value, found["audio/wer"].floor) == (3 / 6, 0.0)
    assert found["audio/wer-of-griffin-lim"].floor == 0.0
    assert heard[1] == pytest.approx(heard[0] / 2)  # the recordings, then the networks' clips
    assert "6 words" in found["audio/wer"].note
    metrics.wer(e)
    assert len(heard) == 4  # recordings and Griffin-Lim are heard once


# Whole evaluations


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
    expected = np.mean([scores.mel_distance(SPEC, c, griffin_lim(SPEC, SPEC(c), len(c))) for c in clips])
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
    other.held_out.store.key = "other"
    changed = by_name(metrics.mel_distance(other))
    name = "audio/mel-distance-of-griffin-lim"
    assert changed[name].value > 3 * found[name].value


def test_pairs_are_made_once_and_recordings_once_a_run(monkeypatch):
    count = []
    monkeypatch.setattr(pairs, "griffin_lim", lambda spec, mel, length: count.append(length) or torch.zeros(length))
    e = evaluation()
    metrics.mel_distance(e)
    metrics.stft_distance(e)
    assert (e.recipe.calls, e.domain.asked, len(count)) == (1, 2, 2)
    later = evaluation(lambda c: noisy(c, 0.1), clips=e.domain.clips)  # the next evaluation of the run
    assert by_name(metrics.mel_distance(later))["audio/mel-distance"].value > 0.1
    assert (later.recipe.calls, later.domain.asked, len(count)) == (1, 0, 2)
    changed = evaluation(mel=replace(SPEC, fmax=4000.0))
    metrics.mel_distance(changed)
    assert (changed.domain.asked, len(count)) == (2, 4)


def test_recordings_are_bounded_and_short_ones_are_left_out(monkeypatch):
    clips = [voice(0.05), *(voice(0.5, seed=i) for i in range(5))]
    monkeypatch.setattr(pairs, "MOST_SECONDS", 1.2)
    found = pairs.recordings_of(evaluation(clips=clips, rows=np.array([3, 0, 1, 2, 4, 5])), SPEC)
    assert found.short == 1
    assert [c is clips[i] for c, i in zip(found.clips, (3, 1), strict=True)] == [True, True]
    assert len(pairs.recordings_of(evaluation(clips=clips, count=1, rows=np.array([3, 1])), SPEC).clips) == 1
    monkeypatch.setattr(pairs, "MOST_SECONDS", 0.1)
    assert len(pairs.recordings_of(evaluation(clips=clips), SPEC).clips) == 1
    with pytest.raises(DataError, match="of 1 held-out clips none has the 2048 samples"):
        metrics.mel_distance(evaluation(clips=clips[:1]))
    with pytest.raises(DataError, match="of 0 held-out clips"):
        metrics.mel_distance(evaluation(clips=[]))


def test_clips_that_cannot_be_judged_are_counted():
    pytest.importorskip("pystoi")
    clips = [voice(1.0), voice(0.2, seed=1)]
    found = by_name(metrics.stoi(evaluation(clips=clips)))["audio/stoi"]
    assert found.value == pytest.approx(1, abs=1e-6)
    assert "1 clips could not be judged" in found.note
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


def test_recipes_that_are_no_vocoders_or_break_the_protocol_are_told():
    e = evaluation()
    e.recipe = SimpleNamespace(translates=False, mel=SPEC)
    with pytest.raises(DataError, match="for vocoders"):
        metrics.mel_distance(e)
    e.recipe = None
    with pytest.raises(DataError, match="for vocoders"):
        metrics.mcd(e)
    with pytest.raises(ConfigError, match="keep the order, the number and the lengths"):
        metrics.mel_distance(evaluation(lambda clip: clip[:-1]))


def test_word_errors_need_transcripts():
    pytest.importorskip("pocketsphinx")
    for extra in ({}, {"text": ["", "..."]}):
        with pytest.raises(DataError, match=r"needs transcripts.*LJSpeech layout"):
            metrics.wer(evaluation(**extra))


def test_word_errors_leave_out_what_has_no_transcript(monkeypatch):
    """Only the first piece of a long recording can have one; what is heard in the others is no insertion."""
    pytest.importorskip("pocketsphinx")
    monkeypatch.setattr(words, "recognise", lambda clips, rate: ["one three four"] * len(clips))
    (found, usual) = metrics.wer(evaluation(clips=[voice(), voice(seed=1)], text=["", "One, two!"]))
    assert (found.value, found.floor, usual.value) == (1.0, 1.0, 1.0)  # two edits over two words
    assert "2 words of 1 clips with a transcript" in found.note


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


def test_dnsmos_looks_at_windows_and_takes_the_published_polynomials(monkeypatch):
    seen = []

    class Session:
        def run(self, _, inputs):
            seen.append(inputs["input_1"])
            assert inputs["input_1"].shape == (1, scores.WINDOW)
            return [np.array([[3.0, 4.0, 2.0]])]

    judge = scores.DNSMOS.__new__(scores.DNSMOS)
    judge._session = Session()
    got = judge(torch.arange(50_000.0))
    assert len(seen) == 1
    assert np.array_equal(seen[0][0, 50_000:100_000], np.arange(50_000))  # repeated
    expected = [
        -0.08397278 * 9 + 1.22083953 * 3 + 0.0052439,
        -0.13166888 * 16 + 1.60915514 * 4 - 0.39604546,
        -0.06766283 * 4 + 1.11546468 * 2 + 0.04602535,
    ]
    assert got == pytest.approx(expected)
    seen.clear()
    judge(torch.arange(float(scores.WINDOW)))
    assert len(seen) == 1
    seen.clear()
    judge(torch.arange(float(scores.WINDOW + 100_000)))
    assert [int(x[0, 0]) for x in seen] == [0, scores.WINDOW // 2, 100_000]


# Real speech


@pytest.fixture
def speech(shared_data):
    """Gives recordings of a woman's voice by name, and their texts."""
    soundfile = pytest.importorskip("soundfile")
    folder = shared_data("speech-en")
    texts = dict(line.split("|", 1) for line in (folder / "metadata.csv").read_text("utf-8").splitlines())

    def read(*names):
        clips = [torch.from_numpy(soundfile.read(folder / "wavs" / f"{n}.flac", dtype="float32")[0]) for n in names]
        return clips, [texts[n] for n in names]

    return read


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


@pytest.mark.slow
def test_a_recogniser_hears_real_speech_and_not_noise(speech):
    pytest.importorskip("pocketsphinx")
    clips, texts = speech("conf-hasleft")
    heard = words.recognise([*clips, noisy(0.3 * clips[0], 0.1)[:12_000]], RATE)
    assert words.error_rate(texts, heard[:1]) == 0
    assert words.error_rate(texts, heard[1:]) > 0.5


@pytest.mark.slow
def test_dnsmos_of_real_speech_is_the_packages(speech, monkeypatch):
    """Against speechmos' own code, whose import of librosa feeds only a score that is not asked for."""
    for package in ("speechmos", "onnxruntime"):
        pytest.importorskip(package)
    clips, _ = speech("activated")
    bands = SimpleNamespace(melspectrogram=lambda **_: np.zeros((120, 900)))
    monkeypatch.setitem(sys.modules, "librosa", SimpleNamespace(feature=bands, power_to_db=lambda x, **_: x))
    monkeypatch.setitem(sys.modules, "requests", SimpleNamespace(session=None))
    monkeypatch.delitem(sys.modules, "speechmos.dnsmos", raising=False)
    from speechmos import dnsmos

    window = np.tile(clips[0].numpy(), 10)[: scores.WINDOW]
    theirs = dnsmos.run(window, RATE)
    judge = scores.DNSMOS()
    clean = judge(clips[0])
    assert clean == pytest.approx([theirs["sig_mos"], theirs["bak_mos"], theirs["ovrl_mos"]], abs=1e-4)
    assert clean == pytest.approx([3.013, 3.879, 2.682], abs=2e-3)
    _, background, overall = judge(noisy(clips[0], 0.1))
    assert background < clean[1] - 1
    assert overall < clean[2] - 1
