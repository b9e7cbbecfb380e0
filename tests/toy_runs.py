"""Short runs of the toy recipe in this process, from Python and from the command line; use with the fixture ``toys``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import polygan
from polygan.cli import command_line as cli

TOY = Path(__file__).with_name("toy_gan.py")


def command(*words, code=0, capsys=None):
    """Run a command with the toys, check its exit code, and return its output."""
    with pytest.raises(SystemExit) as end:
        cli.main(["--plugin", str(TOY), *map(str, words)])
    out = capsys.readouterr() if capsys else None
    assert (end.value.code or 0) == code, out
    return out


def train(**kw):
    """Train the toy recipe."""
    return polygan.train("points/mlp", "ring", **{"quiet": True, "precision": "fp32", "hang_timeout": 0, **kw})


def records(run):
    """The lines of the run's log."""
    return [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]


def state(run):
    """Copies of all parameters and buffers of a run."""
    return {f"{n}.{k}": v.clone() for n, m in run.networks.items() for k, v in m.state_dict().items()}


def assert_same(a, b):
    """Two states are equal to the bit."""
    assert a.keys() == b.keys()
    for k in a:
        assert torch.equal(a[k], b[k]), k
