"""Segments, whole clips, files, players, features, and memory."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from polygan import ConfigError, DataError, Field, Samples, Sound, Source
from polygan.data import Stream, build_store, split_store
from polygan_audio.data import files
from polygan_audio.data.domain import AudioDomain
from polygan_audio.data.settings import AudioSettings
from polygan_audio.networks.melspec import MelSpec

DOMAIN = AudioDomain()


class Ramps(Source):
    """Clip i counts 1, 2, 3, ... for ``lengths[i]`` samples; frame k of its mel is k + 1 in every band."""

    def __init__(self, lengths, segment, hop=0, mel_frames=None):
        self.lengths, self.hop = lengths, hop
        self.mel_frames = mel_frames or [n // hop for n in lengths] if hop else []
        self.fields = {"waveform": Field("int16", (None,))}
        self.info = {"sample_rate": 16_000, "segment": segment}
        if hop:
            self.fields["mel"] = Field("float32", (None, 3))
            self.info |= {"mel_hop": hop, "n_mels": 3}

    def __len__(self):
        return len(self.lengths)

    def fingerprint(self):
        return repr((self.lengths, self.mel_frames, self.info))

    def decode(self, index):
        arrays = {"waveform": np.arange(1, self.lengths[index] + 1, dtype=np.int16)}
        if self.hop:
            arrays["mel"] = np.arange(1, self.mel_frames[index] + 1, dtype=np.float32)[:, None].repeat(3, 1)
        return arrays


def split_of(source, held_out=0.0):
    store = build_store(source, AudioSettings(source="ramps"), progress=False, workers=2)
    return split_store(store, held_out)["train"]


def draws(*values):
    return np.array([[v, 0, 0, 0] for v in values])


def test_segments_begin_where_the_draws_say():
    split = split_of(Ramps([100, 50, 40], 40))
    last = 1 - 2**-53
    batch = DOMAIN.collate(split, np.array([0, 0, 0, 1, 2]), draws(0.0, 0.5, last, last, last))
    assert batch["waveform"].dtype == torch.int16
    assert batch["waveform"].shape == (5, 40)
    # 61 places in the first clip: 0, 30 and 60; 11 in the second; one in the third.
    assert batch["waveform"][:, 0].tolist() == [1, 31, 61, 11, 1]
    assert batch["waveform"][:, -1].tolist() == [40, 70, 100, 50, 40]


def test_short_clips_stand_before_silence():
    batch = DOMAIN.collate(split_of(Ramps([7, 10], 10)), np.array([0]), draws(0.9))
    assert batch["waveform"][0].tolist() == [1, 2, 3, 4, 5, 6, 7, 0, 0, 0]


def test_every_place_is_drawn_alike():
    split = split_of(Ramps([13, 10], 10))
    rng = np.random.default_rng(0)
    starts = DOMAIN.collate(split, np.zeros(4000, int), rng.random((4000, 4)))["waveform"][:, 0]
    assert np.bincount(starts.numpy(), minlength=5)[1:].tolist() == pytest.approx([1000] * 4, rel=0.1)


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_segments_with_mels_begin_on_frames_and_take_theirs_along(extra):
    split = split_of(Ramps([1000, 1003], 64, 16, [62 + extra, 62 + extra]))
    rng = np.random.default_rng(0)
    batch = DOMAIN.collate(split, rng.integers(0, 2, 500), rng.random((500, 4)))
    starts = batch["waveform"][:, 0].numpy() - 1
    assert (starts % 16 == 0).all()
    assert starts.max() == (min(62 + extra, 62) - 4) * 16
    assert batch["mel"].shape == (500, 3, 4)
    expected = starts[:, None] // 16 + np.arange(1, 5)
    assert (batch["mel"].numpy() == expected[:, None]).all()
    assert (batch["waveform"].numpy() == starts[:, None] + np.arange(1, 65)).all()


def test_a_short_clip_s_mel_is_filled_with_its_smallest_value():
    batch = DOMAIN.collate(split_of(Ramps([40, 40], 64, 16)), np.array([0]), draws(0.99))
    assert batch["mel"][0, 0].tolist() == [1, 2, 1, 1]
    assert batch["waveform"][0, [39, 40, 63]].tolist() == [40, 0, 0]


def test_batches_are_a_function_of_seed_and_number():
    split = split_of(Ramps([300] * 20, 40), held_out=0.0)
    one, same, other = (Stream(split, DOMAIN, 8, seed) for seed in (0, 0, 1))
    assert torch.equal(one.batch(5)["waveform"], same.batch(5)["waveform"])
    assert not torch.equal(one.batch(5)["waveform"], other.batch(5)["waveform"])
    halves = [Stream(split, DOMAIN, 8, 0, rank, 2).batch(5)["waveform"] for rank in (0, 1)]
    assert torch.equal(torch.cat(halves), one.batch(5)["waveform"])


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_networks_see_floats(device):
    batch = {"waveform": torch.tensor([[-32768, 0, 16384, 32767]], dtype=torch.int16), "mel": torch.ones(1, 3, 4)}
    prepared = DOMAIN.prepare({k: v.to(device) for k, v in batch.items()}, {})
    assert prepared["waveform"].dtype == torch.float32
    assert prepared["waveform"].device.type == device
    if device == "cpu":
        assert prepared["waveform"].tolist() == [[-1, 0, 0.5, 32767 / 32768]]
        assert torch.equal(prepared["mel"], batch["mel"])


def test_real_samples_are_whole_clips_with_their_mels():
    samples = DOMAIN.real(split_of(Ramps([100, 37], 40, 16)), np.array([1, 0]))
    assert [tuple(w.shape) for w in samples.data] == [(37,), (100,)]
    assert torch.equal(samples.data[1], torch.arange(1, 101) / 32768)
    assert [tuple(m.shape) for m in samples.extra["mel"]] == [(3, 2), (3, 6)]
    assert samples.extra["mel"][1][2].tolist() == [1, 2, 3, 4, 5, 6]
    assert samples.extra["sample_rate"] == 16_000
    assert DOMAIN.batch_of(samples) is None
    judged = DOMAIN.batch_of(DOMAIN.real(split_of(Ramps([100, 100], 40, 16)), np.array([0, 1])))
    assert judged is not None
    assert judged["waveform"].shape == (2, 100)
    assert judged["mel"].shape == (2, 3, 6)


def sounds(*lengths, rate=16_000, names=(), **extra):
    generator = torch.Generator().manual_seed(0)
    data = [torch.randn(n, generator=generator).mul(0.1).clamp(-1, 0.999) for n in lengths]
    return Samples(data, DOMAIN, names=names, extra={"sample_rate": rate, **extra})


def test_a_folder_gets_a_wav_for_each(tmp_path):
    samples = sounds(500, 700)
    written = samples.save(tmp_path / "out/deep")
    assert [p.relative_to(tmp_path).as_posix() for p in written] == ["out/deep/00000.wav", "out/deep/00001.wav"]
    for path, waveform in zip(written, samples.data, strict=True):
        found, rate = files.read(path)
        assert rate == 16_000
        np.testing.assert_allclose(found, waveform, atol=0.51 / 32768)


def test_names_become_file_names_where_they_differ(tmp_path):
    written = sounds(500, 700, names=["in/take.1.flac", "in/take.2.npy"]).save(tmp_path)
    assert [p.name for p in written] == ["take.1.wav", "take.2.wav"]
    written = sounds(500, 700, names=["a/x.wav", "b/x.wav"]).save(tmp_path)
    assert [p.name for p in written] == ["00000.wav", "00001.wav"]


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
def test_one_file_holds_one_sample_or_all_with_gaps(tmp_path, suffix):
    samples = sounds(5000, 3000)
    assert samples.save(tmp_path / f"all{suffix}") == [tmp_path / f"all{suffix}"]
    found, _ = files.read(tmp_path / f"all{suffix}")
    assert len(found) == 5000 + 4800 + 3000
    if suffix == ".ogg":  # lossy
        assert np.abs(found[5500:9300]).max() < 0.01
        assert np.corrcoef(found[9800:], samples.data[1])[0, 1] > 0.9
    else:
        np.testing.assert_array_equal(found[5000:9800], 0)
        np.testing.assert_allclose(found[9800:], samples.data[1], atol=0.51 / 32768)
    sounds(5000).save(tmp_path / f"one{suffix}")
    assert files.header(tmp_path / f"one{suffix}").frames == 5000


def test_other_suffixes_are_refused_and_clipping_is_said(tmp_path, capsys):
    with pytest.raises(ConfigError, match=r"out\.aac: domain 'audio' writes \.wav, \.flac, \.ogg; use one"):
        sounds(10).save(tmp_path / "out.aac")
    Samples([torch.tensor([0.0, 2.0, -2.0])], DOMAIN, extra={"sample_rate": 8000}).save(tmp_path / "out.wav")
    assert capsys.readouterr().err.startswith("2 samples of")
    Samples([torch.full((3,), 2.0)] * 3, DOMAIN, extra={"sample_rate": 8000}).save(tmp_path / "out")
    assert re.search(r"9 samples of \S*00000\.wav and 2 more were beyond full scale\b", capsys.readouterr().err)
    broken = Samples([torch.tensor([0.0, torch.nan])], DOMAIN, extra={"sample_rate": 8000})
    with pytest.raises(DataError, match=r"out\.wav: holds samples that are not finite"):
        broken.save(tmp_path / "out.wav")


def test_a_report_plays_the_first_ten_and_ten_seconds_of_each():
    samples = sounds(16_000, *[4000] * 11, 200_000, names=["n"] * 13, text=["Hello."] + [""] * 12)
    pieces = DOMAIN.render(samples)
    assert len(pieces) == 10
    assert all(isinstance(p, Sound) for p in pieces)
    assert pieces[0].caption == "n – 1.0 s – Hello."
    assert pieces[1].caption == "n – 0.2 s"
    found, rate = soundfile.read(io.BytesIO(pieces[0].wav), dtype="float32")
    assert rate == pieces[0].rate == 16_000
    np.testing.assert_allclose(found, samples.data[0], atol=0.51 / 32768)
    (long,) = DOMAIN.render(sounds(200_000))
    assert long.caption == "the first 10 s of 12.5 s"
    assert soundfile.info(io.BytesIO(long.wav)).frames == 160_000


def test_pictures_of_broken_sound_are_drawn_too():
    broken = Samples([torch.tensor([0.0, torch.nan, torch.inf] * 500)], DOMAIN, extra={"sample_rate": 8000})
    assert DOMAIN.render(broken)[0].png


def test_features_are_means_and_deviations_of_log_mels_in_nats():
    samples = sounds(16_000, 500, 40_000)
    features = DOMAIN.features(samples)
    assert features.shape == (3, 80)
    mel = MelSpec(sample_rate=16_000, n_mels=40)(samples.data[0])
    expected = torch.cat([mel.mean(1), mel.std(1, correction=0)]) / 80**0.5
    torch.testing.assert_close(features[0], expected)
    # Ten times as loud: every mean moves by ln 10, no deviation does.
    louder = Samples([samples.data[0] / 10, samples.data[0]], DOMAIN, extra={"sample_rate": 16_000})
    assert float(torch.pdist(DOMAIN.features(louder))) == pytest.approx(np.log(10) / 2**0.5, rel=1e-3)
    assert DOMAIN.features(sounds()).shape == (0, 80)


def test_sources_that_are_not_there():
    with pytest.raises(DataError, match="no data: give a folder, a file or the name"):
        DOMAIN.open(AudioSettings())
    with pytest.raises(DataError, match="does not exist"):
        DOMAIN.open(AudioSettings(source="/nowhere/a.wav"))


class Noises(Source):
    """``count`` clips of ``frames`` noisy samples, made while they are asked for."""

    fields = {"waveform": Field("int16", (None,))}

    def __init__(self, count, frames):
        self.count, self.frames = count, frames
        self.info = {"sample_rate": 16_000, "segment": 8192}
        self.block = np.random.default_rng(0).integers(-9999, 9999, frames + count).astype(np.int16)

    def __len__(self):
        return self.count

    def fingerprint(self):
        return f"noises {self.count} {self.frames}"

    def decode(self, index):
        return {"waveform": self.block[index : index + self.frames].copy()}


def own_memory():
    """Megabytes of the process that are not file cache."""
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("no /proc to read the process's memory from")
    found = re.search(r"RssAnon:\s+(\d+) kB", status.read_text())
    assert found
    return int(found[1]) / 1024


def grown_by_training(source, steps):
    """Megabytes that building the store and then training on all of it add."""
    network = nn.Conv1d(1, 4, 64, stride=32)
    optimizer = torch.optim.SGD(network.parameters(), 1e-3)

    def train(stream, begin, end):
        for i in range(begin, end):
            batch = DOMAIN.prepare(stream.batch(i), {})
            optimizer.zero_grad()
            network(batch["waveform"][:, None]).square().mean().backward()
            optimizer.step()

    train(Stream(split_of(Ramps([20_000] * 16, 8192)), DOMAIN, 16, 0), 0, 3)  # what torch keeps anyway
    before = own_memory()
    split = split_of(source)
    built = own_memory() - before
    stream = Stream(split, DOMAIN, 16, 0)
    train(stream, 0, steps)
    return built, own_memory() - before, split


def test_memory_does_not_grow_with_the_store():
    built, grown, split = grown_by_training(Noises(120, 480_000), 40)  # an hour, 115 MB; five passes over all clips
    assert len(split) == 120
    assert built < 60
    assert grown < 60


@pytest.mark.slow
def test_ten_hours_train_in_the_memory_of_a_few_batches():
    built, grown, split = grown_by_training(Noises(1200, 480_000), 400)
    assert sum(p.stat().st_size for p in split.store.path.iterdir()) > 1.1e9
    assert built < 100
    assert grown < 100
