"""Given, made and real pictures side by side for a report."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image

from polygan import Samples
from polygan_image.data.pairs.beside import view
from polygan_image.domain import ImageDomain

DOMAIN = ImageDomain()


def flat(n, channels, side, values):
    """Pictures of one value each."""
    return torch.tensor(values)[:n, None, None, None].expand(n, channels, side, side).float()


def pixels(piece):
    return np.asarray(Image.open(io.BytesIO(piece.png)).convert("RGB")).astype(int)


def test_each_group_holds_one_sample_of_every_side_in_order():
    given, made, real = (
        flat(3, c, 64, v) for c, v in ((1, [-1.0, 0, 1]), (3, [-0.5, 0.1, 0.5]), (3, [-0.2, 0.2, 0.9]))
    )
    sheet = view([("given", given), ("made", made), ("real", real)])
    assert sheet.caption == "from the left: given, made, real; 3 groups in a row"
    shown = pixels(sheet)
    group = 3 * 64 + 2 * 2 + 8 + 2  # three cells, two gaps, the space behind a group and the gap of the grid
    columns = (shown.shape[1] + 2) // group
    for i in range(columns):
        for j, side in enumerate((given, made, real)):
            level = round((float(side[i, 0, 0, 0]) + 1) * 127.5)
            assert abs(shown[32, i * group + j * 66 + 32] - level).max() <= 1


def test_smaller_sides_are_enlarged_by_repeating_pixels():
    given = torch.linspace(-1, 1, 16).view(1, 1, 4, 4)
    sheet = pixels(view([("given", given), ("made", torch.zeros(1, 3, 8, 8))]))
    factor = 7  # to 56 pixels
    assert sheet.shape[:2] == (8 * factor, 2 * 8 * factor + 2)
    blocks = sheet[:, : 8 * factor, 0].reshape(4, 14, 4, 14)
    assert (blocks == blocks[:, :1, :, :1]).all()


def test_large_pictures_are_few_and_whole_rows():
    pictures = torch.zeros(20, 3, 256, 256)
    sheet = pixels(view([("given", pictures), ("made", pictures), ("real", pictures)]))
    assert sheet.shape[0] * sheet.shape[1] < 1_700_000
    small = torch.zeros(7, 3, 60, 60)
    rows = (pixels(view([("given", small), ("made", small), ("real", small)])).shape[0] + 2) // 62
    assert rows == 1  # seven pictures in rows of five: the row that is not full is left out


def test_label_maps_and_stacks_are_shown_in_colours():
    maps = torch.zeros(2, 3, 8, 8)
    maps[:, 1] = 1
    classes = {"values": [0, 1, 2], "colours": ["#000000", "#ff0000", "#00ff00"]}
    (piece,) = DOMAIN.beside(
        Samples(maps, DOMAIN, extra={"label_map": classes}), Samples(torch.zeros(2, 5, 8, 8), DOMAIN), None, {}
    )
    assert pixels(piece)[10, 10].tolist() == [255, 0, 0]
    assert piece.caption.startswith("from the left: given, made")
    assert "real" not in piece.caption


def test_data_says_whether_it_has_pairs():
    assert DOMAIN.paired({"pairs": "grey", "given": {"channels": 1}})
    assert DOMAIN.paired({"given": {"channels": 3}})
    assert not DOMAIN.paired({"pairs": ""})
    assert not DOMAIN.paired({"classes": ["horse", "zebra"]})


def test_the_caption_names_the_files_that_are_shown_first():
    def captions(n, names):
        data = torch.zeros(n, 1, 64, 64)
        given, made = Samples(data, DOMAIN), Samples(data, DOMAIN, origins=names)
        return [
            piece.caption for pieces in (DOMAIN.beside(given, made, given, {}), DOMAIN.render(made)) for piece in pieces
        ]

    files = [f"a/{i}.png" for i in range(10)]
    assert captions(2, files[:2]) == [
        "from the left: given, made, real; 2 groups in a row; a/0.png, a/1.png",
        "2 pictures of 64x64; a/0.png, a/1.png",
    ]
    assert (
        captions(10, files)[1]
        == "10 pictures of 64x64; a/0.png, a/1.png, a/2.png, a/3.png, a/4.png, a/5.png, and 4 more"
    )
    assert captions(2, [])[1] == "2 pictures of 64x64"
