"""`make device`: what polygan computes on an accelerator, and how fast, in at most 8 minutes. Writes one table.

    python tests/device/run.py [--minutes 8] [--device cuda] [--quick] [--parts losses,repeat] [--recipes image/dcgan]

Needs torch and what polygan depends on; polygan need not be installed, and nothing is fetched. The table goes to the terminal, and to
$OUT/device.md and $OUT/device.json if OUT is set. Exit status: 0 if every check passed or was skipped, 1 if one failed.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Modules here are imported as `device.NAME`; `run` and `table` alone would be names of other modules too.
sys.path[:] = [str(HERE.parent), *(p for p in sys.path if Path(p).resolve() != HERE)]

from device import paths
from device.supervise import Part, supervise, work
from device.table import Row, count, has_failed, markdown, write

paths.make_importable()

OUTSIDE = "there is no accelerator here (torch sees no CUDA device): nothing to check; `--device cpu --quick` tries the script itself"


CHECKS = (
    ("tests", "the tests that need CUDA", 120),
    ("losses", "losses against the CPU", 150),
    ("repeat", "the same seed, resuming", 120),
    ("sync", "no synchronisation in a step", 90),
    ("processes", "two processes", 120),
    ("compile", "torch.compile", 120),
)
MEASUREMENTS = (
    ("dcgan", "DCGAN 64x64 against a plain loop"),
    ("stylegan-64", "StyleGAN 64x64 against a plain loop"),
    ("stylegan-256", "StyleGAN 256x256 against a plain loop"),
    ("hifigan", "HiFi-GAN V1 against a plain loop"),
    ("seqgan", "SeqGAN's generator step against a plain loop"),
)


def parts(patience: float = 1.0) -> list[Part]:
    """Every part in its order: correctness first. ``patience`` multiplies the time that a part may take."""
    module = {"losses": "losses", "compile": "losses"}
    checks = [
        Part(name, what, f"device.{module.get(name, 'correctness')}:check_{name}", limit)
        for name, what, limit in CHECKS
    ]
    measured = [
        Part(name, what, f"device.speed:measure_{name.replace('-', '_')}", 60 * patience, correctness=False)
        for name, what in MEASUREMENTS
    ]
    return checks + measured


def facts(device: str) -> dict[str, str]:
    """What the table says of the machine."""
    import platform

    import torch

    found = {"torch": torch.__version__, "Python": platform.python_version(), "Threads": str(torch.get_num_threads())}
    if device.startswith("cuda"):
        capability = ".".join(map(str, torch.cuda.get_device_capability(device)))
        found["Device"] = f"{torch.cuda.get_device_name(device)} (capability {capability}), CUDA {torch.version.cuda}"
        found["cuDNN"] = str(torch.backends.cudnn.version())
        found["Devices"] = str(torch.cuda.device_count())
    else:
        found["Device"] = device
    return found


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=8.0, help="time for everything (default: 8)")
    parser.add_argument("--device", default="auto", help="cuda, cuda:1, cpu; default: cuda where there is one")
    parser.add_argument("--quick", action="store_true", help="tiny sizes and few iterations, to try the script itself")
    parser.add_argument("--parts", default="", help="comma separated; default: all")
    parser.add_argument("--recipes", default="", help="comma separated; default: all")
    parser.add_argument("--worker", default="", help=argparse.SUPPRESS)
    parser.add_argument("--folder", default="", help=argparse.SUPPRESS)
    return parser.parse_args(words)


def chosen(names: str, device: str) -> list[Part]:
    """The parts of these names; SystemExit with what there is for one that is not there. A CPU may take four times as long."""
    known = {part.name: part for part in parts(4.0 if device == "cpu" else 1.0)}
    wanted = [name.strip() for name in names.split(",") if name.strip()] or list(known)
    if unknown := [name for name in wanted if name not in known]:
        raise SystemExit(f"no part {', '.join(unknown)}; there are {', '.join(known)}")
    return [part for part in known.values() if part.name in wanted]


def worker(options: argparse.Namespace) -> int:
    """Run parts in this process."""
    import torch
    from device.cases import CASES, Subject

    device = torch.device(options.device)
    if device.type == "cuda":
        device = torch.device("cuda", device.index or 0)
        torch.cuda.set_device(device)
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="worker-") as folder:
        recipes = tuple(filter(None, options.recipes.split(","))) or tuple(CASES)
        subject = Subject(device, options.quick, Path(folder), recipes)
        return work(chosen(options.parts, options.device), subject, Path(options.worker))


def run(options: argparse.Namespace) -> list[Row]:
    """Run all parts in workers and print each row as it comes."""
    rows: list[Row] = []
    begin = time.monotonic()

    def show(row: Row) -> None:
        rows.append(row)
        print(f"[{time.monotonic() - begin:5.0f} s] {row.line()}", flush=True)

    with tempfile.TemporaryDirectory(prefix="polygan-device-") as folder:

        def command(names: Sequence[str], file: Path) -> list[str]:
            words = [sys.executable, __file__, "--device", options.device, "--parts", ",".join(names)]
            words += ["--recipes", options.recipes]
            return [*words, "--worker", str(file), "--folder", folder, *(["--quick"] if options.quick else [])]

        try:
            supervise(chosen(options.parts, options.device), command, Path(folder), begin + 60 * options.minutes, show)
        except KeyboardInterrupt:
            show(Row("all", "interrupted", "failed", "the parts that are left were not run", time.monotonic() - begin))
    return rows


def main(words: Sequence[str] | None = None) -> int:
    """The exit status."""
    options = parse(words)
    if options.worker:
        return worker(options)
    import torch

    if options.device in ("auto", "cuda") and not torch.cuda.is_available():
        print(OUTSIDE)
        return 0
    if options.device == "auto":
        options.device = "cuda"
    about = facts(options.device)
    rows = run(options)
    print("\n" + markdown(rows, about))
    if folder := os.environ.get("OUT"):
        write(Path(folder), rows, about)
    measurements = {name for name, _ in MEASUREMENTS}
    failed = has_failed(rows, measurements)
    print(f"{'FAILED' if failed else 'no check failed'}: {count(rows)}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
