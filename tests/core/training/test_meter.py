"""Logged values are means over all iterations since the last log, held in bounded memory."""

from __future__ import annotations

import pytest
import torch
from toy_trainer import train

from polygan.training.trainer import Listener
from polygan.training.watchdog import Meter


def test_meter_folds_without_changing_the_mean():
    meter = Meter()
    for i in range(2000):
        meter.add("a", torch.tensor(float(i)))
    assert meter.means()["a"].item() == pytest.approx(999.5)
    assert len(meter._pending["a"]) < Meter.FOLD


def test_logged_values_are_means_and_complete():
    logs = []

    class Ears(Listener):
        def logged(self, trainer, values):
            logs.append((trainer.step, dict(values)))

    train(steps=10, listener=Ears())
    assert [step for step, _ in logs] == [4, 8, 10]
    names = {
        "d/real",
        "d/fake",
        "d/r_t",
        "d/accuracy",
        "g/adversarial",
        "grad/generator",
        "grad/discriminator",
    }
    names |= {f"{k}/{p}" for k in ("lr", "skipped") for p in ("generator", "discriminator")}
    assert set(logs[0][1]) == names | {"speed/samples_per_second"}
    assert 0.3 < logs[0][1]["d/real"] < 1.5
    assert -1 <= logs[0][1]["d/r_t"] <= 1
