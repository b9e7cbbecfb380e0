"""A plugin in one file: DCGAN whose discriminator sees softened labels (Salimans et al. 2016, one-sided smoothing).

    polygan --plugin ./examples/softer.py train image/softer --data mnist-5k --steps 500

Takes under a minute on two CPU cores; `polygan --plugin ./examples/softer.py list` shows the recipe.
"""

import polygan
from polygan_image.dcgan import DCGAN


@polygan.hookimpl
def polygan_recipes():
    return [polygan.RecipeSpec("image/softer", "softer:Softer", "DCGAN against softened labels")]


class Softer(DCGAN):
    def discriminator_loss(self, ctx, batch):
        terms = super().discriminator_loss(ctx, batch)
        return {name: 0.9 * term if name == "real" else term for name, term in terms.items()}
