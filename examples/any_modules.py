"""Networks that know nothing of polygan: any generator and discriminator of torch, trained on any tensor.

    python examples/any_modules.py                        # about 15 seconds on one CPU core

The command trains two small networks on points on a circle, as a run with a report and scores. It prints the mean distance from the
circle of real, first and last samples: 0, 0.67 and 0.02. A folder of pictures is ``polygan.train((G, D), "path", domain="image")``.
"""

from __future__ import annotations

import torch
from torch import nn

import polygan

torch.manual_seed(0)  # of the initial weights
generator = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2), nn.Tanh())
discriminator = nn.Sequential(
    nn.Linear(2, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1)
)


def main(**settings):
    """Train, and return the mean distances from the circle."""
    angle = torch.rand(5000, generator=torch.Generator().manual_seed(0)) * 2 * torch.pi
    data = 0.8 * torch.stack([angle.cos(), angle.sin()], 1)
    first = generator(torch.randn(1000, 8)).detach()
    networks = {"latent_dim": 8, "loss": "non-saturating", "learning_rate": 3e-3, "betas": (0.0, 0.999), "r1": 0.1}
    settings = {"steps": 1000, "batch_size": 128, "log_every": 200, "precision": "fp32", **settings}
    run = polygan.train((generator, discriminator), data, **networks, **settings)
    last = run.generate(1000).data
    gaps = {"real": data, "first": first, "last": last}
    gaps = {name: float((x.norm(dim=1) - 0.8).abs().mean()) for name, x in gaps.items()}
    print("\n".join(f"{name}: {gap:.4f} from the circle" for name, gap in gaps.items()))
    return gaps


if __name__ == "__main__":
    main()
