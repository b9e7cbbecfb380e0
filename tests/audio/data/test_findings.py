"""Sound that can be used and is odd: beyond full scale, out of phase, clipped, with a constant offset. Each kind is said once."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

sys.path.insert(0, str(Path(__file__).parent))
from recordings import DOMAIN, mel_for, noise, save, stored

from polygan_audio.data import files

RATE = 16_000


def decoded(source):
    return [source.decode(i)["waveform"] / 32768 for i in range(len(source))]


def test_floats_beyond_full_scale_are_scaled_down_by_file_and_said(tmp_path, opened, capsys):
    loud = noise(RATE, scale=0.1)
    loud[5000] = 0.9
    for name, factor in (("a", 3.0), ("b", 1.0), ("c", 1.5)):
        save(tmp_path / f"data/{name}.wav", loud * factor, RATE, "FLOAT")
    store = stored(opened())
    found = [np.asarray(store.item("waveform", i)) / 32768 for i in range(3)]
    for sound, peak in zip(found, (32767 / 32768, 0.9, 32767 / 32768), strict=True):
        np.testing.assert_allclose(sound, loud / 0.9 * peak, atol=1 / 32768)
    err = capsys.readouterr().err
    assert err.count("beyond full scale") == 1
    assert (
        "2 files beyond full scale (a reaches 2.70, c reaches 1.35), each scaled down to it; export these files at a lower level"
        in err
    )


def test_every_piece_of_a_long_file_is_scaled_alike(tmp_path, opened):
    loud = noise(3 * RATE, scale=0.1)
    loud[-100] = 2.0
    save(tmp_path / "data/a.wav", loud, RATE, "FLOAT")
    source, _ = opened(piece_seconds=1.0)
    found = np.concatenate(decoded(source))
    np.testing.assert_allclose(found, loud / 2, atol=2 / 32768)


def test_floats_with_mels_are_refused_because_the_mel_was_made_of_them(tmp_path, opened):
    for name, peak in (("a", 3.0), ("b", 0.5)):
        sound = noise(10_000)
        sound[0] = peak
        save(tmp_path / f"data/{name}.wav", sound, RATE, "FLOAT")
        (tmp_path / "mels").mkdir(exist_ok=True)
        np.save(tmp_path / f"mels/{name}.npy", mel_for(39))
    store = stored(opened(mels=str(tmp_path / "mels"), max_bad=0.5))
    assert len(store) == 1
    assert "reaches 3.00, beyond full scale, and its mel was made of that" in store.bad[0]


@pytest.mark.parametrize("rate", [0, 8000])
def test_channels_that_cancel_each_other_out_are_not_mixed(tmp_path, opened, capsys, rate):
    left = noise(2 * RATE)
    save(tmp_path / "data/out.wav", np.stack([0.9 * left, -left], 1), RATE, "FLOAT")
    save(tmp_path / "data/fine.wav", np.stack([left, noise(2 * RATE, 1)], 1), RATE, "FLOAT")
    save(tmp_path / "data/half.wav", np.stack([left, 0 * left], 1), RATE, "FLOAT")
    source, _ = opened(sample_rate=rate)
    found = dict(zip([Path(source.name(i)).stem for i in range(3)], decoded(source), strict=True))
    save(tmp_path / "one.wav", -left, RATE, "FLOAT")
    np.testing.assert_allclose(found["out"], files.read(tmp_path / "one.wav", rate=rate)[0], atol=1 / 32768)
    save(tmp_path / "one.wav", left / 2, RATE, "FLOAT")
    np.testing.assert_allclose(found["half"], files.read(tmp_path / "one.wav", rate=rate)[0], atol=1 / 32768)
    err = capsys.readouterr().err
    assert (
        "1 file with channels that cancel each other out (out), of which the louder channel alone is used; turn one channel of the file upside down"
        in err
    )
    assert err.count("\n") == 1


def test_a_file_that_is_handed_in_out_of_phase_is_heard_and_named(tmp_path, capsys):
    left = noise(25 * RATE)
    soundfile.write(tmp_path / "a.wav", np.stack([left, -left], 1), RATE, "FLOAT")
    pieces = [p.data[0].numpy() for p in DOMAIN.read(tmp_path / "a.wav", {"sample_rate": RATE, "segment": 2048})]
    assert len(pieces) == 3
    np.testing.assert_allclose(np.abs(np.concatenate(pieces)), np.abs(left), atol=1e-6)
    err = capsys.readouterr().err
    assert "a.wav: its channels cancel each other out, and channel 1 alone is heard" in err
    assert err.count("\n") == 1


def test_channels_are_judged_by_what_is_heard_first(tmp_path, monkeypatch):
    left, right = noise(60 * RATE), noise(60 * RATE, 1)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], 1), RATE)
    read, count = soundfile.SoundFile.read, []
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda *a, **k: count.append(a[1]) or read(*a, **k))
    assert files.channel_of(tmp_path / "a.wav") == files.MEAN
    assert sum(count) < 20 * RATE


def test_many_unlike_channels_do_not_cancel(tmp_path):
    sound = np.stack([noise(RATE, i) for i in range(16)], 1)
    soundfile.write(tmp_path / "a.wav", sound, RATE)
    assert files.channel_of(tmp_path / "a.wav") == files.MEAN
    soundfile.write(tmp_path / "b.wav", np.zeros((RATE, 2)), RATE)
    assert files.channel_of(tmp_path / "b.wav") == files.MEAN


def test_clipped_files_and_constant_offsets_are_named_and_kept(tmp_path, opened, capsys):
    time = np.arange(RATE) / RATE
    for i in range(5):
        save(tmp_path / f"data/clipped{i}.wav", (3 * np.sin(2 * np.pi * 200 * time)).clip(-1, 1), RATE)
    save(tmp_path / "data/offset.wav", noise(RATE) + 0.2, RATE)
    peak = noise(RATE)
    peak[7] = 1.0
    save(tmp_path / "data/peak.wav", peak, RATE)
    store = stored(opened())
    assert len(store) == 7
    err = capsys.readouterr().err
    assert "5 files clipped (clipped0 " in err
    assert "% of the samples at full scale, " in err
    assert ", ...); export these files at a lower level, or leave them out" in err
    assert "1 file with a constant offset (offset 20.0% of full scale); a high-pass filter at 20 Hz" in err
    assert err.count("\n") == 2


def test_a_later_start_tells_what_was_found(tmp_path, opened):
    save(tmp_path / "data/a.wav", noise(RATE) * 20, RATE, "FLOAT")
    source, settings = opened()
    assert "beyond full scale" not in dict(source.describe())
    stored((source, settings))
    assert dict(opened()[0].describe())["beyond full scale"].startswith("1 file beyond full scale (a reaches ")
    save(tmp_path / "data/b.wav", noise(RATE), RATE)
    assert "beyond full scale" not in dict(opened()[0].describe())


def test_a_build_that_goes_on_tells_the_rest(tmp_path, opened, capsys):
    for name in "abc":
        save(tmp_path / f"data/{name}.wav", noise(RATE) * 20, RATE, "FLOAT")
    source, _ = opened()
    source.decode(2)
    assert "1 file beyond full scale (c reaches" in capsys.readouterr().err
