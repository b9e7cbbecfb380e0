"""Patch discriminators: the published network, what a logit sees, scales, features, norms."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from polygan_image.networks.patches import MultiScale, PatchDiscriminator, smallest_side


def test_the_published_network_gives_the_same_logits():
    golden = load_file(Path(__file__).parents[2] / "golden/pix2pix/patch-discriminator.safetensors")
    network = PatchDiscriminator(6, 8, 3, "instance")
    network.load_state_dict({k.removeprefix("discriminator."): v for k, v in golden.items() if "model" in k})
    with torch.no_grad():
        assert (network(golden["input"]) - golden["output"]).abs().max() < 1e-5


@pytest.mark.parametrize(("layers", "seen"), [(1, 16), (2, 34), (3, 70)])
def test_a_logit_judges_a_patch(layers, seen):
    torch.manual_seed(0)
    network = PatchDiscriminator(1, 2, layers).double()
    image = torch.randn(1, 1, 96, 96, dtype=torch.double, requires_grad=True)
    logits = network(image)
    middle = logits.shape[2] // 2
    (gradient,) = torch.autograd.grad(logits[0, 0, middle, middle], image)
    columns = gradient.abs().sum((0, 1, 2)).nonzero()[:, 0]
    assert int(columns[-1] - columns[0]) + 1 == seen


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("scales", [1, 2])
def test_the_smallest_side_is_the_smallest(layers, scales):
    network, side = MultiScale(1, 2, layers, scales=scales), smallest_side(layers, scales)
    assert network(torch.zeros(1, 1, side, side))[-1].shape == (1, 1, 1, 1)
    with pytest.raises(RuntimeError):
        network(torch.zeros(1, 1, side - 1, side - 1))


def test_the_second_scale_sees_the_picture_at_half_the_size():
    torch.manual_seed(0)
    network, image = MultiScale(2, 4, 1, scales=2), torch.randn(1, 2, 24, 32)
    first, second = network(image)
    torch.testing.assert_close(first, network.scales[0](image))
    small = F.avg_pool2d(image, 3, 2, 1, count_include_pad=False)
    assert small.shape[2:] == (12, 16)
    torch.testing.assert_close(second, network.scales[1](small))
    assert not torch.equal(network.scales[0](small), second)


def test_features_are_the_maps_before_the_logits():
    torch.manual_seed(0)
    network, image = MultiScale(2, 4, 3, "instance", scales=2), torch.randn(2, 2, 64, 64)
    for logits, maps in zip(network(image), network(image, features=True), strict=True):
        assert [m.shape[1] for m in maps] == [4, 8, 16, 32, 1]
        torch.testing.assert_close(maps[-1], logits)


@pytest.mark.parametrize("norm", ["none", "pixel", "instance", "spectral"])
def test_a_row_does_not_depend_on_the_others(norm):
    torch.manual_seed(0)
    network, image = PatchDiscriminator(2, 4, 2, norm).eval(), torch.randn(3, 2, 32, 32)
    torch.testing.assert_close(network(image)[1:2], network(image[1:2]), rtol=1e-5, atol=1e-6)


def test_spectral_norm_bounds_every_layer():
    network = PatchDiscriminator(2, 4, 2, "spectral")
    for _ in range(30):
        network(torch.randn(1, 2, 32, 32))
    network.eval()
    layers = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(layers) == 4
    for layer in layers:
        assert float(torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)) == pytest.approx(1, abs=0.02)
