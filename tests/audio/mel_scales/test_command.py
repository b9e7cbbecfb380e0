"""The command ``polygan mels check``: a table, converted mels, and what is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

sys.path.insert(0, str(Path(__file__).parent))
from made_mels import OURS, RATE, SCALES, SOUNDS

from polygan import cli


def main(words):
    """The exit code of a command."""
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    return ended.value.code


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Makes recordings and mels of a scale, runs the command, and returns exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POLYGAN_CACHE", str(tmp_path / "cache"))

    def make(name, *words, sounds=SOUNDS, change=lambda mel: mel):
        for i, sound in enumerate(sounds):
            for place in ("rec", "mels"):
                (tmp_path / place / "a").mkdir(parents=True, exist_ok=True)
            soundfile.write(tmp_path / f"rec/a/{i}.wav", sound.numpy(), RATE, "FLOAT")
            np.save(tmp_path / f"mels/a/{i}.npy", change(SCALES[name](sound).numpy()))
        code = main(["mels", "check", "mels", *words])
        return code, *capsys.readouterr()

    return make


def gap(place, i):
    made = np.load(place)
    assert made.dtype == np.float32
    return float(np.median(np.abs(made - OURS(SOUNDS[i]).numpy())))


@pytest.mark.parametrize("name", ["log10", "by band", "by file"])
def test_a_folder_is_named_and_converted(run, tmp_path, name):
    code, out, err = run(name, "--data", "rec", "--out", "made")
    assert (code, err) == (0, "")
    assert (
        "mels: 4 with a recording in mels\nthe recipe reads: ln of magnitudes, 80 bands, 0 to 8000 Hz, 1024/256\n"
        in out
    )
    said = {"log10": "log10 (given = 0.4343", "by band": "band by band (", "by file": "file by file ("}[name]
    assert said in out
    assert ("--data.mels_normalised 0 2.30259" in out) == (name == "log10")
    assert "converted: 4 mels in made" in out
    assert "now: ln (given = 1 x ln(magnitude)" in out
    assert all(gap(tmp_path / f"made/a/{i}.npy", i) < 0.02 for i in range(4))
    again = run(name, "--data", "rec", "--out", "made")
    assert again[0] == 2
    assert "out = 'made' is not empty; name a new folder" in again[2]


def test_right_mels_are_said_to_be_right(run):
    code, out, err = run("ln", "--data", "rec")
    assert (code, err) == (0, "")
    assert "these mels can be read as they are" in out


def test_two_numbers_convert_without_recordings(run, tmp_path):
    code, out, err = run("log10", "--normalised", "0", "2.302585", "--out", "made")
    assert (code, out, err) == (0, "converted: 4 mels in made\n", "")
    assert gap(tmp_path / "made/a/2.npy", 2) < 1e-3


def test_an_odd_file_is_named(run, tmp_path, capsys):
    run("ln")
    np.save(tmp_path / "mels/a/3.npy", OURS(SOUNDS[3].flip(0)).numpy())
    main(["mels", "check", "mels", "--data", "rec", "--each"])
    out = capsys.readouterr().out
    assert "other than most: 1 of 4 files\n  a/3: given =" in out
    assert "\na/0: given = 1 x ln + 0, correlation 1.00, 0.00 nats from its recording" in out


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("ln", [], "mels are compared with recordings: add --data RECORDINGS"),
        ("ln", ["--normalised", "1", "2"], "--normalised alone compares nothing"),
        ("ln", ["--normalised", "1", "--out", "x"], "normalised = [1.0] is not a mean and a deviation above 0"),
        (
            "ln",
            ["--data", "rec", "--n_mels", "100"],
            "the mels have 80 bands, and the front end has 100; add --n_mels 80",
        ),
        ("fmax", ["--data", "rec", "--out", "x"], "cannot be converted (fmax 7000 instead of 8000)"),
        ("ln", ["--data", "nowhere"], "nowhere"),
        ("ln", ["--data", "rec", "--hop_length", "160"], "every mel has a frame for each 258 samples"),
        ("ln", ["--run", "nothing", "--data", "rec"], "nothing"),
    ],
)
def test_what_cannot_be_done_is_one_line(run, tmp_path, name, words, message):
    code, _, err = run(name, *words)
    assert code in (1, 2)
    assert message in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "x").exists()


def test_a_folder_without_mels_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    for place, message in (
        ("empty", "empty holds no mels; looked for .npy, .safetensors"),
        ("no", "mels 'no' is no folder"),
    ):
        assert main(["mels", "check", place, "--data", "rec"]) == 1
        assert message in capsys.readouterr().err


def test_the_preset_whose_mels_these_are_is_named(run):
    _, out, _ = run("parallel_wavegan", "--data", "rec")
    assert "these are mels of --model.mel parallel_wavegan" in out
    _, out, _ = run("parallel_wavegan", "--data", "rec", "--mel", "parallel_wavegan")
    assert "these mels can be read as they are" in out
