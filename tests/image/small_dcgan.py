"""A small DCGAN and a loop that plays its turns, for the tests of this folder."""

import torch

from polygan import Context, Noise, Recipe, Request, TrainerSettings
from polygan.game.protocol import complete_players
from polygan_image.dcgan import DCGAN, Config
from polygan_image.sampling import Sampling

DIGITS = ("zero", "one", "two")
TINY = {"latent_dim": 5, "generator_width": 4, "discriminator_width": 4, "embedding_dim": 3}
TRAINING = TrainerSettings(steps=100, batch_size=4)


def recipe(classes=DIGITS, size=(8, 8), channels=1, **options):
    info = {"channels": channels, "height": size[0], "width": size[1], "classes": list(classes), "count": 9}
    return DCGAN(Config(**{**TINY, **options}), info)


def players_of(recipe):
    networks = recipe.networks()
    return complete_players(networks, recipe.players(networks, TRAINING))


class Loop:
    """The protocol without everything else: hands over gradients, calls losses, steps."""

    def __init__(self, recipe: Recipe, device="cpu", seed=0):
        torch.manual_seed(seed)
        self.recipe, self.seed = recipe, seed
        self.players = players_of(recipe)
        for player in self.players.values():
            player.module = player.module.to(device)
        self.context = Context(self.players, torch.device(device), TRAINING)
        self.turns = {turn.name: turn for turn in recipe.turns() if turn.players}

    def batch(self, n=4):
        info, device = self.recipe.info, self.context.device
        noise = Noise(device).reset(self.seed, 77)
        image = noise.uniform(n, info["channels"], info["height"], info["width"]) * 2 - 1
        label = noise.integers(max(len(info["classes"]), 1), n)
        return {"image": image, "label": label} if info["classes"] else {"image": image}

    def play(self, name, repeat=0, step=True, batch=None):
        """One turn; returns its terms, leaves gradients in place."""
        turn, context = self.turns[name], self.context
        for key, player in self.players.items():
            player.module.requires_grad_(key in turn.players)
            player.module.zero_grad()
        context.turn = name
        context.noise.reset(self.seed, list(self.turns).index(name), repeat)
        terms = dict(turn.loss(context, self.batch() if batch is None else batch))
        torch.stack(list(terms.values())).sum().backward()
        for key in turn.players if step else ():
            self.players[key].optimizer.step()
        return terms

    def iterate(self):
        self.context.cache = {}
        return {
            name: [self.play(name, repeat) for repeat in range(turn.repeat)][-1] for name, turn in self.turns.items()
        }

    def gradients(self, name):
        return {k: p.grad for k, p in self.players[name].module.named_parameters()}


def networks(recipe, seed=0):
    torch.manual_seed(seed)
    return {name: network.eval() for name, network in recipe.networks().items()}


def generate(recipe, n, nets=None, **options):
    noise = Noise(block=16).reset(0)
    with torch.no_grad():
        nets = nets or networks(recipe)
        device = next(nets["generator"].parameters()).device
        return recipe.generate(nets, Request(n, noise, Sampling(**options), device))
