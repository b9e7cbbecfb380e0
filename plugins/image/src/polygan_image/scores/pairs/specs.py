"""The metrics of pictures that are made from given ones. Only data stands here, and no torch is imported."""

from __future__ import annotations

from polygan import MetricSpec


def pair_metrics() -> list[MetricSpec]:
    """The metrics of pictures that are made from given ones. The first one picks the best checkpoint of a run with pairs."""
    return [
        MetricSpec(
            "image/layer-distance",
            "polygan_image.scores.pairs.layers:layer_distance",
            "cosine distance from the truth in the layers of a network of the source, or of --features; lower is better",
            "Zhang et al. 2018, arXiv:1801.03924",
            needs_pairs=True,
        ),
        MetricSpec(
            "image/psnr",
            "polygan_image.scores.pairs.similarity:signal_to_noise",
            "peak signal-to-noise ratio to the truth in decibels, of the channels and of luma; higher is better",
            needs_pairs=True,
        ),
        MetricSpec(
            "image/ssim",
            "polygan_image.scores.pairs.similarity:structure",
            "structural similarity to the truth, of the channels and of luma; higher is better",
            "Wang et al. 2004, IEEE Transactions on Image Processing 13(4)",
            needs_pairs=True,
        ),
        MetricSpec(
            "image/mae",
            "polygan_image.scores.pairs.similarity:absolute",
            "mean absolute difference from the truth in the data's own units; lower is better",
            needs_pairs=True,
        ),
        MetricSpec(
            "image/colour-difference",
            "polygan_image.scores.pairs.colours:colour_difference",
            "CIEDE2000 between made and true colours; lower is better",
            "Sharma, Wu and Dalal 2005, Color Research and Application 30(1)",
            needs_pairs=True,
        ),
        MetricSpec(
            "image/label-agreement",
            "polygan_image.scores.pairs.segments:label_agreement",
            "share of pixels whose class a small network finds again in pictures made from label maps; higher is better",
            "Isola et al. 2017, arXiv:1611.07004, section 4",
            needs_pairs=True,
        ),
        MetricSpec(
            "image/consistency",
            "polygan_image.scores.pairs.agreement:consistency",
            "distance of made pictures, made grey or smaller again, from the given ones; lower is better",
            needs_pairs=True,
        ),
        MetricSpec(
            "image/cycle",
            "polygan_image.scores.pairs.agreement:cycle",
            "distance of pictures that went to the other side and back from what they were; lower is better",
            "Zhu et al. 2017, arXiv:1703.10593",
            needs_sides=True,
        ),
        MetricSpec(
            "image/flicker",
            "polygan_image.scores.pairs.agreement:flicker",
            "change between neighbouring made frames beyond that of the given frames; lower is better",
            needs_pairs=True,
        ),
        MetricSpec(
            "image/colour-distribution",
            "polygan_image.scores.pairs.colours:colour_distribution",
            "Jensen-Shannon divergence of the colours of all made pictures from the real ones'; lower is better",
            needs_pairs=True,
        ),
    ]
