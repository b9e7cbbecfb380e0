"""Which files are read, within which limits, and why others are left out."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from made_pictures import gradient, source

from polygan import DataError, Room
from polygan_image.data import formats, pictures
from polygan_image.domain import ImageDomain


def test_every_kind_of_picture_of_a_mixture_is_read(tmp_path):
    grey = Image.fromarray(gradient(16, 16))
    kinds = [".jfif", ".jpe", ".ppm", ".pgm", ".pnm", ".tga", ".qoi", ".pcx", ".dib", ".apng", ".sgi", ".PNG"]
    kinds += [s for s in (".avif", ".jp2", ".webp") if s in formats.SUFFIXES]
    for kind in kinds:
        picture = grey.convert("RGB") if kind in (".avif", ".ppm", ".qoi") else grey
        picture.save(tmp_path / f"{kind[1:]}{kind}")
    grey.convert("1").save(tmp_path / "pbm.pbm")
    found = source(tmp_path)
    assert len(found) == len(kinds) + 1
    assert not found.left_out
    for i in range(len(found)):
        image = found.decode(i)["image"]
        assert image.shape == (3, 16, 16)
        if "pbm" not in found.name(i):
            np.testing.assert_allclose(image[0], np.asarray(grey), atol=40)
    assert ImageDomain.reads[: len(formats.SUFFIXES) + 1] == (*formats.SUFFIXES, ".npy")


def test_other_files_are_counted_with_a_reason(tmp_path):
    Image.new("L", (4, 4)).save(tmp_path / "a.png")
    for name in ("a.svg", "b.SVG", "c.heic", "notes.txt", "README", "more.zip", "clip.mp4"):
        (tmp_path / name).write_bytes(b"x")
    left = {line.what: line for line in source(tmp_path).left_out}
    assert left[".svg files"].count == 2
    assert "export them as .png" in left[".svg files"].why
    assert "convert" in left[".heic file"].why
    assert "--data" in left[".zip file"].why
    assert "frames" in left[".mp4 file"].why
    assert {"file without a suffix", ".txt file"} < left.keys()
    assert "README" not in source(tmp_path).describe()[0].text


def test_further_frames_and_pages_are_counted(tmp_path):
    frames = [Image.new("L", (4, 4), v) for v in (200, 10)]
    for name in ("a.gif", "b.webp", "c.tif", "d.png"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "e.gif")
    (line,) = source(tmp_path, channels=1).left_out
    assert (line.count, line.what) == (4, "files with further frames or pages")
    assert line.example.endswith("a.gif")


def test_a_drawing_under_the_name_of_a_picture_starts_no_other_program(tmp_path):
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n")
    with pytest.raises(DataError, match=r"a\.png: not a picture that Pillow can read"):
        source(tmp_path)
    assert not {"EPS", "PDF", "MPEG", "WMF", "HDF5"} & set(formats.FORMATS)
    assert not {".eps", ".pdf", ".mpg", ".wmf", ".h5"} & set(formats.SUFFIXES)


def test_a_format_that_is_read_whole_is_bounded_by_max_pixels():
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "WEBP")
    stream.write(bytes(2**20 + 1000))
    stream.seek(0)
    with pytest.raises(DataError, match=r"more bytes than 64 pixels take.*max_pixels"):
        formats.opened(stream, 64)


def test_pictures_are_decoded_within_the_room(monkeypatch):
    held = []
    monkeypatch.setattr(formats, "room", room := Room(10))
    monkeypatch.setattr(pictures, "_plain", lambda picture: held.append(room._held) or picture)
    for _ in range(2):  # a picture that is larger than the room is decoded alone
        pictures.to_array(Image.new("L", (8, 8)), (4, 4), 1, "crop")
    assert (held, room._held) == ([64, 64], 0)


def test_pillows_limit_is_put_back_by_the_last_thread(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    limit = formats._Limit()
    with limit.of_at_least(50):
        with limit.of_at_least(90):
            assert Image.MAX_IMAGE_PIXELS == 90
        with limit.of_at_least(5):
            assert Image.MAX_IMAGE_PIXELS >= 50
    assert Image.MAX_IMAGE_PIXELS == 10
