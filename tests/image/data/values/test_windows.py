"""Windows: values to [-1, 1] and back, what users may type, and what the data decides."""

import numpy as np
import pytest
import torch
from PIL import Image

from polygan import ConfigError, DataError
from polygan.data import build_store
from polygan_image.data.values import windows
from polygan_image.domain import ImageDomain, ImageSettings


def source(path, **options):
    return ImageDomain().open(ImageSettings(source=str(path), **options))


def saved(folder, *arrays, name="{}.npy"):
    folder.mkdir(exist_ok=True)
    for i, values in enumerate(arrays):
        np.save(folder / name.format(i), values)
    return folder


@pytest.mark.parametrize("dtype", ["uint16", "int16"])
@pytest.mark.parametrize("window", [(0, 65_535), (-32_768, 32_767), (-40_000, 70_000)])
def test_every_whole_number_inside_the_window_comes_back(dtype, window):
    bounds = np.iinfo(dtype)
    values = np.arange(bounds.min, bounds.max + 1).astype(dtype).reshape(1, 1, 256, 256)
    facts = {"window": list(window), "dtype": dtype}
    unit = windows.to_unit(torch.from_numpy(values), facts)
    assert (unit.dtype, float(unit.min()) >= -1, float(unit.max()) <= 1) == (torch.float32, True, True)
    back = windows.to_values(unit, facts)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, values.clip(*window))


@pytest.mark.parametrize("seed", range(20))
def test_floats_come_back_to_within_two_steps_of_the_window(seed):
    rng = np.random.default_rng(seed)
    low, high = sorted(rng.normal(size=2) * 10.0 ** rng.integers(-20, 20))
    values = rng.uniform(low, high, (1, 2, 9, 9)).astype(np.float32)
    facts = {"window": [float(low), float(high)], "dtype": "float32"}
    kept = values.copy()
    back = windows.to_values(windows.to_unit(torch.from_numpy(values), facts), facts)
    np.testing.assert_array_equal(values, kept)  # a batch is not changed in place
    step = np.spacing(np.float32(max(abs(low), abs(high))))
    assert np.abs(back.astype(np.float64) - values).max() <= 2 * step


def test_floats_of_a_symmetric_unit_window_are_the_same_numbers():
    values = torch.tensor([1e-30, -1.0, 0.1, 1.0, -3e-9]).view(1, 1, 1, 5)
    facts = {"window": [-1.0, 1.0], "dtype": "float32"}
    assert torch.equal(windows.to_unit(values.clone(), facts), values)
    np.testing.assert_array_equal(windows.to_values(values, facts), values.numpy())


def test_values_outside_the_window_are_black_and_white_and_nan_is_its_middle():
    facts = {"window": [-1000.0, 2000.0], "dtype": "int16"}
    values = torch.tensor([-3000, -1000, 500, 2000, 9999], dtype=torch.int16)
    assert windows.to_unit(values, facts).tolist() == [-1, -1, 0, 1, 1]
    assert windows.to_values(torch.tensor([-7.0, float("nan"), 3.0]), facts).tolist() == [-1000, 500, 2000]


@pytest.mark.parametrize("text", ["-1000 2000", "-1000,2000", " -1e3, 2e3 "])
def test_two_numbers_are_a_window(text):
    assert windows.said(text) == (-1000, 2000)


@pytest.mark.parametrize(
    ("text", "message"),
    [("5 5", "has no width"), ("9 1", "has no width"), ("1", "is no window"), ("a b", "two numbers"), ("0 inf", "is no window"),
     ("0 nan", "is no window"), ("fulll", "full, or percentile")],
)  # fmt: skip
@pytest.mark.parametrize("name", ["window", "given_window"])
def test_other_text_is_no_window(name, text, message):
    with pytest.raises(ConfigError, match=rf"data\.{name} = '{text}'.*{message}"):
        ImageSettings(**{name: text, "pairs": "folders"})


def test_twelve_bits_in_a_sixteen_bit_file_keep_all_their_levels(tmp_path):
    values = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    Image.fromarray(values).save(tmp_path / "a.png")
    Image.fromarray(values[::-1].copy()).save(tmp_path / "b.png")
    found = source(tmp_path)
    assert (found.info["dtype"], found.info["window"]) == ("uint16", [0, 4095])
    facts = dict(found.describe())
    assert facts["values"] == "uint16; black is 0 and white 4095 (data.window = full)"
    image = found.decode(0)["image"]
    np.testing.assert_array_equal(image[0], values)
    unit = ImageDomain().prepare({"image": torch.from_numpy(image.copy())[None]}, found.info)["image"]
    assert len(unit.unique()) == 4096
    assert (float(unit.min()), float(unit.max())) == (-1, 1)


def test_the_window_that_the_data_decides_is_found_once(tmp_path, monkeypatch):
    folder = saved(tmp_path / "p", *(np.arange(i, 200 + i, dtype=np.int16).reshape(10, 20) for i in range(5)))
    settings = {"cache": str(tmp_path / "cache")}
    found = source(folder, **settings)
    assert found.info["window"] == [0, 203]
    percentile = source(folder, window="percentile", **settings).info["window"]
    expected = np.percentile(np.concatenate([np.arange(i, 200 + i) for i in range(5)]), [0.5, 99.5])
    np.testing.assert_allclose(percentile, expected)
    monkeypatch.setattr(type(found), "decode", lambda *_: pytest.fail("the values were looked at again"))
    assert source(folder, **settings).info["window"] == [0, 203]
    assert source(folder, window="-5 7", **settings).info["window"] == [-5, 7]
    assert source(folder, window="full", **settings).fingerprint() == found.fingerprint()


def test_bytes_have_a_window_only_where_one_is_asked_for(tmp_path):
    folder = saved(tmp_path / "p", np.full((4, 4), 3, np.uint8), np.full((4, 4), 17, np.uint8))
    plain = source(folder)
    assert not {"window", "dtype"} & plain.info.keys()
    assert "values" not in dict(plain.describe())
    asked = source(folder, window="full")
    assert asked.info["window"] == [3, 17]
    assert "dtype" not in asked.info
    assert asked.fingerprint() == plain.fingerprint()  # one store


def test_data_of_one_value_has_no_window(tmp_path):
    folder = saved(tmp_path / "p", np.full((4, 4), 7, np.uint16))
    with pytest.raises(DataError, match=r"data\.window = full has no width: all values .* are 7; type --data\.window"):
        source(folder)
    assert source(folder, window="0 9").info["window"] == [0, 9]
    mostly = np.zeros((64, 64), np.float32)
    mostly[0, 0] = 1
    with pytest.raises(DataError, match=r"data\.window = percentile has no width: nearly all values"):
        source(saved(tmp_path / "q", mostly), window="percentile")


def test_a_picture_with_nan_is_left_out_and_spoils_no_window(tmp_path):
    arrays = [np.linspace(0, i + 1, 16, dtype=np.float32).reshape(4, 4) for i in range(12)]
    arrays[3][1, 1] = np.nan
    arrays[11][0, 0] = np.inf
    folder = saved(tmp_path / "p", *arrays)
    settings = ImageSettings(source=str(folder), cache=str(tmp_path / "cache"), max_bad=0.5)
    found = ImageDomain().open(settings)
    assert found.info["window"] == [0, 11]
    store = build_store(found, settings, progress=False)
    assert len(store) == 10
    assert any("3.npy: has NaN or infinite values at 1 of 16 places; replace them" in line for line in store.bad)


def test_what_is_learned_from_crops_or_windows_has_a_key_of_its_own():
    facts = [{}, {"crop": 32}, {"crop": 64}, {"window": [0, 9]}, {"crop": 32, "window": [0, 9]}]
    assert len({windows.seen_as({"height": 32, **f}) for f in facts}) == 5
    assert windows.seen_as({"height": 32}) == ""  # what was learned before stays known
