"""Tiny recipes with two sides, and one step of their losses outside a trainer."""

from __future__ import annotations

import torch

import polygan
from polygan.game.protocol import Context, complete_players
from polygan.seeding import seed_everything
from polygan.settings.trainer import TrainerSettings

INFO = {"channels": 3, "height": 16, "width": 16, "count": 8, "classes": ["a", "b"], "class_counts": [4, 4]}
SMALL = {"width": 2, "blocks": 1, "discriminator_width": 2, "discriminator_layers": 1}


def recipe_of(kind, info=INFO, **settings):
    return kind(kind.Config(**{**SMALL, **settings}), info)


def context_of(recipe, step=0):
    """A context whose networks have random weights of a fixed seed, in float64; averages are other networks of the same kind."""
    seed_everything(0)
    networks = {name: m.double() for name, m in recipe.networks().items()}
    training = TrainerSettings(steps=10)
    players = complete_players(networks, recipe.players(networks, training))
    ctx = Context(players, torch.device("cpu"), training)
    ctx.step = step
    ctx.noise.reset(0)
    ctx._averaged = {name: m.double() for name, m in recipe.networks().items() if players[name].ema_half_life}
    return ctx


def batches(n=2, height=16, width=16):
    """A batch of each side."""
    draw = torch.Generator().manual_seed(1)
    return [{"image": torch.rand(n, 3, height, width, generator=draw, dtype=torch.float64) * 2 - 1} for _ in "ab"]


def played(recipe, ctx, a, b):
    """The terms of both turns, with the gradients that a trainer allows."""
    terms, losses = {}, {"d": recipe.discriminator_loss, "g": recipe.generator_loss}
    for turn in recipe.turns():
        for name, player in ctx.players.items():
            player.module.requires_grad_(name in turn.players)
        found = losses[turn.name](ctx, a, b)
        sum(found.values()).backward()
        terms |= {f"{turn.name}/{name}": term.detach() for name, term in found.items()}
    return terms


def sampled(recipe, options=None, n=2):
    """Pictures that fresh networks make, and the given pictures."""
    networks = recipe.networks()
    given = polygan.Samples(torch.rand(n, 3, 16, 16) * 2 - 1)
    return polygan.make_samples(recipe, networks, n, 0, options, given=given).data, given.data, networks
