"""What headers say: the number of channels, the size, and the facts that a user is told."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from made_pictures import source

from polygan import DataError
from polygan.data import build_store
from polygan_image.data import pictures, survey
from polygan_image.domain import ImageSettings


def save(folder, modes, size=(4, 4)):
    folder.mkdir(parents=True, exist_ok=True)
    for name, mode in modes.items():
        Image.new(mode, size).save(folder / f"{name}.png")


def facts(found):
    return {fact.name: fact.text for fact in found.describe()}


@pytest.mark.parametrize(
    ("many", "one", "channels"),
    [("RGBA", "RGB", 4), ("RGB", "RGBA", 3), ("L", "RGB", 3), ("L", "RGBA", 3), ("L", "1", 1)],
)
def test_no_name_decides_the_number_of_channels(tmp_path, many, one, channels):
    """One picture of another kind among 20, at the beginning, in the middle and at the end."""
    for place in ("00", "10", "99"):
        folder = tmp_path / place
        save(folder, {f"{i:02d}x": many for i in range(20)} | {place: one}, (2, 2))
        for options in ({}, {"resolution": 4}):
            assert source(folder, **options).info["channels"] == channels
    text = facts(found := source(folder))["channels"]
    assert text.startswith(f"{channels} (")
    if many != one and channels != 1:
        assert "more than half" in text
    assert facts(source(folder, channels=found.info["channels"]))["channels"].count("half") == 0


def test_headers_are_read_once(tmp_path, monkeypatch):
    save(tmp_path / "d", {"a": "RGB", "b": "RGB"})
    options = {"cache": str(tmp_path / "cache")}
    first = source(tmp_path / "d", **options)
    build_store(first, ImageSettings(**options), progress=False)
    monkeypatch.setattr(pictures, "open_picture", lambda *a: pytest.fail("a header is read again"))
    again = source(tmp_path / "d", **options)
    assert (again.info, again.describe(), again.fingerprint()) == (first.info, first.describe(), first.fingerprint())
    assert build_store(again, ImageSettings(**options), progress=False).info["channels"] == 3
    monkeypatch.undo()
    save(tmp_path / "d", {"c": "L"})
    assert source(tmp_path / "d", **options).describe() != first.describe()


def test_a_fault_that_may_pass_is_not_kept(tmp_path):
    settings, faults = ImageSettings(cache=str(tmp_path)), [PermissionError("not now")]

    def header(index):
        if faults:
            raise faults[0]
        return survey.Header(2, 2, 1, False)

    assert survey.surveyed(settings, "x", 3, header).unread == (3, 0)
    faults.clear()
    assert survey.surveyed(settings, "x", 3, header).unread == (0, 0)


def test_what_is_kept_in_another_form_is_found_again(tmp_path, monkeypatch):
    monkeypatch.setattr(
        survey, "remembered", lambda *a: {"sizes": [[1, 2]], "channels": [], "several": [], "unread": 0}
    )
    found = survey.surveyed(ImageSettings(cache=str(tmp_path)), "x", 3, lambda i: survey.Header(2, 2, 1, False))
    assert found.sizes == {(2, 2): (3, 0)}


def test_sizes_and_what_becomes_of_them(tmp_path):
    for name, size in (("a", (4, 4)), ("b", (4, 4)), ("c", (16, 8))):
        save(tmp_path, {name: "L"}, size)
    assert facts(source(tmp_path, resolution=8))["sizes"] == "from 4x4 to 16x8, most often 4x4 (2 of 3)"
    made = {fit: facts(source(tmp_path, resolution=8, fit=fit))["made"] for fit in ("crop", "pad", "stretch")}
    assert made == {
        "crop": "8x8; 16.7% of the area is cropped away; enlarged: 2 of 3",
        "pad": "8x8; 16.7% of the area is padding; enlarged: 2 of 3",
        "stretch": "8x8; aspect ratio changed: 1 of 3; enlarged: 2 of 3",
    }
    assert facts(source(tmp_path, resolution="16x8"))["made"].startswith("16x8")
    with pytest.raises(DataError, match=r"a\.png is 4x4, .*c\.png is 16x8"):
        source(tmp_path)


def test_files_alpha_and_unreadable_headers_are_told(tmp_path):
    save(tmp_path, {"a": "RGBA", "b": "RGB", "c": "RGB"})
    Image.new("RGB", (4, 4)).save(tmp_path / "d.JPG", "JPEG")
    (tmp_path / "e.png").write_bytes(b"no picture")
    found = facts(source(tmp_path))
    assert found["files"] == "4 .png, 1 .jpg"
    assert found["alpha"] == "25.0% of the pictures, laid on white"
    assert found["unreadable"].startswith("1 by their headers, e.g. ")
    assert found["unreadable"].endswith("e.png")
    assert facts(source(tmp_path, background="grey", fit="pad"))["alpha"].endswith("laid on grey")
    assert "--data.background" in facts(source(tmp_path, fit="pad"))["alpha"]
    assert "kept" in facts(source(tmp_path, channels=4))["alpha"]


def test_many_classes_are_not_all_named():
    text = survey.class_fact([f"c{i:02d}" for i in range(40)], range(1, 41)).text
    assert text.startswith("40: c39 (40), c38 (39), ")
    assert text.endswith("and 28 more, the smallest with 1")
