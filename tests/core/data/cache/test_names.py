"""Names of decoded samples: kept beside the data, small, read in part, and never needed."""

from __future__ import annotations

import pytest

from polygan.data.cache import names
from polygan.data.cache.names import names_of, write_names


@pytest.mark.parametrize("count", [0, 1, names._EACH, 3 * names._EACH + 1])
def test_names_come_back_in_any_order(tmp_path, count):
    made = [f"wavs/{i:07d} <ü>\n.flac" for i in range(count)]
    write_names(tmp_path, made)
    rows = [*range(count)][::-7]
    assert names_of(tmp_path, rows) == [made[row] for row in rows]
    assert names_of(tmp_path, []) == []


def test_a_name_that_is_no_text_of_utf8_comes_back(tmp_path):
    write_names(tmp_path, ["\udcff.wav"])
    assert names_of(tmp_path, [0]) == ["\udcff.wav"]


def test_many_names_take_little_place_and_a_reader_opens_few_lists(tmp_path, monkeypatch):
    write_names(tmp_path, (f"speaker{i % 300:03d}/wavs/LJ{i // 100:05d}-{i % 10_000:04d}.flac" for i in range(50_000)))
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 8 * 50_000
    opened = []
    read = names.ZipFile.read
    monkeypatch.setattr(names.ZipFile, "read", lambda self, name: opened.append(name) or read(self, name))
    assert names_of(tmp_path, [40_000, 3, 4]) == [
        "speaker100/wavs/LJ00400-0000.flac",
        "speaker003/wavs/LJ00000-0003.flac",
        "speaker004/wavs/LJ00000-0004.flac",
    ]
    assert len(opened) == 2


def test_without_names_and_with_damaged_ones_there_are_none(tmp_path):
    assert names_of(tmp_path, [0]) == []
    write_names(tmp_path, ["a", "b"])
    assert names_of(tmp_path, [0, 5]) == []
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], whole.replace(whole[35:40], b"12345"), b"\x00" * 200):
        path.write_bytes(damaged)
        assert names_of(tmp_path, [0]) == []
