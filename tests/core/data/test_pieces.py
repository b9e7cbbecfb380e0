"""Pieces of a report on disk: pictures, sounds and texts come back, from their own folder only."""

from __future__ import annotations

import os

import pytest

from polygan import DataError, Passage, Picture, Sound
from polygan.data import pieces
from polygan.data.pieces import read_pieces, save_pieces, to_html

MIXED = [Picture(b"a PNG", "<b>"), Sound(b"a WAV", 8000, "a tone", b"its PNG"), Passage("Ein Kätzchen\n", '"')]


def test_samples_are_read_from_their_own_folder_only(tmp_path):
    (tmp_path / "secret.png").write_bytes(b"secret")
    folder = tmp_path / "step-00000001"
    save_pieces(folder, MIXED[:1])
    (folder / "pieces.json").write_text('[{"caption": "", "png": "../secret.png"}]')
    with pytest.raises(DataError, match=r"secret\.png"):
        read_pieces(folder)


def test_pieces_come_back_as_they_were_saved(tmp_path):
    save_pieces(tmp_path / "step-00000001", [*MIXED, *MIXED])
    save_pieces(tmp_path / "step-00000001", [*MIXED, Sound(b"a WAV", 8000), Passage("")])
    written = [*MIXED, Sound(b"a WAV", 8000), Passage("")]
    for found, piece in zip(read_pieces(tmp_path / "step-00000001"), written, strict=True):
        assert found == {name: value for name, value in vars(piece).items() if value is not None}
    names = {p.name for p in (tmp_path / "step-00000001").iterdir()}
    assert names == {"000.png", "001.png", "001.wav", "003.wav", "pieces.json"}
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000001"]
    with pytest.raises(DataError, match="nowhere"):
        read_pieces(tmp_path / "nowhere")


def test_the_index_of_samples_says_when_it_is_of_a_newer_format(tmp_path):
    save_pieces(tmp_path / "x", MIXED[:1])
    (tmp_path / "x/pieces.json").write_text('{"format": 2, "pieces": []}')
    with pytest.raises(DataError, match=r"pieces\.json has format 2, and this polygan reads 1: upgrade polygan"):
        read_pieces(tmp_path / "x")


def test_pieces_as_html_hold_their_pictures_and_sounds():
    page = to_html("a <title>", [vars(Picture(b"png", "<one>")), vars(Sound(b"wav", 8000, png=b"wave"))])
    assert "a &lt;title&gt;" in page
    assert 'src="data:image/png;base64,cG5n"' in page
    assert 'src="data:audio/wav;base64,d2F2"' in page
    assert "<figcaption>&lt;one&gt;</figcaption>" in page
    assert page.count("<img") == 2


def test_what_lies_behind_a_link_is_no_sample(tmp_path):
    (tmp_path / "secret").write_bytes(b"secret")
    folder = tmp_path / "run/samples/step-00000001"
    save_pieces(folder, [*MIXED, Picture(b"another")])
    (folder / "000.png").unlink()
    (folder / "000.png").symlink_to(tmp_path / "secret")
    os.mkfifo(folder / "pipe")
    assert [p.get("png") for p in read_pieces(folder)] == [b"its PNG", None, b"another"]  # the rest is shown
    (tmp_path / "run/samples/step-00000002").symlink_to(tmp_path)
    (tmp_path / "pieces.json").write_text('[{"png": "secret"}]')
    with pytest.raises(DataError, match="a symbolic link that leads out of"):
        read_pieces(tmp_path / "run/samples/step-00000002", tmp_path / "run")


def test_an_index_that_names_a_file_a_million_times_is_cut(tmp_path, monkeypatch):
    save_pieces(tmp_path / "x", [Picture(b"a" * 1000)])
    (tmp_path / "x/pieces.json").write_text("[" + ",".join(['{"png": "000.png"}'] * 5_000) + "]")
    monkeypatch.setattr(pieces, "MOST_BYTES", 10_500)
    assert len(read_pieces(tmp_path / "x")) == 10
    monkeypatch.setattr(pieces, "MOST_BYTES", 1 << 30)
    assert len(read_pieces(tmp_path / "x")) == pieces.MOST_PIECES


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "[1]", '[{"png": 1}]', '[{"png": "a\\u0000"}]', '[{"text": "a"', "[null]", "{}"]
)
def test_an_index_of_another_shape_is_an_error(tmp_path, text):
    save_pieces(tmp_path / "x", MIXED)
    (tmp_path / "x/pieces.json").write_text(text)
    with pytest.raises(DataError, match="its samples cannot be read"):
        read_pieces(tmp_path / "x")
