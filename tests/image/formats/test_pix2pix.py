"""The official pix2pix weights: through import to pictures, and out again under the official names."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from polygan import CheckpointError, ConfigError, import_weights, load
from polygan_image.formats.pix2pix import export_pix2pix, import_pix2pix, read_discriminator
from polygan_image.networks.patches import PatchDiscriminator
from polygan_image.networks.unet import UNet
from polygan_image.pix2pix import Config, Pix2Pix

FOLDER = Path(__file__).parents[2] / "golden/pix2pix"
GOLDEN = load_file(FOLDER / "unet-narrow.safetensors")
STATE = {k.removeprefix("generator."): v for k, v in GOLDEN.items() if k.startswith("generator.")}


def official(tmp_path, changes=None):
    path = tmp_path / "latest_net_G.pth"
    torch.save({k: v for k, v in {**STATE, **(changes or {})}.items() if v is not None}, path)
    return path


def test_imported_weights_make_what_the_official_test_script_makes(tmp_path):
    """Through the command's function and a loaded model: each picture with its own statistics."""
    model = import_weights("image/pix2pix", official(tmp_path), tmp_path / "model.safetensors")[0]
    made = load(model).generate(given=GOLDEN["input"]).data
    network = UNet(3, 3, 4, 5, norm="batch", up="transposed")
    network.load_state_dict(import_pix2pix(tmp_path / "latest_net_G.pth").networks["generator"])
    with torch.no_grad():
        both = network.train()(GOLDEN["input"])
        expected = torch.cat([network(GOLDEN["input"][i : i + 1]) for i in range(2)])
    assert (both - GOLDEN["output_batch_statistics"]).abs().max() < 1e-5
    assert (made - expected).abs().max() < 1e-5


def test_sizes_follow_from_the_tensors(tmp_path):
    found = import_pix2pix(official(tmp_path))
    shape = {"width": 4, "depth": 5, "norm": "batch", "up": "transposed", "statistics": "picture"}
    assert found.model == {"generator": "unet", **shape}
    assert found.info == {"channels": 3, "height": 32, "width": 32, "pairs": "folders", "given": {"channels": 3}}
    assert found.networks.keys() == {"generator"}


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("depth", [2, 7, 8])
def test_ours_come_back_under_the_official_names(tmp_path, norm, depth):
    torch.manual_seed(0)
    network = UNet(1, 2, 2, depth, norm=norm, up="transposed")
    recipe = Pix2Pix(Config(), {"channels": 2, "height": 32, "width": 32, "pairs": "grey", "given": {"channels": 1}})
    (path,) = export_pix2pix(recipe, {"generator": network}, tmp_path / "a/net")
    names = torch.load(path, weights_only=True)
    assert "model.model.0.weight" in names
    assert f"model.model.1{'.model.3' * (depth - 2)}.model.3.weight" in names
    found = import_pix2pix(path)
    assert (found.model["depth"], found.model["norm"]) == (depth, norm)
    assert (found.info["channels"], found.info["given"]) == (2, {"channels": 1})
    state = network.state_dict()
    assert found.networks["generator"].keys() == state.keys()
    assert all(torch.equal(found.networks["generator"][name], tensor) for name, tensor in state.items())


@pytest.mark.parametrize("options", [{}, {"up": "transposed", "norm": "pixel"}, {"norm": "batch"}])
def test_networks_that_the_official_code_lacks_are_not_exported(tmp_path, options):
    recipe = Pix2Pix(Config(), {"channels": 2, "height": 32, "width": 32, "pairs": "grey", "given": {"channels": 1}})
    with pytest.raises(ConfigError, match=r"--model\.up transposed --model\.norm batch"):
        export_pix2pix(recipe, {"generator": UNet(1, 2, 2, 2, **options)}, tmp_path / "net")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_the_discriminator_beside_the_generator_comes_along(tmp_path, norm):
    path = official(tmp_path)
    network = PatchDiscriminator(6, 4, 2, norm)
    torch.save(network.state_dict(), tmp_path / "latest_net_D.pth")
    found = import_pix2pix(path)
    shape = {"discriminator_width": 4, "discriminator_layers": 2, "discriminator_norm": norm}
    assert shape.items() <= found.model.items()
    ours = Pix2Pix(Config(**found.model), {**found.info, "count": 1}).networks()["discriminator"]
    ours.load_state_dict(found.networks["discriminator"])
    image = torch.rand(1, 6, 32, 32)
    torch.testing.assert_close(ours(image)[0], network(image))
    with pytest.raises(CheckpointError, match=r"model\.0\.weight has the shape \(4, 6, 4, 4\), .* \(4, 4, 4, 4\)"):
        read_discriminator(network.state_dict(), path, 4)


INNER = "model.model.1.model.3.model.1.weight"


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({INNER: torch.ones(16, 9, 4, 4)}, rf"{INNER} has the shape \(16, 9, 4, 4\), and U-Net of pix2pix has \(16, 8"),
        ({"model.model.1.model.6.bias": None}, r"model\.model\.1\.model\.6\.bias is missing"),
        ({"model.model.0.weight": None}, r"has no model\.model\.0\.weight, and so holds no U-Net"),
        ({"model.model.3.weight": torch.ones(8)}, r"model\.model\.3\.weight has the shape \(8,\)"),
        ({"model.model.9.weight": torch.ones(1)}, r"model\.model\.9\.weight has no place"),
        ({INNER: None}, "has no place"),
    ],
)
def test_weights_of_another_shape_name_the_tensor(tmp_path, changes, word):
    with pytest.raises(CheckpointError, match=word):
        import_pix2pix(official(tmp_path, changes))


def test_means_that_instance_norm_never_used_are_passed_over(tmp_path):
    """Old versions of torch kept them."""
    torch.manual_seed(0)
    network = UNet(3, 3, 2, 5, norm="instance", up="transposed")
    recipe = Pix2Pix(Config(), {"channels": 3, "height": 32, "width": 32, "pairs": "left", "given": {"channels": 3}})
    (path,) = export_pix2pix(recipe, {"generator": network}, tmp_path / "net")
    state = torch.load(path, weights_only=True)
    torch.save({**state, "model.model.1.model.2.running_mean": torch.ones(4)}, path)
    assert import_pix2pix(path).networks["generator"].keys() == network.state_dict().keys()
