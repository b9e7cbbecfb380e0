"""The command line with the audio plugin: train, resume to the bit, re-synthesise files, evaluate, report, export and import."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from survival import command as polygan

pytestmark = pytest.mark.e2e

SMALL = ["--data", "tones", "--data.size", "24", "--data.segment", "2048", "--batch_size", "4", "--log_every", "2",
         "--save_every", "2", "--precision", "fp32"]  # fmt: skip
NETS = {
    "audio/vocos": ["--model.dim", "16", "--model.hidden", "32", "--model.blocks", "2", "--model.pretrain_steps", "3",
                    "--model.iterations", "2"],
    "audio/hifigan": ["--model.variant", "v2", "--model.channels", "16", "--model.discriminator_width", "8",
                      "--model.epoch", "3"],
}  # fmt: skip


@pytest.fixture(scope="module", params=sorted(NETS))
def trained(request, tmp_path_factory):
    """A run of 4 steps, and one that stopped after 2 of 4 and was resumed."""
    cwd = tmp_path_factory.mktemp("audio")
    words = [request.param, *SMALL, *NETS[request.param]]
    polygan("train", *words, "--steps", 4, "--name", "whole", cwd=cwd)
    polygan("train", *words, "--steps", 4, "--name", "parts", cwd=cwd)
    shutil.rmtree(cwd / "runs/parts/checkpoints/step-00000004")  # as if it had been killed after the second step
    polygan("resume", "runs/parts", cwd=cwd)
    return cwd, request.param


def test_a_resumed_run_is_the_same_to_the_byte(trained):
    cwd, _ = trained
    whole, parts = (cwd / "runs" / name / "checkpoints" / "step-00000004" for name in ("whole", "parts"))
    for path in sorted(whole.glob("*.safetensors")):
        assert path.read_bytes() == (parts / path.name).read_bytes(), path.name


def test_files_go_in_and_come_out(trained):
    cwd, _ = trained
    polygan("generate", "runs/whole", "-n", 2, "--out", "made", cwd=cwd)
    assert sorted(p.name for p in (cwd / "made").glob("[!.]*")) == ["00000.wav", "00001.wav"]
    polygan("generate", "runs/whole", "--input", "made", "--format", "flac", "--chunk", 64, "--out", "again", cwd=cwd)
    assert sorted(p.name for p in (cwd / "again").glob("[!.]*")) == ["00000.flac", "00001.flac"]
    np.save(cwd / "wrong.npy", np.zeros((3, 9), np.float32))
    done = polygan("generate", "runs/whole", "--input", "wrong.npy", cwd=cwd, code=1)
    assert "wrong.npy has 3 bands, this vocoder takes 80" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_scores_and_report_have_players(trained):
    cwd, _ = trained
    done = polygan("evaluate", "runs/whole", "--metrics", "audio/mel-distance", "--samples", 2, cwd=cwd)
    assert "audio/mel-distance" in done.stdout
    assert "of-griffin-lim" in done.stdout
    page = (cwd / "runs/whole/report.html").read_text()
    assert page.count("<audio controls") >= 4  # generated and real


def test_an_exported_model_is_a_vocoder(trained):
    cwd, recipe = trained
    polygan("export", "runs/whole", "--out", "vocoder.safetensors", cwd=cwd)
    polygan("generate", "runs/whole", "-n", 1, "--out", "clip", cwd=cwd)
    polygan("generate", "vocoder.safetensors", "--input", "clip/00000.wav", "--out", "exported", cwd=cwd)
    polygan("generate", "runs/whole", "--input", "clip/00000.wav", "--out", "run", cwd=cwd)
    one, two = (cwd / name / "00000.wav" for name in ("exported", "run"))
    assert one.read_bytes() == two.read_bytes()
    other = "audio/vocos" if recipe == "audio/hifigan" else "audio/hifigan"
    done = polygan("train", other, *SMALL, "--steps", 1, "--init_from", "vocoder.safetensors", cwd=cwd, code=1)
    assert "vocoder.safetensors" in done.stderr


def test_another_front_end_is_refused(trained):
    cwd, recipe = trained
    words = [recipe, *SMALL, *NETS[recipe], "--steps", 6, "--name", "other", "--init_from", "runs/whole"]
    done = polygan("train", *words, "--model.fmax", 4000, cwd=cwd, code=2)
    assert "has --model.fmax 8000, and this run has --model.fmax 4000: these networks do not fit" in done.stderr
    assert not (cwd / "runs/other").exists()
