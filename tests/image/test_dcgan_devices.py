"""DCGAN through the real Trainer on torch's meta device: no tensor on a fixed device, no value read inside a step."""

from __future__ import annotations

import pytest
import torch

from polygan import testing
from polygan_image.dcgan import DCGAN, Config

INFO = {"channels": 1, "height": 28, "width": 28, "classes": ["a", "b", "c"], "count": 8}


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"conditional": "no", "reuse_fakes": False},
        {"critic_steps": 2, "loss": "relativistic", "penalty": "r1r2"},
        {"penalty": "wgan_gp", "loss": "wasserstein", "penalty_every": 3},
        {"penalty": "dragan"},
        {"spectral_norm": True, "loss": "hinge"},
        {"optimizer": "rmsprop", "weight_clip": 0.01, "norm": "none", "loss": "wasserstein"},
    ],
    ids=lambda c: "-".join(map(str, c.values())) or "default",
)
def test_whole_iterations_play_on_the_meta_device(config):
    batch = {"image": torch.rand(8, 1, 28, 28) * 2 - 1, "label": torch.arange(8) % 3}
    recipe = DCGAN(Config(generator_width=4, discriminator_width=4, **config), INFO)
    testing.check_devices(recipe, batch, accumulate=2)


def test_a_value_read_in_its_loss_would_be_caught():
    class Reads(DCGAN):
        def generator_loss(self, ctx, batch):
            terms = super().generator_loss(ctx, batch)
            return {name: term * float(term.detach() > 0) for name, term in terms.items()}

    batch = {"image": torch.rand(8, 1, 28, 28) * 2 - 1, "label": torch.arange(8) % 3}
    with pytest.raises(testing.ContractError, match="turn 'g'"):
        testing.check_devices(Reads(Config(generator_width=4, discriminator_width=4), INFO), batch)
