"""A run of speech from text: from a folder of recordings to a text spoken by the command line and in Python."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import soundfile
import torch

sys.path.insert(0, str(Path(__file__).parent))
from small_speech import SMALL, corpus

import polygan
from polygan.cli import main


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speech")
    data = corpus(folder / "data", ("abcab", "deed 2", "bead") * 4)
    settings = {"steps": 3, "batch_size": 2, "hang_timeout": 0, "sample_every": 0, "runs": str(folder / "runs")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POLYGAN_CACHE", str(folder / "cache"))
        return polygan.train("audio/tacotron2", str(data), model=SMALL, quiet=True, **settings)


def spoken(run, *words):
    with pytest.raises(SystemExit) as end:
        main(["generate", str(run.folder), *map(str, words)])
    assert not end.value.code


def test_facts_of_the_recordings_are_kept_with_the_run(run):
    info = polygan.load(run.folder).recipe.info
    assert info["symbols"] == " abcdeotw"
    assert info["spoken"] == {"deed 2": "deed two"}
    assert len(info["mel_mean"]) == 20


def test_a_text_is_spoken_into_a_file(run, tmp_path, capsys):
    spoken(run, "--text", "a bad ace. deed", "--out", tmp_path / "hello.wav")
    sound, rate = soundfile.read(tmp_path / "hello.wav")
    assert rate == 8_000
    made = polygan.load(run.folder).generate(given="a bad ace. deed")
    assert len(sound) == len(made.data[0])
    assert capsys.readouterr().out == f"{tmp_path / 'hello.wav'}\n"


def test_a_text_without_a_place_goes_into_the_folder_of_the_run(run, capsys):
    spoken(run, "--text", "deed")
    assert capsys.readouterr().out == f"{run.folder / 'converted/samples.wav'}\n"
    assert (run.folder / "converted/samples.wav").is_file()


def test_lines_of_a_file_are_spoken_one_after_another(run, tmp_path, capsys):
    (tmp_path / "lines.txt").write_text("deed\n\nabcab 22 \n")
    spoken(run, "--input", tmp_path / "lines.txt", "--out", tmp_path / "made", "--pace", 0.5)
    (file,) = (tmp_path / "made").glob("[!.]*")
    assert file.name == "lines.wav"
    err = capsys.readouterr().err
    assert "lines.txt: empty lines are left out: 2" in err
    assert "'n' (1)" in err  # twenty
    made = polygan.load(run.folder).generate(given=["deed", "abcab 22"], pace=0.5)
    gap = round(0.3 * 8_000)
    assert soundfile.info(file).frames == sum(map(len, made.data)) + gap


def test_strings_and_lists_of_strings_are_given_in_python(run, tmp_path):
    loaded = polygan.load(run.folder)
    made = loaded.generate(given=["deed", "abcab"])
    assert len(made) == 2
    assert torch.equal(loaded.generate(given="deed").data[0], made.data[0])
    assert len(made.save(tmp_path / "made")) == 2
    exported = polygan.load(loaded.export(tmp_path / "voice")[0])
    assert torch.equal(exported.generate(given="deed").data[0], made.data[0])
    with pytest.raises(polygan.ConfigError, match="nothing can be spoken of"):
        loaded.generate(given="漢字")


def test_the_alignment_of_what_was_made_names_each_symbol_in_order(run):
    (heard,) = run.generate(given="bead deed").extra["alignment"]
    assert (heard.sum(1) - 1).abs().max() < 1e-3
    assert (heard @ torch.arange(float(heard.shape[1]))).diff().min() > -1e-3
    assert heard[0].argmax() == 0
    assert heard[-1].argmax() == heard.shape[1] - 1


def test_another_vocoder_must_exist(run):
    with pytest.raises(polygan.ConfigError, match="vocoder = 'nowhere'"):
        polygan.load(run.folder).generate(given="deed", vocoder="nowhere")
