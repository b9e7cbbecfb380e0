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

RICH = (
    *("--precision", "bf16", "--accumulate", "2", "--save_every", "3", "--log_every", "7", "--sample_every", "10"),
    *("--evaluate_every", "20", "--model.r1", "0.5", "--model.r1_every", "4", "--model.batch_norm", "true"),
    *("--model.critic_steps", "2", "--model.loss", "hinge"),
)


def survive(folder, kills, *words, options=()):
    script = Path(survival.__file__)
    result = subprocess.run(
        [sys.executable, script, str(kills), "1", "--folder", folder, *words, "--", *options],
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=3000,
    )
    assert result.returncode == 0, result.stderr + result.stdout
    outcome = json.loads(result.stdout)
    assert outcome["differing"] == outcome["not_resumable"] == [], outcome
    assert outcome["kills"] == kills, outcome
    assert not [p for p in folder.rglob("said.txt") if "Traceback" in p.read_text()]
    return outcome


def test_eight_kills(tmp_path):
    survive(tmp_path, 8, "--domains", "points", "--two", "0", "--steps", "150", options=RICH)


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), RICH], ids=["plain", "accumulation-ema-schedulers-lazy-bf16"])
def test_fifty_kills(tmp_path, options):
    outcome = survive(tmp_path, 50, "--domains", "points", "--two", "0", "--steps", "600", options=options)
    print(outcome)
    assert outcome["half_written"] >= 3, (
        outcome
    )  # a save takes a few milliseconds: most kills come just before or after


@pytest.mark.slow
def test_kills_in_every_phase_domain_and_number_of_processes(tmp_path):
    outcome = survive(tmp_path, 60)
    print(outcome)
    assert len(outcome["series"]) == 6, outcome
