"""Parallel WaveGAN's synthesis in pieces: each layer keeps its past, so that no sample is computed twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from polygan import mix, resolve_precision

from .networks.convolutions import fold, refold, wide
from .networks.wavenet import HALF, bias_of, doubled, pointwise
from .synthesis import Synthesiser

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .networks.parallel_wavegan import Generator

_BLOCK = 4096  # samples of noise that one seed gives


def noise_of(seed: int, start: int, count: int) -> Tensor:
    """(count,) standard normal numbers for samples from ``start`` on. The number of a sample depends on the seed and its place alone."""
    draw, found = torch.Generator(), []
    for block in range(start // _BLOCK, -(-(start + count) // _BLOCK)):
        draw.manual_seed(mix(seed, block))
        found.append(torch.randn(_BLOCK, generator=draw))
    return torch.cat(found)[start % _BLOCK :][:count] if found else torch.zeros(0)


class CachedSynthesiser:
    """A copy of a generator made for speed, with the methods of `Synthesiser`.

    A layer without lookahead needs the samples before. A layer with lookahead gives its results as many samples later. Either way a
    piece costs what its samples cost, and memory does not depend on the length.
    """

    def __init__(
        self,
        generator: Generator,
        chunk: int | None = None,
        precision: Literal["auto", "fp32", "bf16"] = "fp32",
        *,
        prompt: bool = False,
    ) -> None:
        """``chunk``: frames that come out at a time, from 1 on; None: the generator's, or 1 with ``prompt``."""
        self.chunk = (1 if prompt else generator.chunk) if chunk is None else chunk
        self.network: Generator = fold(generator).eval()
        self.device = generator.mel_spec.device
        self.dtype = torch.bfloat16 if resolve_precision(precision, self.device) == "bf16" else generator.mean.dtype
        self.excite = None if self.network.griffin_lim is None else Synthesiser(self.network.griffin_lim, prompt=prompt)
        self._prepare()

    @torch.no_grad()
    def _prepare(self) -> None:
        """Weights as products of matrices take them."""
        layers, dtype = self.network.layers, self.dtype
        kernels = [doubled(layer.conv.weight)[:, :, None].to(dtype) for layer in layers]
        self.kernels = [kernel.contiguous(memory_format=torch.channels_last) for kernel in kernels]
        self.out = [(pointwise(x.conv1x1_out) * -HALF).t().to(dtype) for x in layers]
        self.skip = [-pointwise(x.conv1x1_skip).t().to(dtype) for x in layers]
        self.bias = [(bias_of(x.conv1x1_out) * HALF).to(dtype) for x in layers]
        self.skipped = torch.stack([bias_of(x.conv1x1_skip) for x in layers]).sum(0).to(dtype)
        self.features = torch.cat([doubled(pointwise(x.conv1x1_aux)) for x in layers]).t().contiguous()
        self.gates = torch.stack([doubled(bias_of(x.conv)) for x in layers])[:, None, None]

    @property
    def delay(self) -> int:
        """Frames that are heard, at most, before the samples of the first of them come out."""
        shape, upsample = self.network.shape, self.network.upsample_net.upsample
        later = 0 if shape.causal else sum(d * (shape.size - 1) // 2 for d in shape.dilations)
        mels = upsample.after + (0 if shape.causal else shape.window)
        # A chunk leaves when a frame of the next one is there; samples of the mel and of later excitation are waited for.
        chunks = -(-(1 + mels - (-later // self.network.mel.hop_length)) // self.chunk)
        return chunks * self.chunk + 1 + (0 if self.excite is None else self.excite.delay)

    def refresh(self, generator: Generator) -> None:
        """Take over the weights that the generator has now."""
        refold(self.network, generator)
        self._prepare()

    def __call__(self, mel: Tensor, seed: int = 0) -> Tensor:
        """(n_mels, F) to (F * hop_length,) float32, on the CPU."""
        return torch.cat([torch.zeros(0), *self.stream([mel], seed)])

    @torch.no_grad()
    def stream(self, mels: Iterable[Tensor], seed: int = 0) -> Iterator[Tensor]:
        """The same in pieces, from mels (n_mels, f) of any lengths that follow each other. ``seed``: of the noise.

        Samples are the same to the bit however the mels are cut, since the network sees ``chunk`` frames at a time. Another chunk
        gives them to within rounding.
        """
        run, hop = _Run(self), self.network.mel.hop_length
        mel, excitation = torch.zeros(self.network.mel.n_mels, 0), torch.zeros(0)
        for heard, excited in self._excited(mels, seed):
            mel, excitation = torch.cat([mel, heard], 1), torch.cat([excitation, excited])
            while mel.shape[1] > self.chunk:  # the last chunk is held back, until the end is known
                made = run.add(mel[:, : self.chunk], excitation[: self.chunk * hop])
                mel, excitation = mel[:, self.chunk :], excitation[self.chunk * hop :]
                if len(made):
                    yield made
        if mel.shape[1]:
            yield run.add(mel, excitation, last=True)

    def _excited(self, mels: Iterable[Tensor], seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Mels with the excitation of their samples."""
        hop, place = self.network.mel.hop_length, 0
        if self.excite is None:
            for mel in mels:
                yield mel, noise_of(seed, place, mel.shape[1] * hop)
                place += mel.shape[1] * hop
            return
        held: list[Tensor] = []

        def listen() -> Iterator[Tensor]:
            for mel in mels:
                held.append(mel)
                yield mel

        for sound in self.excite.stream(listen()):
            mel, frames = torch.cat(held, 1), len(sound) // hop
            held[:] = [mel[:, frames:]]
            yield mel[:, :frames], sound


class _Run:
    """One sound: what each layer keeps of its past, and what waits for later samples."""

    def __init__(self, how: CachedSynthesiser) -> None:
        self.how, self.network, self.shape = how, how.network, how.network.shape
        self.hop, self.upsample = how.network.mel.hop_length, how.network.upsample_net.upsample
        self.around = [
            d * (self.shape.size - 1) for d in self.shape.dilations
        ]  # samples that a layer sees beside its own
        self.ahead = [0 if self.shape.causal else n // 2 for n in self.around]  # the later ones among them
        self.past = [self._zeros(n - k, self.shape.channels) for n, k in zip(self.around, self.ahead, strict=True)]
        self.sums = [
            self._zeros(0, self.shape.skips) for _ in self.past
        ]  # of skips, for samples that are still to come
        self.place = [0] * len(self.past)  # the next sample of each layer
        self.features = _Features(how)
        nothing = torch.zeros(0, dtype=how.network.mean.dtype, device=how.device)
        self.excitation = nothing  # of samples that no layer has seen
        self.added = nothing  # excitation that is to be added to what comes out

    def _zeros(self, *shape: int) -> Tensor:
        return torch.zeros(*shape, dtype=self.how.dtype, device=self.how.device)

    def add(self, mel: Tensor, excitation: Tensor, *, last: bool = False) -> Tensor:
        """The samples that a mel (n_mels, f) and its excitation (f * hop_length,) finish; with ``last`` all that are left."""
        begin = self.features.count
        self.features.add(mel.to(self.how.device), last=last)
        excitation = torch.cat([self.excitation, excitation.to(self.excitation)])
        new = (self.features.count - begin) * self.hop
        self.excitation, excitation = excitation[new:].clone(), excitation[:new]
        first = self.network.first_conv
        x = torch.addcmul(bias_of(first), excitation[:, None], first.weight[:, 0, 0]).to(self.how.dtype)
        total = self._zeros(0, self.shape.skips)
        for i in range(len(self.past)):
            x, total = self._layer(i, x, total, last=last)
        self.features.forget(self.place[-1] // self.hop)
        made = self.network.head(wide(total))
        if self.network.griffin_lim is not None:
            added = torch.cat([self.added, excitation])
            made, self.added = made + added[: len(made)], added[len(made) :].clone()
        return made.float().cpu()

    def _layer(self, i: int, x: Tensor, total: Tensor, *, last: bool) -> tuple[Tensor, Tensor]:
        """What layer ``i`` makes of its next samples (n, channels), and of the sum of skips before it (m, skips)."""
        how, around, ahead = self.how, self.around[i], self.ahead[i]
        seen = torch.cat([self.past[i], x, self._zeros(ahead if last else 0, x.shape[1])])
        n = max(0, len(seen) - around)
        self.past[i] = seen[n:].clone()
        if not n:
            self.sums[i] = torch.cat([self.sums[i], total])
            return x[:0], total[:0]
        gates = self.features.gates(i, self.place[i], n)
        self.place[i] += n
        gates += F.conv2d(seen.t()[None, :, None], how.kernels[i], dilation=(1, self.shape.dilations[i]))[0, :, 0].t()
        a, b = gates.sigmoid_().chunk(2, 1)
        z = torch.addcmul(b, a, b, value=-2)  # minus the gated result
        sums = torch.cat([self.sums[i], total]) if i else how.skipped.expand(n, -1)
        self.sums[i] = sums[n:].clone()
        total = torch.addmm(sums[:n], z, how.skip[i])
        out = torch.addmm(how.bias[i], z, how.out[i])
        return out.add_(seen[around - ahead :][:n], alpha=HALF), total


class _Features:
    """What the mel adds to the gates: frames that are heard, and those whose samples can be computed."""

    def __init__(self, how: CachedSynthesiser) -> None:
        self.how, self.network, self.shape = how, how.network, how.network.shape
        self.upsample = how.network.upsample_net.upsample
        self.window = self.shape.window
        self.mel = torch.zeros(0)  # normalised frames that the convolution over the mel will see again
        self.own = torch.zeros(0)  # (F, layers * gates) of frames that later ones will see
        self.around = torch.zeros(0)  # (layers, F, reach + 1, gates) of frames whose samples can be computed
        self.begin, self.count = 0, 0  # the frames that ``around`` holds
        self.total = 0  # all frames, once the end is known
        self.table = _with_ones(self.upsample.table(self.upsample.reach), how.dtype)

    def add(self, mel: Tensor, *, last: bool) -> None:
        """Hear a mel (n_mels, f)."""
        begins = not len(self.mel)
        padding = (self.window if begins else 0, self.window if last and not self.shape.causal else 0)
        heard = F.pad(self.network.normalised(mel)[None], padding, mode="replicate")[0]
        heard = heard if begins else torch.cat([self.mel, heard], 1)
        sees = self.window if self.shape.causal else 2 * self.window
        frames = max(0, heard.shape[1] - sees)
        self.mel = heard[:, frames:].clone()
        if self.shape.causal:
            heard = F.pad(heard, (0, self.window))
        own = self.how.features[:0]
        if frames:
            own = self.network.upsample_net(heard[None])[0].t() @ self.how.features  # (frames, layers * gates)
        upsample = self.upsample
        own = F.pad(own, (0, 0, upsample.before if begins else 0, upsample.after if last else 0))
        own = torch.cat([self.own, own]) if not begins else own
        ready = max(0, len(own) - upsample.reach + 1)
        self.own = own[ready:].clone()
        if ready:
            around = own.unfold(0, upsample.reach, 1).unflatten(1, (len(self.network.layers), -1)).permute(1, 0, 3, 2)
            around = torch.cat([around, self.how.gates.expand(-1, ready, -1, -1)], 2).to(self.how.dtype)
            self.around = torch.cat([self.around, around], 1) if len(self.around) else around
            self.count += ready
        if last:
            self.total = self.count
            if self.total < upsample.reach:
                self.table = _with_ones(upsample.table(self.total), self.how.dtype)

    def forget(self, frame: int) -> None:
        """Give up the frames before ``frame``."""
        if frame > self.begin:
            self.around, self.begin = self.around[:, frame - self.begin :].clone(), frame

    def gates(self, layer: int, start: int, count: int) -> Tensor:
        """(count, gates) for samples from ``start`` on, biases among them."""
        hop = self.upsample.hop
        first, end = start // hop, -(-(start + count) // hop)
        around = self.around[layer, first - self.begin : end - self.begin]
        return torch.bmm(self.table[self._rows(first, end)], around).flatten(0, 1)[start - first * hop :][:count]

    def _rows(self, first: int, end: int) -> Tensor:
        """The rows of the table for frames ``first`` to ``end``."""
        if self.total:
            return self.upsample.places(self.total, self.how.device)[first:end]
        return torch.arange(first, end, device=self.how.device).clamp(max=self.upsample.before)


def _with_ones(table: Tensor, dtype: torch.dtype) -> Tensor:
    """A table of weights with a column for the biases."""
    return torch.cat([table, torch.ones_like(table[..., :1])], -1).to(dtype)
