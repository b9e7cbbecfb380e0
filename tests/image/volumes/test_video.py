"""Frames of a video file: read one at a time, written at the same rate and size."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from made_volumes import clip

from polygan import ConfigError, DataError, Noise, Recipe, Samples
from polygan.game.sampling import stream_samples
from polygan_image.domain import ImageDomain

ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="videos need imageio-ffmpeg")
DOMAIN = ImageDomain()
FACTS = {"channels": 3, "height": 32, "width": 32, "keeps_size": True}


def frames(size=(32, 32)):
    """8 frames (n, H, W, 3): a bright square moves over grey."""
    found = np.full((8, *size, 3), 90, np.uint8)
    for i in range(8):
        found[i, 8:20, 2 * i : 2 * i + 12] = (220, 180, 40)
    return found


def test_a_clip_comes_frame_by_frame_with_its_rate(tmp_path):
    pieces = list(DOMAIN.read(clip(tmp_path / "a.mp4", frames()), FACTS))
    assert [piece.data.shape for piece in pieces] == [(1, 3, 32, 32)] * 8
    assert {piece.extra["clip"]["rate"] for piece in pieces} == {8.0}
    assert {piece.kind for piece in pieces} == {"frames"}
    seen = torch.cat([piece.data for piece in pieces]).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose((seen + 1) * 127.5, frames(), atol=1)


@pytest.mark.parametrize("size", [(32, 32), (31, 33)])
def test_a_made_clip_has_the_rate_size_and_frames_of_the_given_clip(tmp_path, size):
    given = clip(tmp_path / "a.mov", frames(size), rate=12.5)
    made = (DOMAIN.complete(Samples(-piece.data), piece, FACTS) for piece in DOMAIN.read(given, FACTS))
    DOMAIN.write_file(made, tmp_path / "b.mp4")
    pieces = list(DOMAIN.read(tmp_path / "b.mp4", FACTS))
    assert (len(pieces), pieces[0].extra["clip"]["rate"]) == (8, 12.5)
    seen = (torch.cat([piece.data for piece in pieces]).permute(0, 2, 3, 1).numpy() + 1) * 127.5
    assert seen.shape == frames(size).shape
    assert np.abs(seen - (255.0 - frames(size))).mean() < 6


def test_one_frame_is_in_memory_at_a_time(tmp_path):
    alive, given = [], DOMAIN.read(clip(tmp_path / "a.mp4", frames()), FACTS)

    def made():
        for piece in given:
            alive.append("read")
            yield DOMAIN.complete(Samples(piece.data), piece, FACTS)
            alive.append("written")

    DOMAIN.write_file(made(), tmp_path / "b.mp4")
    assert alive == ["read", "written"] * 8


class Noisy(Recipe):
    """Gives each frame noise."""

    domain = given = "image"

    def generate(self, networks, request):
        return Samples(request.given.data + request.noise.normal(*request.given.data.shape) + torch.rand(1))


def test_every_frame_has_the_same_noise():
    pieces = [Samples(torch.zeros(1, 3, 4, 4), DOMAIN, kind=kind) for kind in ("frames", "frames", "set")]
    one, two, other = (s.data for s in stream_samples(Noisy.__new__(Noisy), {}, pieces, 3))
    assert isinstance(Noise("cpu"), Noise)
    torch.testing.assert_close(one, two, rtol=0, atol=0)
    assert not torch.equal(one, other)


def test_what_is_no_clip_is_refused(tmp_path, monkeypatch):
    (tmp_path / "a.mp4").write_text("no video")
    with pytest.raises(DataError, match=r"a\.mp4.*is no video that ffmpeg reads"):
        list(DOMAIN.read(tmp_path / "a.mp4", FACTS))
    with pytest.raises(ConfigError, match=r"made from a video or a volume"):
        DOMAIN.write_file([Samples(torch.zeros(1, 3, 4, 4), DOMAIN)], tmp_path / "b.mp4")
    deep = {**FACTS, "dtype": "int16", "window": [0, 1], "channels": 1}
    with pytest.raises(DataError, match="other values than 8 bits"):
        list(DOMAIN.read(tmp_path / "a.mp4", deep))
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(DataError, match=r"needs the package imageio-ffmpeg; pip install 'polygan-image\[video\]'"):
        list(DOMAIN.read(tmp_path / "a.mp4", FACTS))


def test_frames_of_a_walk_become_a_video(tmp_path):
    Samples(torch.zeros(4, 1, 16, 16), DOMAIN, kind="frames").save(tmp_path / "walk.mp4")
    assert len(list(DOMAIN.read(tmp_path / "walk.mp4", FACTS))) == 4
