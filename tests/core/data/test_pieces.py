"""Pieces of a report on disk: pictures, sounds and texts come back, from their own folder only."""

from __future__ import annotations

import pytest

from polygan import DataError, Passage, Picture, Sound
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
