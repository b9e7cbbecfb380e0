"""A run that is killed with SIGKILL at random moments ends as one that was not, to the bit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import survival

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL"),
]

PLAIN = ("--precision", "fp32", "--save_every", "3", "--log_every", "7", "--sample_every", "10")
RICH = (
    *("--precision", "bf16", "--accumulate", "2", "--save_every", "3", "--log_every", "7", "--sample_every", "10"),
    *("--evaluate_every", "20", "--model.r1", "0.5", "--model.r1_every", "4", "--model.batch_norm", "true"),
    *("--model.critic_steps", "2", "--model.loss", "hinge"),
)


def survive(folder, kills, seed, steps, options):
    script = Path(survival.__file__)
    result = subprocess.run(
        [sys.executable, script, str(kills), str(seed), str(steps), *options],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=1500,
    )
    said = (folder / "attempts.txt").read_text()
    assert result.returncode == 0, result.stderr + said[-2000:]
    outcome = json.loads(result.stdout)
    assert outcome["code"] == 0, said[-2000:]
    assert outcome["kills"] == kills, outcome
    assert "Traceback" not in said
    survival.assert_same(folder / "runs/whole", folder / "runs/victim")
    victim = folder / "runs/victim"
    assert survival.records(victim)[-1]["status"] == "finished"
    assert (victim / "report.html").is_file()
    assert not list((victim / "checkpoints").glob(".writing-*"))
    assert not list((victim / "samples").glob(".*.tmp"))
    return outcome


def test_five_kills(tmp_path):
    survive(tmp_path, 5, 1, 150, RICH)


@pytest.mark.slow
@pytest.mark.parametrize("options", [PLAIN, RICH], ids=["plain", "accumulation-ema-schedulers-lazy-bf16"])
def test_fifty_kills(tmp_path, options):
    outcome = survive(tmp_path, 50, 2, 600, options)
    print(outcome)
    assert outcome["half_written"] >= 3, (
        outcome
    )  # a save takes a few milliseconds: most kills come just before or after
    assert all(outcome["phases"].values()), outcome
