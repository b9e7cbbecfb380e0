"""StyleGAN's latent space: truncation, mixing, walks, projection."""

import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from small_stylegan import CLASSES, awake, generator, recipe

from polygan import ConfigError, DataError, make_samples, testing
from polygan_image import latent
from polygan_image.domain import ImageDomain
from polygan_image.latent import StyleSampling, project


def generate(n, g=None, classes=(), **options):
    made = recipe(classes)
    g = g or generator(classes)
    return make_samples(made, {"generator": g}, n, 0, StyleSampling(**options), domain=ImageDomain())


def test_a_sample_does_not_depend_on_how_many_are_asked_for():
    made = recipe()
    testing.check_prefix(made, {"generator": awake(generator())}, StyleSampling())


def test_truncation_leads_to_the_mean_picture():
    g = generator(())
    g.mean_latent.copy_(torch.randn(12))
    mean = g.synthesise(g.mean_latent.expand(1, g.style_count, -1), latent.fixed_noise(g)).clamp(-1, 1)
    assert torch.allclose(generate(3, g, truncation=0.0).data, mean.expand(3, -1, -1, -1), atol=1e-5)
    w = torch.randn(4, 12)
    torch.testing.assert_close(latent.truncate(g, w, 0.7), 0.7 * w + 0.3 * g.mean_latent)
    assert not torch.allclose(generate(3, g).data, mean.expand(3, -1, -1, -1), atol=1e-2)


def test_classes_follow_the_data_but_in_a_mixing_grid():
    made, g = recipe(), generator()
    made.info["class_counts"] = [0, 1, 3]
    drawn = make_samples(made, {"generator": g}, 8)
    assert drawn.labels.tolist() == [2, 1, 2, 2, 2, 1, 2, 2]
    mixed = (make_samples(made, {"generator": g}, 4, 0, StyleSampling(mix="coarse")) for made in (made, recipe()))
    assert torch.equal(*(m.data for m in mixed))


@pytest.mark.parametrize(("which", "first", "last"), [("coarse", 0, 3), ("middle", 3, 7), ("fine", 7, 8)])
def test_a_mixing_grid_has_its_sources_on_the_diagonal(which, first, last):
    styles = torch.randn(9, 8, 5)
    grid, k = latent.mixed(styles, which)
    assert k == 3
    for i in range(3):
        for j in range(3):
            cell = grid[3 * i + j]
            assert torch.equal(cell[first:last], styles[i, first:last])
            assert torch.equal(cell[:first], styles[j, :first])
            assert torch.equal(cell[last:], styles[j, last:])
    samples = generate(9, mix=which)
    assert (samples.kind, samples.columns) == ("grid", 3)
    plain_ones = generate(9)
    torch.testing.assert_close(samples.data[[0, 4, 8]], plain_ones.data[:3], atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("n", "options", "words"),
    [
        (8, {"mix": "coarse"}, "-n 4 or 9"),
        (5, {"walk": 3}, None),
        (3, {"walk": 3}, "-n 6 or more"),
        (4, {"truncation": 3.0}, "truncation = 3.0"),
        (4, {"walk": 1}, "walk = 1"),
        (4, {"mix": "course"}, "^mix = 'course' is unknown .did you mean 'coarse'"),
        (4, {"mix": "coarse", "walk": 2}, "mix and walk"),
        (4, {"project": "x.png", "grid": True}, "project and grid"),
        (4, {"project_steps": 0}, "project_steps = 0"),
    ],
)
def test_bad_options_are_one_clear_line(n, options, words):
    if words is None:
        assert len(generate(n, **options)) == n
        return
    with pytest.raises(ConfigError, match=words) as error:
        generate(n, **options)
    assert "\n" not in str(error.value)


def test_a_closed_walk_of_even_steps():
    g = awake(generator())
    samples = generate(12, g, CLASSES, walk=4)
    assert samples.kind == "frames"
    assert samples.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    data = samples.data
    steps = [float((data[i] - data[(i + 1) % 12]).abs().mean()) for i in range(12)]
    ends = [float((data[i] - data[(i + 6) % 12]).abs().mean()) for i in range(12)]
    assert max(steps) < 0.8 * max(ends)  # also from the last to the first
    assert generate(5, g, CLASSES, walk=4, label="b").labels.tolist() == [1] * 5


def test_walks_become_animations(tmp_path):
    samples = generate(8, walk=4)
    for name in ("walk.webp", "walk.gif"):
        (path,) = samples.save(tmp_path / name)
        with Image.open(path) as picture:
            assert (picture.n_frames, picture.size, picture.info["loop"]) == (8, (32, 32), 0)
    files = samples.save(tmp_path / "frames")
    assert [f.name for f in files] == [*(f"{i:05d}.png" for i in range(8)), "grid.png", "animation.webp"]
    (path,) = samples.save(tmp_path / "walk.png")
    with Image.open(path) as picture:
        assert picture.size == (3 * 34 - 2, 3 * 34 - 2)
    with pytest.raises(ConfigError, match=r"two\.gif: .* writes .*, and for an animation \.webp, \.gif; use one"):
        generate(2).save(tmp_path / "two.gif")


def test_projection_finds_a_picture_of_the_generator_again(tmp_path):
    g = generator((), channel_base=256)
    with torch.no_grad():
        g.mean_latent.copy_(g.mapping(torch.randn(500, 12)).mean(0))
        styles = g.mapping(torch.randn(1, 12))[:, None].expand(-1, g.style_count, -1)
        target = g.synthesise(styles, latent.fixed_noise(g)).clamp(-1, 1)
    found = project(g, target, steps=120, shown=4)
    start = (found.way[0] - target[0]).square().mean().sqrt()
    assert found.distance.item() < 0.3 * start
    assert torch.equal(found.way[-1:], found.pictures)
    assert len(found.way) == 4
    again = g.synthesise(found.styles, latent.fixed_noise(g)).clamp(-1, 1)
    assert torch.equal(again, found.pictures)
    assert all(p.grad is None for p in g.parameters())


def test_projection_through_the_options(tmp_path):
    Image.new("RGB", (50, 40), (200, 60, 30)).save(tmp_path / "red.png")
    g = generator((), channel_base=256)
    samples = generate(5, g, project=str(tmp_path / "red.png"), project_steps=40)
    assert (len(samples), samples.kind) == (5, "frames")
    red = torch.tensor([200, 60, 30]).view(3, 1, 1) / 127.5 - 1
    errors = (samples.data - red).square().mean((1, 2, 3))
    assert errors[-1] < 0.5 * errors[0]
    with pytest.raises(ConfigError, match="with --label"):
        generate(1, generator(), CLASSES, project=str(tmp_path / "red.png"))
    found = generate(2, generator(), CLASSES, project=str(tmp_path / "red.png"), project_steps=1, label="c")
    assert found.labels.tolist() == [2, 2]
    (tmp_path / "text.png").write_text("no picture")
    for name, words in (("none.png", "No such file"), ("text.png", "not a picture")):
        with pytest.raises(DataError, match=words) as error:
            generate(1, g, project=str(tmp_path / name))
        assert name in str(error.value)


def test_fixed_noise_is_the_same_for_every_picture_and_call():
    g = generator(())
    for a, b in zip(latent.fixed_noise(g), latent.fixed_noise(g), strict=True):
        assert torch.equal(a, b)
    assert [n.shape[-1] for n in latent.fixed_noise(g)] == g.noise_sizes


def test_a_mixing_grid_has_no_classes():
    assert generate(9, awake(generator()), CLASSES, mix="coarse").labels is None
