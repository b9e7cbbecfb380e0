"""Pictures and sounds in Chromium: what the page draws and plays is what onnxruntime computes of the same latents."""

from __future__ import annotations

import json

import numpy as np
import onnxruntime
import pytest
from acting import drawn, pixels, slide
from little_graphs import latents, negative, weights

pytestmark = pytest.mark.slow

NAMES = ["zero", "<b>one</b>", "two"]


def state(page):
    return json.loads(
        page.evaluate(
            "JSON.stringify({...polygan.state, latents: [...polygan.state.latents], values: [...polygan.state.values]})"
        )
    )


def expected(file, page):
    """What onnxruntime computes of the latents, the class and the truncation that the page has."""
    session, now = onnxruntime.InferenceSession(file), state(page)
    taken = {port.name for port in session.get_inputs()}
    given = {"latents": np.array([now["latents"]], np.float32), "latent": np.array([now["latents"]], np.float32)}
    given |= {name: np.array([now["label"]]) for name in ("classes", "label")}
    given["truncation"] = np.array(now["truncation"], np.float32)
    return session.run(None, {name: given[name] for name in taken})[0][0]


def grey_levels(picture):
    return np.moveaxis((picture + 1) * 127.5, 0, -1)


def test_pictures_are_those_of_onnxruntime_and_every_control_changes_them(opened, tmp_path):
    file = latents(
        tmp_path / "g.onnx",
        weights(6, 3 * 24 * 16) * 3,
        (3, 24, 16),
        NAMES,
        truncation=True,
        facts={"sampling": {"truncation": 0.8}},
    )
    page = opened(file)

    def same():
        np.testing.assert_allclose(pixels(page)[..., :3], grey_levels(expected(file, page)), atol=0.51)
        assert pixels(page)[..., 3].min() == 255
        return pixels(page)

    first = same()
    assert first.shape == (24, 16, 4)
    assert state(page)["truncation"] == 0.8
    drawn(page, lambda: page.click(".cell >> nth=5"))
    chosen = same()
    assert state(page)["label"] == 5 % 3
    assert np.abs(chosen - first).mean() > 1
    np.testing.assert_array_equal(pixels(page, ".cell:nth-of-type(6) canvas"), chosen)
    for name, value in (("direction 2", -2.5), ("truncation", 0.3), ("from one to the next", 7.4)):
        before = pixels(page)
        drawn(page, lambda name=name, value=value: slide(page, name, value))
        assert np.abs(same() - before).mean() > 1, name
    drawn(page, lambda: page.click("text='<b>one</b>'"))
    assert state(page)["label"] == 1
    same()
    drawn(page, lambda: page.click("#new"))
    assert state(page)["seed"] != 1
    assert np.abs(same() - first).mean() > 1


def test_a_slider_moves_latents_along_its_direction_alone(opened, tmp_path):
    file = latents(tmp_path / "g.onnx", weights(6, 16), (1, 4, 4))
    page = opened(file)
    directions = np.array(page.evaluate("polygan.model.facts.directions"))
    before = np.array(state(page)["latents"])
    drawn(page, lambda: slide(page, "direction 3", 1.5))
    after = np.array(state(page)["latents"])
    moved = directions @ (after - before)
    assert directions[2] @ after == pytest.approx(1.5, abs=1e-3)
    assert np.abs(np.delete(moved, 2)).max() < 1e-3
    drawn(page, lambda: page.click("#reset"))
    np.testing.assert_allclose(state(page)["latents"], before)


def test_latents_are_normal_and_a_walk_ends_where_the_next_picture_is(opened, tmp_path):
    page = opened(latents(tmp_path / "g.onnx", weights(200, 16), (1, 4, 4)))
    rows = np.array(page.evaluate("[...Array(50).keys()].map((i) => [...polygan.parts.normals(3, i, 200)])"))
    assert abs(rows.mean()) < 0.03
    assert abs(rows.std() - 1) < 0.03
    assert abs(np.corrcoef(rows)[np.triu_indices(50, 1)]).max() < 0.35
    assert np.unique(rows.round(6)).size > 9_900
    drawn(page, lambda: slide(page, "from one to the next", 2))
    walked = state(page)["latents"]
    drawn(page, lambda: page.click(".cell >> nth=2"))
    np.testing.assert_allclose(walked, state(page)["latents"], atol=1e-6)


def test_a_picture_is_saved_as_png(opened, tmp_path):
    from PIL import Image

    page = opened(latents(tmp_path / "g.onnx", weights(6, 4 * 9 * 7) * 2, (4, 9, 7)))
    with page.expect_download() as download:
        page.click("#save")
    assert download.value.suggested_filename == "image-dcgan-1-0.png"
    saved = np.asarray(Image.open(download.value.path()).convert("RGBA"), np.float32)
    now = pixels(page)
    opaque = now[..., 3] > 100  # a canvas keeps colours multiplied by alpha
    assert saved.shape == (9, 7, 4)
    assert np.abs(saved - now)[opaque].max() <= 2


def test_of_many_classes_a_search_finds_the_one(opened, tmp_path):
    names = [f"class {i}" for i in range(120)]
    page = opened(latents(tmp_path / "g.onnx", weights(6, 16), (1, 4, 4), names))
    assert page.locator(".chip").count() == 51
    page.fill("input[type=search]", "S 117")
    assert page.locator(".chip").all_inner_texts() == ["all in turn", "class 117"]
    drawn(page, lambda: page.click("text='class 117'"))
    assert state(page)["label"] == 117
    page.fill("input[type=search]", "nothing")
    assert page.inner_text(".chooser .note") == "no such class"


def test_sounds_are_those_of_onnxruntime_and_are_saved_as_wav(opened, tmp_path):
    names, facts = ("latent", "label", "waveform"), {"sample_rate": 8000, "recipe": "audio/wavegan"}
    file = latents(tmp_path / "s.onnx", weights(6, 2048), (2048,), ["A3", "C4"], names=names, facts=facts)
    page = opened(file)
    np.testing.assert_allclose(state(page)["values"], expected(file, page), atol=1e-5)
    assert pixels(page)[..., 3].any()
    before = pixels(page)
    drawn(page, lambda: page.click(".cell >> nth=3"))
    assert state(page)["label"] == 1
    assert np.abs(pixels(page) - before).mean() > 1
    page.click("#play")
    with page.expect_download() as download:
        page.click("#save")
    import wave

    with wave.open(str(download.value.path())) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (8000, 1, 2)
        samples = np.frombuffer(sound.readframes(2048), np.int16)
    np.testing.assert_allclose(samples / 32767, expected(file, page), atol=1e-4)


@pytest.mark.parametrize(("given", "made"), [(3, 3), (1, 3), (3, 1)])
def test_a_given_picture_becomes_what_onnxruntime_makes_of_it(opened, tmp_path, given, made):
    from PIL import Image

    photo = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    page = opened(negative(tmp_path / "t.onnx", given, made), {"height": 64, "width": 64})
    assert pixels(page, "#made").shape == (64, 64, 4)  # the example
    drawn(page, lambda: page.set_input_files("#file", tmp_path / "photo.png"), "#made")
    levels = photo.astype(np.float32)
    if given == 1:
        levels = np.asarray(Image.fromarray(photo).convert("L"), np.float32)[..., None]
    expected = 255 - levels[..., np.arange(made) % given]
    shown = pixels(page, "#made")[..., :made]
    np.testing.assert_allclose(shown, expected, atol=1)


def test_a_drawing_of_a_label_map_is_one_hot(opened, tmp_path):
    colours = ["#102030", "#aabbcc", "#ff0000"]
    facts = {"given": {"channels": 3, "values": [0, 4, 9], "names": NAMES, "colours": colours}}
    page = opened(negative(tmp_path / "t.onnx", 3, 3, facts), {"height": 32, "width": 32})
    page.click("text='two'")
    box = page.locator("#given").bounding_box()
    x, y = box["x"], box["y"]

    def draw():
        page.mouse.move(x + 0.3 * box["width"], y + 0.3 * box["height"])
        page.mouse.down()
        page.mouse.move(x + 0.7 * box["width"], y + 0.3 * box["height"], steps=5)
        page.mouse.up()

    drawn(page, draw, "#made")
    values = np.array(page.evaluate("[...polygan.state.given]")).reshape(3, 32, 32)
    assert set(np.unique(values)) == {0, 1}
    assert (values.sum(0) == 1).all()
    assert values[2, 9, 12:20].all()
    np.testing.assert_allclose(pixels(page, "#made")[..., :3], grey_levels(-values), atol=0.51)


def test_a_file_that_is_no_picture_is_one_line(opened, tmp_path):
    (tmp_path / "no.png").write_text("text")
    page = opened(negative(tmp_path / "t.onnx"))
    page.set_input_files("#file", tmp_path / "no.png")
    page.wait_for_selector("#status.fault")
    assert page.inner_text("#status") == "no.png is no picture that this browser can read."
