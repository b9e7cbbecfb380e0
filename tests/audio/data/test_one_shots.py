"""Made-up drums and notes: labels, seeds, pitch, and that each sound begins at once."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from polygan import DataError
from polygan.data import Split, build_store
from polygan.runs.assembly import open_data, open_splits, resolve
from polygan.runs.data.located import where
from polygan_audio.data import files
from polygan_audio.data.datasets import shots, tones
from polygan_audio.data.domain import AudioDomain
from polygan_audio.data.one_shots import DRUMS, classes_of_kind
from polygan_audio.data.settings import ShotsSettings, TonesSettings
from polygan_audio.shots.notes import hertz_of, midi_of, pitch_of

DOMAIN = AudioDomain()


def made(kind, size=24, **settings):
    source = tones(TonesSettings(source="tones", kind=kind, size=size, **settings))
    return source, build_store(source, source.settings, progress=False)


def split_of(store):
    return Split(store, np.arange(len(store)), "train")


@pytest.mark.parametrize("kind", ["drums", "notes"])
def test_labelled_sounds_are_a_function_of_seed_and_index(kind):
    source, store = made(kind)
    again, other = (tones(TonesSettings(kind=kind, size=30, tones_seed=seed)) for seed in (0, 1))
    classes = list(classes_of_kind(kind))
    assert store.info["classes"] == classes == sorted(classes)
    for i in (0, 7, 23):
        one = source.decode(i)
        np.testing.assert_array_equal(one["waveform"], store.item("waveform", i))
        np.testing.assert_array_equal(one["waveform"], again.decode(i)["waveform"])
        assert not np.array_equal(one["waveform"], other.decode(i)["waveform"])
        assert one["label"] == i % len(classes)
        assert one["waveform"].shape == (16_000,)
    assert len({source.fingerprint(), again.fingerprint(), tones(TonesSettings(size=24)).fingerprint()}) == 3


def test_samples_and_batches_have_the_labels():
    _, store = made("drums", segment=16_384, crop="start")
    rows = np.array([0, 4, 2])
    batch = DOMAIN.collate(split_of(store), rows, np.full((3, 4), 0.9))
    assert batch["label"].tolist() == [0, 1, 2]
    assert DOMAIN.real(split_of(store), rows).class_names() == ["hat", "kick", "snare"]
    assert "kick" in DOMAIN.render(DOMAIN.real(split_of(store), rows))[1].caption


def test_a_segment_begins_where_its_clip_does_if_asked_for():
    draws = np.array([[0.0] * 4, [0.9] * 4])
    for crop, same in (("start", True), ("random", False)):
        _, store = made("drums", segment=4096, crop=crop)
        batch = DOMAIN.collate(split_of(store), np.array([1, 1]), draws)
        first = store.item("waveform", 1)[:4096]
        np.testing.assert_array_equal(batch["waveform"][0].numpy(), first)
        assert np.array_equal(batch["waveform"][1].numpy(), first) == same


def test_notes_have_the_pitch_of_their_name():
    source, store = made("notes", 48)
    names = source.info["classes"]
    assert len(names) == 24
    for i in range(48):
        wanted = hertz_of(midi_of(names[i % 24]))
        found = pitch_of(torch.from_numpy(store.item("waveform", i) / 32768), 16_000, 80, 800)
        assert abs(1200 * math.log2(found / wanted)) < 20, names[i % 24]


def test_drums_are_told_by_their_spectra():
    source, store = made("drums", 48)
    centres = {name: [] for name in DRUMS}
    for i in range(48):
        spectrum = np.abs(np.fft.rfft(store.item("waveform", i).astype(float))) ** 2
        hertz = np.fft.rfftfreq(16_000, 1 / 16_000)
        centres[source.info["classes"][i % 3]].append(float((hertz * spectrum).sum() / spectrum.sum()))
    assert max(centres["kick"]) < 1000 < min(centres["hat"])
    assert min(centres["hat"]) > 4000
    assert max(centres["kick"]) < min(centres["snare"])
    assert max(centres["snare"]) < min(centres["hat"])


def test_every_drum_begins_with_its_first_samples():
    _, store = made("drums", 48)
    for i in range(48):
        sound = np.abs(store.item("waveform", i).astype(float))
        assert sound[:160].max() > 0.1 * sound.max()  # within 10 ms


def test_kits_are_read_by_their_folders_from_the_first_loud_sample(tmp_path):
    time = torch.arange(4000) / 8000
    for name, pitch in (("kick", 60), ("snare", 200)):
        (tmp_path / "kits" / name).mkdir(parents=True)
        for take in range(2):
            sound = 0.5 * torch.exp(-time / 0.1) * torch.sin(2 * math.pi * pitch * time)
            files.write(tmp_path / "kits" / name / f"{take}.wav", torch.cat([torch.zeros(2000), sound]), 8000)
    settings = ShotsSettings(source="shots", kits=str(tmp_path / "kits"), segment=4096, cache=str(tmp_path / "cache"))
    source = shots(settings)
    store = build_store(source, settings, progress=False)
    assert store.info["classes"] == ["kick", "snare"]
    batch = DOMAIN.collate(split_of(store), np.arange(4), np.full((4, 4), 0.9))
    assert batch["label"].tolist() == [0, 0, 1, 1]
    assert bool((batch["waveform"][:, :200].abs().amax(1) > 8000).all())
    with pytest.raises(DataError, match=r"--data.kits FOLDER"):
        shots(ShotsSettings(source="shots"))


def test_kits_of_a_relative_path_are_found_from_another_folder(tmp_path, monkeypatch):
    for name in ("kick", "snare"):
        (tmp_path / "home/kits" / name).mkdir(parents=True)
        for take in range(2):
            sound = 0.3 * torch.randn(4096, generator=torch.Generator().manual_seed(take))
            files.write(tmp_path / "home/kits" / name / f"{take}.wav", sound, 8000)
    (folder := tmp_path / "home/runs/a").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "home")
    data = {"source": "shots", "kits": "kits", "segment": 4096, "cache": str(tmp_path / "cache")}
    settings = resolve("audio/wavegan", [{"data": data}])
    store = open_splits(settings, DOMAIN, progress=False)["train"].store
    assert (store.base, store.place) == (str(tmp_path / "home"), "kits")
    (folder / "data.json").write_text(json.dumps({"where": where("kits", store.base, folder)}))
    monkeypatch.chdir(tmp_path / "elsewhere")
    source, found, base = open_data(settings.data, DOMAIN, folder)
    assert (len(source), source.fingerprint()) == (4, open_data(found, DOMAIN)[0].fingerprint())
    assert (found.kits, base) == (f"{store.base}/kits", store.base)
