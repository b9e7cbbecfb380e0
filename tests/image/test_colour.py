"""Colours agree with published numbers, keep their lightness, and have finite gradients."""

from __future__ import annotations

import pytest
import torch

from polygan_image.colour import delta_e, lab_to_srgb, lightness, srgb_to_lab, within_gamut

RGB = (
    (0, 0, 0),
    (255, 255, 255),
    (255, 0, 0),
    (0, 255, 0),
    (0, 0, 255),
    (128, 128, 128),
    (1, 2, 3),
    (10, 200, 120),
    (237, 120, 40),
    (60, 30, 90),
)
LAB = (  # scikit-image 0.26's rgb2lab of RGB; its white differs from the sum of its matrix by up to 8e-5
    (0.0, 0.0, 0.0),
    (100.0, -0.002455, 0.004653),
    (53.240588, 80.092308, 67.202751),
    (87.735100, -86.182972, 83.179703),
    (32.295673, 79.185591, -107.857300),
    (53.585013, -0.001473, 0.002791),
    (0.509825, -0.122490, -0.470496),
    (71.368794, -59.828685, 28.597874),
    (63.007454, 40.374697, 60.570342),
    (18.484999, 27.742460, -30.650116),
)
SHARMA = (  # L1 a1 b1 L2 a2 b2 CIEDE2000: table 1 of Sharma, Wu and Dalal 2005
    (50.0000, 2.6772, -79.7751, 50.0000, 0.0000, -82.7485, 2.0425),
    (50.0000, 3.1571, -77.2803, 50.0000, 0.0000, -82.7485, 2.8615),
    (50.0000, 2.8361, -74.0200, 50.0000, 0.0000, -82.7485, 3.4412),
    (50.0000, -1.3802, -84.2814, 50.0000, 0.0000, -82.7485, 1.0000),
    (50.0000, -1.1848, -84.8006, 50.0000, 0.0000, -82.7485, 1.0000),
    (50.0000, -0.9009, -85.5211, 50.0000, 0.0000, -82.7485, 1.0000),
    (50.0000, 0.0000, 0.0000, 50.0000, -1.0000, 2.0000, 2.3669),
    (50.0000, -1.0000, 2.0000, 50.0000, 0.0000, 0.0000, 2.3669),
    (50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0009, 7.1792),
    (50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0010, 7.1792),
    (50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0011, 7.2195),
    (50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0012, 7.2195),
    (50.0000, -0.0010, 2.4900, 50.0000, 0.0009, -2.4900, 4.8045),
    (50.0000, -0.0010, 2.4900, 50.0000, 0.0010, -2.4900, 4.8045),
    (50.0000, -0.0010, 2.4900, 50.0000, 0.0011, -2.4900, 4.7461),
    (50.0000, 2.5000, 0.0000, 50.0000, 0.0000, -2.5000, 4.3065),
    (50.0000, 2.5000, 0.0000, 73.0000, 25.0000, -18.0000, 27.1492),
    (50.0000, 2.5000, 0.0000, 61.0000, -5.0000, 29.0000, 22.8977),
    (50.0000, 2.5000, 0.0000, 56.0000, -27.0000, -3.0000, 31.9030),
    (50.0000, 2.5000, 0.0000, 58.0000, 24.0000, 15.0000, 19.4535),
    (50.0000, 2.5000, 0.0000, 50.0000, 3.1736, 0.5854, 1.0000),
    (50.0000, 2.5000, 0.0000, 50.0000, 3.2972, 0.0000, 1.0000),
    (50.0000, 2.5000, 0.0000, 50.0000, 1.8634, 0.5757, 1.0000),
    (50.0000, 2.5000, 0.0000, 50.0000, 3.2592, 0.3350, 1.0000),
    (60.2574, -34.0099, 36.2677, 60.4626, -34.1751, 39.4387, 1.2644),
    (63.0109, -31.0961, -5.8663, 62.8187, -29.7946, -4.0864, 1.2630),
    (61.2901, 3.7196, -5.3901, 61.4292, 2.2480, -4.9620, 1.8731),
    (35.0831, -44.1164, 3.7933, 35.0232, -40.0716, 1.5901, 1.8645),
    (22.7233, 20.0904, -46.6940, 23.0331, 14.9730, -42.5619, 2.0373),
    (36.4612, 47.8580, 18.3852, 36.2715, 50.5065, 21.2231, 1.4146),
    (90.8027, -2.0831, 1.4410, 91.1528, -1.6435, 0.0447, 1.4441),
    (90.9257, -0.5406, -0.9208, 88.6381, -0.8985, -0.7239, 1.5381),
    (6.7747, -0.2908, -2.4247, 5.8714, -0.0985, -2.2286, 0.6377),
    (2.0776, 0.0795, -1.1350, 0.9033, -0.0636, -0.5514, 0.9082),
)


def _rgb() -> torch.Tensor:
    return torch.tensor(RGB, dtype=torch.float32)[:, :, None, None] / 127.5 - 1


def test_lab_agrees_with_scikit_image() -> None:
    """The constants come from another implementation whose matrix is rounded otherwise."""
    torch.testing.assert_close(srgb_to_lab(_rgb())[:, :, 0, 0], torch.tensor(LAB), atol=0.03, rtol=0)


def test_greys_have_no_chroma_and_the_lightness_of_their_value() -> None:
    grey = torch.linspace(-1, 1, 256).view(1, 1, 16, 16)
    lab = srgb_to_lab(grey.expand(-1, 3, -1, -1))
    assert float(lab[:, 1:].abs().max()) < 1e-3
    torch.testing.assert_close(lab[:, :1], lightness(grey), atol=1e-4, rtol=0)


def test_a_colour_survives_the_way_to_lab_and_back() -> None:
    image = torch.rand(2, 3, 33, 31, generator=torch.Generator().manual_seed(0)) * 2 - 1
    torch.testing.assert_close(lab_to_srgb(srgb_to_lab(image)), image, atol=2e-5, rtol=0)
    torch.testing.assert_close(lab_to_srgb(srgb_to_lab(_rgb())), _rgb(), atol=5e-5, rtol=0)


@pytest.mark.parametrize("forth", [True, False], ids=["to Lab", "to sRGB"])
def test_gradients_are_right_and_finite_at_black(forth: bool) -> None:
    function = srgb_to_lab if forth else lab_to_srgb
    inner = torch.rand(1, 3, 2, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64) - 0.5
    start = inner if forth else srgb_to_lab(inner)
    assert torch.autograd.gradcheck(function, start.requires_grad_())
    edges = torch.full((1, 3, 1, 2), -1.0 if forth else 0.0)
    edges[..., 1] = 1.0 if forth else 100.0
    edges.requires_grad_()
    function(edges).sum().backward()
    assert edges.grad is not None
    assert edges.grad.isfinite().all()


def test_a_colour_that_srgb_lacks_keeps_its_lightness_and_hue() -> None:
    lab = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(2)) * 220 - 110
    lab[:, 0] = lab[:, 0].abs() / 1.1
    kept = within_gamut(lab)
    shown = srgb_to_lab(lab_to_srgb(kept))
    torch.testing.assert_close(shown, kept, atol=0.05, rtol=0)
    assert torch.equal(kept[:, :1], lab[:, :1])
    part = kept[:, 1:].norm(dim=1) / lab[:, 1:].norm(dim=1)
    torch.testing.assert_close(kept[:, 1:], part[:, None] * lab[:, 1:], atol=1e-3, rtol=0)
    # no more chroma would fit: a hundredth more leaves sRGB wherever the chroma was reduced
    more = torch.cat([kept[:, :1], kept[:, 1:] * 1.01], 1)
    lost = (srgb_to_lab(lab_to_srgb(more)) - more).abs().amax(1)
    assert float((lost > 0.01)[(part < 1) & (kept[:, 1:].norm(dim=1) > 5)].float().mean()) > 0.99
    # plain clipping moves the lightness of these colours
    clipped = srgb_to_lab(lab_to_srgb(lab))
    assert float((clipped[:, 0] - lab[:, 0]).abs().max()) > 5


def test_a_colour_that_srgb_has_is_left_alone() -> None:
    lab = srgb_to_lab(torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(3)) * 2 - 1)
    assert torch.equal(within_gamut(lab), lab)
    corners = srgb_to_lab(_rgb())
    torch.testing.assert_close(within_gamut(corners), corners, atol=0.02, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_ciede2000_agrees_with_the_published_pairs(dtype: torch.dtype) -> None:
    table = torch.tensor(SHARMA, dtype=dtype)
    first, second, expected = table[:, :3], table[:, 3:6], table[:, 6]
    if dtype == torch.float32:  # float32 cannot tell the four pairs at the jump of the hue apart
        first, second, expected = (torch.cat([t[:8], t[15:]]) for t in (first, second, expected))
    torch.testing.assert_close(delta_e(first, second), expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(delta_e(second, first), expected, atol=1e-4, rtol=0)
