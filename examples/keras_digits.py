"""Keras networks in a polygan run: the GAN of the Keras tutorials, two `keras.Sequential`, on handwritten digits.

    polygan --plugin ./examples/keras_digits.py train image/keras --data mnist-5k

The command takes about five minutes of one CPU core in fp32. About half of the 64 digits in the report's last picture can be read. The
others are strokes between two digits: 1,500 iterations are few, and the networks are not told the classes.

The example needs Keras 3 (pip install 'keras>=3') and no other backend than torch. `polygan --plugin ./examples/keras_digits.py export
RUN --format keras --out FILE` writes the trained generator as a file that `keras.saving.load_model` opens. `Network` below makes any
built Keras model a network of a recipe.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

import polygan
from polygan import losses

GAME = losses.ADVERSARIAL["minimax"]


@polygan.hookimpl
def polygan_recipes():
    return [polygan.RecipeSpec("image/keras", "keras_digits:KerasGAN", "two keras.Sequential models, on torch")]


@polygan.hookimpl
def polygan_formats():
    summary = "the generator as one file of Keras"
    return [polygan.FormatSpec("image/keras", "keras", "export", "keras_digits:export", summary)]


def keras_on_torch():
    """The package keras with torch underneath. `polygan.ConfigError` where it is missing, or has another backend."""
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "torch"  # is read once, at the import
    try:
        import keras
    except ModuleNotFoundError as error:
        if error.name != "keras":
            raise
        raise polygan.ConfigError("recipe image/keras needs the package keras: pip install 'keras>=3'") from None
    if (backend := keras.backend.backend()) != "torch":
        raise polygan.ConfigError(
            f"recipe image/keras needs Keras on torch, and keras was imported with the backend {backend!r} before: set "
            "KERAS_BACKEND=torch before that import"
        )
    return keras


class Network(nn.Module):
    """A built Keras model as a torch module: (n, ...) to (n, ...), pictures with channels last as Keras has them.

    On its torch backend a Keras model is a torch module already, but not one that a trainer can handle: its names
    count the models that a process made, its variables keep the old tensors where a device replaces them, running
    means and seeds are parameters, and train() and eval() mean nothing to it. So the numbers live here, as parameters
    and buffers, and the model is called as a pure function of them (`keras.StatelessScope`). Checkpoints, averages,
    devices and modes are those of any torch module.

    Randomness: a Keras layer without ``seed`` draws on torch from torch's own generator, and initial values from a
    seed out of Python's `random`. polygan seeds both from its counters before each turn, so that a run repeats, and
    resumes, to the bit. A layer with a ``seed`` counts its calls in a variable of its own, which is a buffer here,
    and so a part of checkpoints.
    """

    def __init__(self, model):
        super().__init__()
        keras, variables = keras_on_torch(), list(model.variables)
        self.names = [f"{place:02d}_{variable.name}" for place, variable in enumerate(variables)]
        for name, variable in zip(self.names, variables, strict=True):
            value = variable.value.detach().clone()
            if variable.trainable:
                self.register_parameter(name, nn.Parameter(value))
            else:
                self.register_buffer(name, value)

        def play(values, x, training):
            with keras.device(str(x.device)), keras.StatelessScope(zip(variables, values, strict=True)) as scope:
                y = model(x, training=training)
            return y, [scope.get_current_value(variable) for variable in variables]

        self.play = play  # a function, which copies of this module share: the model in it holds no numbers of theirs

    def values(self):
        """Every parameter and buffer, in the order of the model's variables."""
        return [getattr(self, name) for name in self.names]

    @torch.compiler.disable  # which does not trace into Keras: its layers keep books in Python at each call
    def forward(self, x):
        before = self.values()
        y, after = self.play(before, x, self.training)
        if self.training:
            for old, new in zip(before, after, strict=True):
                if new is not old and not isinstance(old, nn.Parameter):  # running means, the calls of a seeded layer
                    old.copy_(new.detach())
        if x.is_meta:
            # Keras takes such tensors for placeholders and drops their graph; they hold no numbers to be wrong.
            y = y + x.sum() + sum(p.sum() for p in self.parameters())
        return y


@dataclass(frozen=True)
class Config:
    """The model."""

    latent_dim: int = 100
    """Numbers in a latent vector (standard normal), >= 1."""
    width: int = 32
    """Channels of both networks at half the resolution, >= 1; twice as many at a quarter."""
    dropout: float = 0.3
    """Share of the discriminator's activations that is dropped in training, [0, 1)."""
    learning_rate: float = 4e-4
    """Of Adam with beta1 = 0.5, for both players, (0, 1]."""
    ema_half_life: float = 10_000
    """Half-life of the averaged generator in samples, >= 0; 0: not averaged."""

    def __post_init__(self):
        sizes = min(self.latent_dim, self.width) >= 1 and self.ema_half_life >= 0
        if not (sizes and 0 <= self.dropout < 1 and 0 < self.learning_rate <= 1):
            raise polygan.ConfigError(
                f"model: {self} is out of range; `polygan train image/keras --help` says what fits"
            )


class KerasGAN(polygan.Recipe[Config]):
    """DCGAN in two doublings (Radford et al. 2015), with dropout in the discriminator as Keras tutorials have it."""

    domain = "image"
    Config = Config
    defaults: ClassVar[dict] = {"steps": 1500, "batch_size": 64, "sample_every": 250}

    def __init__(self, config, info):
        super().__init__(config, info)
        self.keras = keras_on_torch()  # here and not in networks(): the import draws from Python's seeded generator
        self.shape = (info["height"], info["width"], info["channels"])
        if self.shape[0] % 4 or self.shape[1] % 4:
            raise polygan.ConfigError(
                f"recipe image/keras doubles twice, and {self.shape[0]}x{self.shape[1]} pictures are no multiple of 4: "
                "use --data.resolution 28"
            )

    def generator(self):
        """(n, latent_dim) to (n, H, W, C) in [-1, 1]."""
        (height, width, channels), c, layers = self.shape, self.config, self.keras.layers
        up = {"kernel_size": 4, "strides": 2, "padding": "same", "data_format": "channels_last"}
        return self.keras.Sequential(
            [
                self.keras.Input((c.latent_dim,)),
                layers.Dense(height // 4 * (width // 4) * 2 * c.width),
                layers.BatchNormalization(momentum=0.9),
                layers.LeakyReLU(0.2),
                layers.Reshape((height // 4, width // 4, 2 * c.width)),
                layers.Conv2DTranspose(c.width, **up),
                layers.BatchNormalization(momentum=0.9),
                layers.LeakyReLU(0.2),
                layers.Conv2DTranspose(channels, activation="tanh", **up),
            ]
        )

    def discriminator(self):
        """(n, H, W, C) to logits (n, 1)."""
        c, layers = self.config, self.keras.layers
        down = {"kernel_size": 4, "strides": 2, "padding": "same", "data_format": "channels_last"}
        return self.keras.Sequential(
            [
                self.keras.Input(self.shape),
                layers.Conv2D(c.width, **down),
                layers.LeakyReLU(0.2),
                layers.Dropout(c.dropout),
                layers.Conv2D(2 * c.width, **down),
                layers.LeakyReLU(0.2),
                layers.Dropout(c.dropout),
                layers.Flatten(),
                layers.Dense(1),
            ]
        )

    def networks(self):
        with self.keras.device("cpu"):  # else Keras would build on a GPU where there is one; the trainer moves networks
            return {"generator": Network(self.generator()), "discriminator": Network(self.discriminator())}

    def players(self, networks, training):
        c, g, d = self.config, networks["generator"], networks["discriminator"]

        def adam(network):
            return torch.optim.Adam(network.parameters(), c.learning_rate, (0.5, 0.999))

        return {
            "generator": polygan.Player(g, adam(g), ema_half_life=c.ema_half_life),
            "discriminator": polygan.Player(d, adam(d)),
        }

    def turns(self):
        return [polygan.Turn("d", ("discriminator",), self.d), polygan.Turn("g", ("generator",), self.g)]

    def draw(self, generator, latent):
        """Pictures (n, C, H, W), as polygan has them, of latents (n, latent_dim)."""
        return generator(latent).movedim(3, 1)

    def logits(self, discriminator, images):
        """Logits (n,) of pictures (n, C, H, W)."""
        return discriminator(images.movedim(1, 3)).flatten()

    def fake(self, ctx, batch):
        return self.draw(ctx["generator"], ctx.noise.normal(len(batch["image"]), self.config.latent_dim))

    def d(self, ctx, batch):
        real = self.logits(ctx["discriminator"], batch["image"])
        fake = self.logits(ctx["discriminator"], self.fake(ctx, batch).detach())
        ctx.observe_logits(real, fake)
        return GAME.discriminator(real, fake)

    def g(self, ctx, batch):
        return GAME.generator(self.logits(ctx["discriminator"], self.fake(ctx, batch)))

    def generate(self, networks, request):
        latent = request.noise.normal(request.n, self.config.latent_dim).to(request.device)
        return polygan.Samples(polygan.in_chunks(lambda z: self.draw(networks["generator"], z).float(), latent))

    def critic(self, networks, batch):
        return self.logits(networks["discriminator"], batch["image"])


def export(recipe, networks, path):
    """The generator as one .keras file: latents (n, latent_dim) to pictures (n, H, W, C) in [-1, 1]."""
    path = path if path.suffix == ".keras" else path.with_name(path.name + ".keras")
    with recipe.keras.device("cpu"):
        model = recipe.generator()
        for variable, value in zip(model.variables, networks["generator"].values(), strict=True):
            variable.assign(value.detach().cpu())
    path.parent.mkdir(parents=True, exist_ok=True)
    model.save(path)
    return [path]
