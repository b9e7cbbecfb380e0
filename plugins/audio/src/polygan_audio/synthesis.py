"""From log-mel to sound: any length, in pieces without seams, in bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from polygan import ConfigError, resolve_precision

from .networks.convolutions import fold, refold

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .networks.frontend import FrontEnd
    from .networks.melspec import MelSpec


class Synthesis(Protocol):
    """From mels to sound by a copy of a generator."""

    @property
    def delay(self) -> int:
        """Frames that are heard, at most, before the samples of the first of them come out."""
        ...

    def refresh(self, generator: Any) -> None:
        """Take over the weights that the generator has now."""
        ...

    def stream(self, mels: Iterable[Tensor], seed: int = 0) -> Iterator[Tensor]:
        """Pieces of the sound of mels (n_mels, f) that follow each other; ``seed``: of noise, where the generator takes any."""
        ...


class Synthesiser:
    """A copy of a generator made for speed: weight norm folded, planar convolutions, pieces of one length."""

    def __init__(
        self,
        generator: FrontEnd,
        chunk: int | None = None,
        precision: Literal["auto", "fp32", "bf16"] = "fp32",
        *,
        prompt: bool = False,
    ) -> None:
        """``chunk``: frames that the network sees at a time, more than twice its context (ConfigError otherwise); None: its own.

        ``prompt``: the first piece does not wait for a whole chunk, and the network's own chunk is small: half its context in new frames.
        """
        self.context, self.prompt = generator.context(), prompt
        usual = 2 * self.context + max(1, self.context // 2) if prompt else max(generator.chunk, 3 * self.context)
        chunk = usual if chunk is None else chunk
        if chunk <= 2 * self.context:
            raise ConfigError(
                f"chunk = {chunk} frames leave none between contexts of {self.context} on both sides; use at least "
                f"{2 * self.context + 1}"
            )
        self.chunk, self.hop = chunk, generator.mel.hop_length
        self.network = fold(generator).eval()
        self.network.planar = True
        self.device = generator.mel_spec.device
        if resolve_precision(precision, self.device) == "bf16":
            self.network.to(torch.bfloat16)

    @property
    def delay(self) -> int:
        """Frames that are heard, at most, before the samples of the first of them come out."""
        return self.chunk - self.context if self.prompt else self.chunk

    def refresh(self, generator: FrontEnd) -> None:
        """Take over the weights that the generator has now."""
        refold(self.network, generator)

    @torch.no_grad()
    def __call__(self, mel: Tensor) -> Tensor:
        """(n_mels, F) to (F * hop_length,) float32 in [-1, 1], on the CPU."""
        return torch.cat([*self.stream([mel])])

    @torch.no_grad()
    def stream(self, mels: Iterable[Tensor], seed: int = 0) -> Iterator[Tensor]:
        """The same in pieces, from mels (n_mels, f) of any lengths that follow each other. No seed changes them.

        Each piece is what the network makes of the whole, since it sees its context on both sides. Runs have one length, the
        last one of a sound that or a quarter, a half or three of it: convolutions on the CPU are prepared for a shape and kept.
        """
        held = torch.zeros(0)  # the last ``chunk`` frames at most, and those that are still to come out
        first, done = 0, 0  # frame where ``held`` begins, and frames that came out
        for mel in mels:
            held = torch.cat([held, mel], 1) if len(held) else mel
            while first + held.shape[1] >= (stop := self._stop(done)):
                begin = max(0, done - self.context)
                end = stop - self.context
                yield self._run(held, begin - first, stop - begin, done - begin, end - begin)
                done = end
                keep = max(0, min(done - self.context, first + held.shape[1] - self.chunk))
                held, first = held[:, keep - first :], keep
        total = first + held.shape[1] if len(held) else 0
        if done < total:
            quarter = -(-self.chunk // 4)
            needed = total - max(0, done - self.context)
            frames = min(self.chunk, -(-needed // quarter) * quarter)
            begin = max(0, total - frames)
            yield self._run(held, begin - first, frames, done - begin, total - begin)

    def _stop(self, done: int) -> int:
        """The frame before which all must be heard for the next piece, after ``done`` frames."""
        if self.prompt:
            return done + self.chunk - self.context
        return max(0, done - self.context) + self.chunk

    def _run(self, held: Tensor, start: int, frames: int, begin: int, end: int) -> Tensor:
        """The samples of frames [begin, end) of the ``frames`` from ``start`` on."""
        mel = held[:, start : start + frames].to(self.device)
        return self.network(mel[None])[0, begin * self.hop : end * self.hop].float().cpu()


def mel_stream(mel: MelSpec, blocks: Iterable[Tensor]) -> Iterator[Tensor]:
    """Log-mels (n_mels, f) that follow each other, of waveforms (t,) that do; T // hop_length frames in all.

    Joined they are the log-mel of the joined waveform. One shorter than the padding is padded with silence.
    """
    buffer, tail = torch.zeros(0), torch.zeros(0)  # padded samples from the next frame on; the end of the waveform
    total, frames, started = 0, 0, False
    for block in blocks:
        total += len(block)
        tail = torch.cat([tail, block])
        if not started:
            if len(tail) <= mel.pad:
                continue
            buffer, block, started = tail[1 : mel.pad + 1].flip(0), tail, True
        buffer = torch.cat([buffer, block])
        tail = tail[-(mel.pad + 1) :]
        ready = min((len(buffer) - mel.n_fft) // mel.hop_length + 1, total // mel.hop_length - frames)
        if ready > 0:
            yield mel.of_padded(buffer[: (ready - 1) * mel.hop_length + mel.n_fft])
            buffer, frames = buffer[ready * mel.hop_length :], frames + ready
    rest = total // mel.hop_length - frames
    if not started and rest:
        yield mel(F.pad(tail, (0, mel.pad + 1 - len(tail))))[:, :rest]
    elif rest:
        buffer = torch.cat([buffer, tail[:-1].flip(0)])
        yield mel.of_padded(buffer)[:, :rest]
