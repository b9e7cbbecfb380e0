"""Points in the plane for polygan. Only data stands here: listing what is installed must not import torch."""

from __future__ import annotations

import polygan

POLYGAN_API = 2


@polygan.hookimpl
def polygan_domains() -> list[polygan.DomainSpec]:
    return [
        polygan.DomainSpec("points", "polygan_points.domain:PointDomain", "points in the plane: .csv or .npy files")
    ]


@polygan.hookimpl
def polygan_recipes() -> list[polygan.RecipeSpec]:
    paper = "Huang et al. 2024, The GAN is dead; long live the GAN!"
    return [polygan.RecipeSpec("points/mlp", "polygan_points.mlp:PointGAN", "two small MLPs, relativistic", paper)]


@polygan.hookimpl
def polygan_datasets() -> list[polygan.DatasetSpec]:
    made, own = "polygan_points.datasets", "polygan_points.datasets:PointSettings"
    return [
        polygan.DatasetSpec("ring", "points", f"{made}:ring", "8 Gaussians on a circle", settings=own),
        polygan.DatasetSpec("grid", "points", f"{made}:grid", "25 Gaussians on a square grid", settings=own),
        polygan.DatasetSpec("swiss-roll", "points", f"{made}:swiss_roll", "a spiral", settings=own),
    ]


@polygan.hookimpl
def polygan_metrics() -> list[polygan.MetricSpec]:
    summary = "modes that the samples cover, and the share of samples near one; higher is better"
    paper = "Srivastava et al. 2017, VEEGAN, section 5.1"
    return [polygan.MetricSpec("points/modes", "polygan_points.metrics:modes", summary, paper)]
