"""StyleGAN2's operations as ports to PyTorch write them: a convolution for each sample, FIR filters by zero insertion."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

TAPS = torch.outer(torch.tensor([1.0, 3, 3, 1]), torch.tensor([1.0, 3, 3, 1])) / 64


def each_map(x, taps):
    """Filter every map of every picture as a picture of one channel (as rosinality/stylegan2-pytorch and what came from it)."""
    return F.conv2d(x.flatten(0, 1)[:, None], taps[None, None]).squeeze(1).unflatten(0, x.shape[:2])


def depthwise(x, taps):
    """Filter with one convolution that has a group for each channel (as NVlabs/stylegan2-ada-pytorch without its kernels)."""
    channels = x.shape[1]
    return F.conv2d(x, taps.expand(channels, 1, 4, 4), groups=channels)


def upfirdn(x, up=1, down=1, pad=(0, 0), gain=1.0, fir=each_map):
    """Insert up - 1 zeros after each pixel, pad both axes by (before, after), filter, keep every ``down``-th pixel."""
    n, c, h, w = x.shape
    stuffed = x.new_zeros(n, c, h, up, w, up)
    stuffed[:, :, :, 0, :, 0] = x
    stuffed = F.pad(stuffed.reshape(n, c, h * up, w * up), (*pad, *pad))
    return fir(stuffed, (TAPS * gain).to(x))[:, :, ::down, ::down]


def modulated(x, weight, style, *, up=False, demodulate=True, eps=1e-8, fir=each_map):
    """A grouped convolution with one modulated, demodulated weight a sample (Karras et al. 2020, eq. 1 and 3)."""
    n, c, h, w = x.shape
    o, _, k, _ = weight.shape
    w_n = weight[None] * style[:, None, :, None, None]  # (n, o, c, k, k)
    if demodulate:
        w_n = w_n * (w_n.square().sum((2, 3, 4), keepdim=True) + eps).rsqrt()
    x = x.reshape(1, n * c, h, w)
    if not up:
        return F.conv2d(x, w_n.reshape(n * o, c, k, k), padding=k // 2, groups=n).unflatten(1, (n, o))[0]
    w_t = w_n.transpose(1, 2).reshape(n * c, o, k, k)
    y = F.conv_transpose2d(x, w_t, stride=2, groups=n)  # (1, n * o, 2h + 1, 2w + 1)
    return upfirdn(y, pad=(1, 1), gain=4.0, fir=fir).unflatten(1, (n, o))[0]


def lrelu(x):
    return F.leaky_relu(x, 0.2) * math.sqrt(2)


def synthesise(g, styles, noise, fir=each_map):
    """The forward pass of `polygan_image.networks.stylegan.Generator`, from its parameters."""

    def weight(conv):
        return conv.weight / math.sqrt(conv.weight[0].numel())

    def style(conv, w):
        return F.linear(w, conv.style.weight / math.sqrt(w.shape[1]), conv.style.bias)

    def layer(k, x):
        m = g.layers[k]
        y = modulated(x, weight(m.conv), style(m.conv, styles[:, k]), up=m.conv.filter is not None, fir=fir)
        return lrelu(y + noise[k] * m.strength + m.bias[None, :, None, None])

    def to_image(i, x):
        m, w = g.to_image[i], styles[:, 2 * i + 1]
        y = modulated(x, weight(m), style(m, w), demodulate=False)
        return y + g.image_bias[i][None, :, None, None]

    x = layer(0, g.constant.repeat(len(styles), 1, 1, 1))
    image = to_image(0, x)
    for i in range(1, len(g.to_image)):
        x = layer(2 * i, layer(2 * i - 1, x))
        image = upfirdn(image, up=2, pad=(2, 1), gain=4.0, fir=fir) + to_image(i, x)
    return image


def discriminate(d, image, fir=each_map):
    """The forward pass of `polygan_image.networks.stylegan.Discriminator` without classes, from its parameters."""

    def conv(m, x, **options):
        return F.conv2d(x, m.weight / math.sqrt(m.weight[0].numel()), m.bias, **options)

    first, *rest = d.blocks
    *blocks, std, last = rest
    x = lrelu(conv(first, image))
    for b in blocks:
        y = lrelu(conv(b.first, x, padding=1))
        y = lrelu(conv(b.second, upfirdn(y, pad=(2, 2), fir=fir), stride=2))
        x = (y + conv(b.skip, upfirdn(x, pad=(1, 1), down=2, fir=fir))) / math.sqrt(2)
    n = len(x)
    size = max(k for k in range(1, min(std.most, n) + 1) if n % k == 0)
    deviations = [(x[i : i + size].var(0, correction=0) + 1e-8).sqrt().mean() for i in range(0, n, size)]
    extra = torch.stack(deviations).repeat_interleave(size).view(n, 1, 1, 1).expand(n, 1, 4, 4)
    x = lrelu(conv(last, torch.cat([x, extra], 1), padding=1)).flatten(1)

    def linear(m, x):
        return F.linear(x, m.weight / math.sqrt(m.weight.shape[1]), m.bias)

    return linear(d.logit, lrelu(linear(d.hidden, x))).squeeze(1)
