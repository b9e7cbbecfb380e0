"""A study of Optuna in which a listener ends bad runs early: three learning rates for two networks of torch.

    pip install optuna
    python examples/optuna_pruning.py                     # about 15 seconds on one CPU core

The score is the sliced Wasserstein distance from held-out samples. The second trial learns too slowly, and is pruned at its
first score. The command prints each trial's state and the best learning rate, 0.003.
"""

from __future__ import annotations

import optuna
import torch
from torch import nn

import polygan

generator = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2), nn.Tanh())
discriminator = nn.Sequential(
    nn.Linear(2, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1)
)


class Pruning(polygan.Listener):
    def __init__(self, trial):
        self.trial, self.score = trial, float("inf")

    def evaluated(self, trainer, score):  # lower is better
        self.score = score
        self.trial.report(score, trainer.step)
        if self.trial.should_prune():
            raise polygan.StopTraining("Optuna prunes the trial")


def objective(trial):
    angle = torch.rand(2000, generator=torch.Generator().manual_seed(0)) * 2 * torch.pi
    points = 0.8 * torch.stack([angle.cos(), angle.sin()], 1)
    rate, pruning = trial.suggest_float("learning_rate", 1e-6, 1e-2, log=True), Pruning(trial)
    settings = {"learning_rate": rate, "steps": 300, "evaluate_every": 100, "precision": "fp32", "quiet": True}
    run = polygan.train((generator, discriminator), points, latent_dim=8, r1=0.1, listeners=[pruning], **settings)
    if run.step < 300:
        raise optuna.TrialPruned()
    return pruning.score


def main():
    """Run three trials, and return the study."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0), pruner=optuna.pruners.MedianPruner(1))
    for rate in (3e-3, 1e-6, 1e-3):
        study.enqueue_trial({"learning_rate": rate})
    study.optimize(objective, n_trials=3)
    for trial in study.trials:
        print(f"learning rate {trial.params['learning_rate']:g}: {trial.state.name.lower()}")
    print(f"best: {study.best_params['learning_rate']:g}")
    return study


if __name__ == "__main__":
    main()
