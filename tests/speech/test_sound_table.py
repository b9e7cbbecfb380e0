"""The example that scores a table of sounds beside a run."""

from __future__ import annotations

import importlib.util
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from small_speech import SMALL, corpus

import polygan

EXAMPLE = Path(__file__).parents[2] / "examples/sound_table.py"


def test_the_table_of_sounds_is_scored_and_the_run_stays_as_it_is(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("POLYGAN_CACHE", str(tmp_path / "cache"))
    rng = random.Random(0)
    texts = ["".join(rng.choices("abcde", k=6)) for _ in range(16)]
    data = {"source": str(corpus(tmp_path / "sounds", texts)), "held_out": 0.2}
    model = {**SMALL, "align_steps": 30, "pretrain_steps": 31}
    run = polygan.train(
        "audio/tacotron2",
        data,
        model=model,
        steps=31,
        batch_size=8,
        runs=str(tmp_path / "runs"),
        sample_every=0,
        quiet=True,
    )
    log = (run.folder / "log.jsonl").read_text()
    spec = importlib.util.spec_from_file_location("sound_table", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    scores = module.main(str(run.folder), ["audio/duration", "audio/mcd-dtw"], samples=3)
    found = {score.name: score.value for score in scores}
    assert found["audio/duration"] < 0.2
    assert found["audio/mcd-dtw"] > found["audio/mcd-dtw-of-griffin-lim"] >= 0
    assert "audio/duration" in capsys.readouterr().out
    assert (run.folder / "log.jsonl").read_text() == log
