"""The parts that measure: polygan's training step against the plain loops of tests/bench, in one interleaved run A B A B.

Every turn of a runner is timed between two synchronisations, and the medians are compared. The plain loop runs with torch's own
settings; polygan with its defaults, which ask cuDNN for algorithms that repeat to the bit. Memory is what building and warming up a
runner added at its peak, its networks and optimizers included.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from device.cases import Missing, Subject, missing
from device.table import Row

import polygan

ROUND = 0.3  # seconds of a turn at least, so that launching and synchronising weigh little
WARM = 3


class Repeated:
    """The same batch again and again."""

    def __init__(self, batch: polygan.Batch) -> None:
        self.held = batch

    def batch(self, i: int) -> polygan.Batch:
        """Always the same."""
        return self.held


@dataclass
class Runner:
    """A training step, and how it is timed."""

    make: Callable[[], Callable[[], object]]
    plain: bool = False
    deterministic: bool = True


@dataclass
class Timed:
    """A runner that was built and warmed up."""

    step: Callable[[], object]
    switches: tuple[bool, bool]
    """deterministic and benchmark of cuDNN."""
    calls: int
    memory: int
    times: list[float]


def synchronise(device: torch.device) -> None:
    """Wait until the device has done everything."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def build(runner: Runner, device: torch.device, quick: bool) -> Timed:
    """Build a runner, warm it up, and see how often it fits into a turn."""
    memory, switches = 0, (runner.deterministic and not runner.plain, False)
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        memory = -torch.cuda.memory_allocated(device)
    torch.manual_seed(0)
    step = runner.make()
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = switches
    for _ in range(1 if quick else WARM):
        step()
    synchronise(device)
    begin = time.perf_counter()
    step()
    synchronise(device)
    seconds = time.perf_counter() - begin
    if device.type == "cuda":
        memory += torch.cuda.max_memory_allocated(device)
    return Timed(step, switches, 1 if quick else max(1, round(ROUND / seconds)), memory, [])


def turn(timed: Timed, device: torch.device) -> None:
    """One turn: the time of a step, synchronised at both ends."""
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = timed.switches
    synchronise(device)
    begin = time.perf_counter()
    for _ in range(timed.calls):
        timed.step()
    synchronise(device)
    timed.times.append((time.perf_counter() - begin) / timed.calls)


def interleave(runners: Mapping[str, Runner], subject: Subject, seconds: float) -> dict[str, Timed]:
    """Turns of all runners, one after the other, for so many seconds: at most 15 rounds, at least 3 (1 if quick)."""
    device = subject.device
    found = {name: build(runner, device, subject.quick) for name, runner in runners.items()}
    least, most = (1, 1) if subject.quick else (3, 15)
    begin, rounds = time.monotonic(), 0
    while rounds < least or (rounds < most and time.monotonic() - begin < seconds):
        for timed in found.values():
            turn(timed, device)
        rounds += 1
    return found


def compare(
    part: str, title: str, unit: str, each: int, runners: Mapping[str, Runner], subject: Subject
) -> Iterator[Row]:
    """A row for each runner: its rate, how much faster than the plain loop, and memory. ``each``: units of a step."""
    begin = time.monotonic()
    found = interleave(runners, subject, 15)
    plain = next(found[name] for name, runner in runners.items() if runner.plain)
    base = statistics.median(plain.times)
    rounds = len(plain.times)
    for name, timed in found.items():
        median = statistics.median(timed.times)
        ratio = base / median
        spread = f"{each / max(timed.times):.4g} to {each / min(timed.times):.4g}"
        detail = f"{each / median:.4g} {unit} ({spread}, {rounds} rounds), {ratio:.2f}x"
        if timed.memory:
            detail += f", {timed.memory / 2**20:,.0f} MiB at the peak"
        numbers = {"rate": each / median, "ratio": ratio, "memory": float(timed.memory)}
        yield Row(part, f"{title}: {name}", "measured", detail, time.monotonic() - begin, numbers)
        begin = time.monotonic()


def precisions(subject: Subject) -> tuple[str, ...]:
    """What is measured: a CPU emulates bf16 more often than not."""
    return ("fp32",) if subject.device.type == "cpu" else ("fp32", "bf16")


def trainer(
    subject: Subject, recipe: polygan.Recipe, batch: polygan.Batch, precision: str, **more: object
) -> polygan.Trainer:
    """A trainer that plays a recipe on the same batch again and again."""
    size, exact = len(next(iter(batch.values()))), more.pop("deterministic", True)
    settings = polygan.TrainerSettings(
        steps=10**9, batch_size=size, precision=precision, hang_timeout=0, deterministic=bool(exact)
    )
    streams = {"train": Repeated(batch), "held_out": Repeated(batch)}
    return polygan.Trainer(recipe, streams, settings, device=subject.device)


def ours(subject: Subject, make: Callable[..., Callable[[], object]], *, loose: bool = True) -> dict[str, Runner]:
    """polygan's runners: each precision, and the fastest without the promise to repeat to the bit."""
    found = {f"polygan, {p}": Runner(lambda p=p: make(p)) for p in precisions(subject)}
    if loose and subject.device.type == "cuda":
        free = Runner(lambda: make("bf16", deterministic=False), deterministic=False)
        found["polygan, bf16, not deterministic"] = free
    return found


def guarded(part: str, what: str, rows: Callable[[], Iterator[Row]]) -> Iterator[Row]:
    """The rows of a measurement; skipped by name where a package is absent."""
    try:
        yield from rows()
    except (ImportError, Missing) as error:
        if not (name := missing(error)):
            raise
        yield Row(part, what, "skipped", f"{name} is not installed")


def measure_dcgan(subject: Subject) -> Iterator[Row]:
    """DCGAN 64x64x3, ngf = ndf = 64."""

    def rows() -> Iterator[Row]:
        import plain_loops

        from polygan_image.dcgan import DCGAN, Config

        batch = 8 if subject.quick else 128
        real = {"image": torch.rand(batch, 3, 64, 64) * 2 - 1}
        info = {"channels": 3, "height": 64, "width": 64, "classes": [], "count": batch}

        def made(precision: str, **more: object) -> Callable[[], object]:
            return trainer(subject, DCGAN(Config(ema_half_life=0), info), real, precision, **more).iterate

        plain = Runner(lambda: plain_loops.dcgan_step(real["image"].to(subject.device)), plain=True)
        runners = {"plain loop, fp32": plain, **ours(subject, made)}
        yield from compare("dcgan", f"DCGAN 64x64, batch {batch}", "images/s", batch, runners, subject)

    return guarded("dcgan", "DCGAN 64x64", rows)


def measure_stylegan_64(subject: Subject) -> Iterator[Row]:
    """StyleGAN2 at 64x64."""
    return _stylegan(subject, 64, 4 if subject.quick else 32)


def measure_stylegan_256(subject: Subject) -> Iterator[Row]:
    """StyleGAN2 at 256x256."""
    return _stylegan(subject, 256, 1 if subject.quick else 16)


def _stylegan(subject: Subject, side: int, batch: int) -> Iterator[Row]:
    """An iteration in which no lazy penalty is due, without augmentation."""

    def rows() -> Iterator[Row]:
        import plain_loops

        from polygan_image.stylegan import Config, StyleGAN

        real = {"image": torch.rand(batch, 3, side, side) * 2 - 1}
        info = {"channels": 3, "height": side, "width": side, "classes": [], "count": 1000}
        small = {"channel_base": 1024, "channel_max": 64} if subject.quick else {}
        config = Config(augment="none", **small)

        def made(precision: str, **more: object) -> Callable[[], object]:
            played = trainer(subject, StyleGAN(config, info), real, precision, **more)

            def step() -> None:
                played.step = 1
                played.iterate()

            return step

        def usual() -> Callable[[], object]:
            networks = {n: m.to(subject.device) for n, m in plain_loops.networks_of(StyleGAN(config, info)).items()}
            return plain_loops.stylegan_step(networks, real["image"].to(subject.device), config.latent_dim)

        runners = {"plain loop, fp32": Runner(usual, plain=True), **ours(subject, made)}
        title = f"StyleGAN {side}x{side}, batch {batch}"
        yield from compare(f"stylegan-{side}", title, "images/s", batch, runners, subject)

    return guarded(f"stylegan-{side}", f"StyleGAN {side}x{side}", rows)


def measure_hifigan(subject: Subject) -> Iterator[Row]:
    """HiFi-GAN V1 on segments of 8192 samples."""

    def rows() -> Iterator[Row]:
        import plain_loops

        from polygan_audio.hifigan import Config, HiFiGAN

        batch = 1 if subject.quick else 16
        config = Config(variant="v2", channels=16, discriminator_width=8) if subject.quick else Config()
        real = {"waveform": 0.1 * torch.randn(batch, 8192)}
        info = {"sample_rate": 22_050, "segment": 8192, "count": 10_000}

        def made(precision: str, **more: object) -> Callable[[], object]:
            return trainer(subject, HiFiGAN(config, info), real, precision, **more).iterate

        def usual() -> Callable[[], object]:
            recipe = HiFiGAN(config, info)
            networks = {n: m.to(subject.device) for n, m in plain_loops.networks_of(recipe).items()}
            return plain_loops.hifigan_step(recipe, networks, real["waveform"].to(subject.device))

        runners = {"plain loop, fp32": Runner(usual, plain=True), **ours(subject, made)}
        yield from compare("hifigan", f"HiFi-GAN V1, {batch} x 8192", "steps/s", 1, runners, subject)

    return guarded("hifigan", "HiFi-GAN V1", rows)


def measure_seqgan(subject: Subject) -> Iterator[Row]:
    """SeqGAN's generator step at the paper's sizes."""

    def rows() -> Iterator[Row]:
        import plain_loops

        from polygan_text.seqgan import SeqGAN
        from polygan_text.settings import Config

        size = (
            plain_loops.Sentences(batch=4, length=8, vocabulary=100, rollouts=2)
            if subject.quick
            else plain_loops.Sentences()
        )
        info = {"vocabulary": size.vocabulary, "length": size.length, "start": 0, "eos": None, "classes": []}
        tokens = {"tokens": torch.randint(size.vocabulary, (size.batch, size.length))}

        def made(precision: str, **more: object) -> Callable[[], object]:
            phases = {"mle_steps": 0, "pretrain_steps": 0, "discriminator_steps": 1}
            recipe = SeqGAN(Config(preset="paper", rollouts=size.rollouts, **phases), info)
            turns = [t for t in recipe.turns() if t.name in ("g", "lag")]
            recipe.turns = lambda: turns
            return trainer(subject, recipe, tokens, precision, **more).iterate

        plain = Runner(lambda: plain_loops.seqgan_step(size, subject.device), plain=True)
        runners = {"plain loop, fp32": plain, **ours(subject, made, loose=False)}
        title = f"SeqGAN's generator step, batch {size.batch}, {size.rollouts} rollouts"
        yield from compare("seqgan", title, "steps/s", 1, runners, subject)

    return guarded("seqgan", "SeqGAN's generator step", rows)
