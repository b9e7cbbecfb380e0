"""Runs that are killed with SIGKILL at random moments, again and again, and compared with one that was never stopped.

A series is a domain and a number of processes. Its `Series.whole` trains, evaluates, exports and reports undisturbed. `Series.cycle`
does the same through one kill after another. One process is a fork of this one, so that torch is imported once. Two processes are
`python -m torch.distributed.run` as users type it, and half of their kills end one rank only, which torchrun then restarts.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import statistics
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import survival
from killed import Forked, Launched, share_imports

BEFORE = ("start", "decode", "folder")
DURING = ("start", "train", "save", "sample", "evaluate")
AFTER = ("evaluate", "export", "report")
COMMON = ("--precision", "fp32", "--threads", "1", "--log_every", "4", "--save_every", "2")
SHOWN = ("--sample_every", "12", "--evaluate_every", "12", "--evaluate_samples", "16")
POLL = 0.0002


def pictures():
    """Two folders of 100 small pictures, dark and light."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for name, least in (("dark", 0), ("light", 120)):
        folder = Path("pictures", name)
        folder.mkdir(parents=True)
        for i in range(100):
            Image.fromarray(rng.integers(least, least + 120, (16, 16), dtype=np.uint8)).save(folder / f"{i:03}.png")


RECIPES = {
    "points": ("points/mlp", "--data", "ring", "--batch_size", "32"),
    "image": ("image/dcgan", "--data", "pictures", "--data.labels", "folders", "--batch_size", "4", "--model.generator_width", "2",
              "--model.discriminator_width", "2", "--model.latent_dim", "4", "--metrics", "image/diversity"),
    "audio": ("audio/vocos", "--data", "tones", "--data.size", "24", "--data.segment", "2048", "--batch_size", "2",
              "--model.dim", "8", "--model.hidden", "16", "--model.blocks", "1", "--model.pretrain_steps", "6",
              "--model.iterations", "1", "--metrics", "audio/mel-distance"),
    "text": ("text/seqgan", "--data", "grammar", "--data.size", "200", "--batch_size", "4", "--model.mle_steps", "20",
             "--model.pretrain_steps", "10", "--model.check_every", "10", "--model.hidden_dim", "8",
             "--model.discriminator_steps", "1", "--metrics", "text/distinct"),
}  # fmt: skip
MAKE = {"image": pictures}


# Moments


def names(folder):
    """The names in a folder; empty if there is none."""
    try:
        return set(os.listdir(folder))
    except OSError:
        return set()


def shown(log):
    """How often samples were drawn and judged, by the lines of a run's log."""
    try:
        return log.read_bytes().count(b'"event": "health"')
    except OSError:
        return 0


@dataclass
class Moment:
    """Waits for a random moment of one phase."""

    kind: str
    run: Path
    cache: Path
    pace: dict[str, float]
    rng: random.Random
    wait: int = 1
    """The number of events of this kind to wait for."""

    def events(self):
        """What exists by now of this kind."""
        checkpoints, samples = self.run / "checkpoints", self.run / "samples"
        if self.kind == "decode":
            return names(self.cache) | {x for n in names(self.cache) for x in names(self.cache / n)}
        if self.kind == "folder":
            return {n for n in names(self.run.parent) if n.startswith(".new-")} | names(self.run)
        if self.kind == "train":
            return {n for n in names(checkpoints) if n.startswith("step-")}
        if self.kind == "save":
            return {n for n in names(checkpoints) if n.startswith(".writing-")}
        if self.kind == "sample":
            return {n for n in names(samples) if "step-" in n}
        return set(range(shown(self.run / "log.jsonl")))

    def come(self, process):
        """Return at the moment, or earlier if the process ends. Whether the moment came."""
        delay = self.rng.uniform(0, self.pace[self.kind])
        if self.kind == "start" or self.pace.get("alone"):
            until = time.monotonic() + delay
            while time.monotonic() < until:
                if process.poll() is not None:
                    return False
                time.sleep(POLL)
            return True
        seen, count = self.events(), 0
        while process.poll() is None:
            now = self.events()
            count += len(now - seen) if self.kind not in ("decode", "folder") else int(now != seen) * self.wait
            seen = now
            if count >= self.wait:
                time.sleep(delay)
                return True
            time.sleep(POLL)
        return False


# A series


@dataclass
class Series:
    """Kills of one domain with one number of processes, in a folder of its own (the working folder)."""

    domain: str
    two: bool
    rng: random.Random
    steps: int
    options: tuple[str, ...] = ()
    kills: Counter = field(default_factory=Counter)
    half_written: int = 0
    differing: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    """Runs that could not be resumed, each with what was said last."""
    cycles: int = 0
    pace: dict[str, float] = field(default_factory=dict)

    def train_words(self, name):
        words = [*RECIPES[self.domain], *COMMON, *SHOWN, *self.options]
        return ["train", *words, "--steps", str(self.steps), "--name", name, "--keep", "100000"]

    def start(self, words, *, train=False):
        return Launched(words, "said.txt") if self.two and train else Forked(words, "said.txt")

    def after(self, name):
        """The commands on a finished run."""
        run = f"runs/{name}"
        return {
            "evaluate": ["evaluate", run, "--samples", "16"],
            "export": ["export", run, "--out", f"exported/{name}.safetensors"],
            "report": ["report", run],
        }

    def whole(self):
        """Train, evaluate, export and report undisturbed, and measure how long each phase takes."""
        os.environ["POLYGAN_CACHE"] = "cache-whole"
        MAKE.get(self.domain, lambda: None)()
        if not self.two:
            assert self.start(self.train_words("first")).poll(wait=True) == 0, self.said()
            share_imports()
            shutil.rmtree("runs/first")
            shutil.rmtree("cache-whole")
        begin = time.time()
        assert self.start(self.train_words("whole"), train=True).poll(wait=True) == 0, self.said()
        run = Path("runs/whole")
        for kind, words in self.after("whole").items():
            since = time.monotonic()
            assert self.start(words).poll(wait=True) == 0, self.said()
            share_imports()
            self.pace[f"after {kind}"] = time.monotonic() - since
        folders = sorted((run / "checkpoints").glob("step-*"))
        ends = [f.stat().st_mtime for f in folders]
        writing = [(f / "manifest.json").stat().st_mtime - min(p.stat().st_ctime for p in f.iterdir()) for f in folders]
        seconds = {r["step"]: r["seconds"] for r in survival.records(run) if r["event"] == "saved"}
        self.pace["start"] = max(0.05, ends[0] - begin)
        self.pace["decode"], self.pace["folder"] = min(0.5, 0.3 * self.pace["start"]), 0.01
        self.pace["train"] = statistics.median(b - a for a, b in itertools.pairwise(ends))
        self.pace["save"] = max(0.002, statistics.median(writing))
        shows = max(1, sum(r["event"] == "health" for r in survival.records(run)))
        self.pace["sample"] = self.pace["evaluate"] = max(
            0.01, (ends[-1] - ends[0] - max(seconds.values())) / shows / 2
        )
        self.saves, self.shows = len(folders), shows

    def said(self):
        return Path("said.txt").read_text(errors="replace")[-1500:]

    def cycle(self, budget):
        """One victim from nothing to its report, with at most ``budget`` kills."""
        self.cycles += 1
        name = f"victim-{self.cycles}"
        run, cache = Path("runs", name), Path(f"cache-{name}")
        os.environ["POLYGAN_CACHE"] = str(cache)
        before, after = (budget + 3) // 4, budget // 4
        during = budget - before - after
        plan = [self.rng.choice(BEFORE) for _ in range(before)]
        plan += self.rng.choices(DURING, (1, 2, 3, 2, 2), k=during)
        if not self.train(name, run, cache, plan):
            return
        for _ in range(after):
            kind = self.rng.choice(AFTER)
            process = self.start(self.after(name)[kind])
            moment = Moment(kind, run, cache, {kind: self.pace[f"after {kind}"], "alone": 1}, self.rng)
            if moment.come(process) and process.kill(self.rng):
                self.kills[kind] += 1
            elif process.code != 0:
                self.stuck.append(f"{self.domain} {name}: {kind} ended with {process.code}: {self.said()}")
                return
        for kind, words in self.after(name).items():
            code = self.start(words).poll(wait=True)
            if code != 0:
                self.stuck.append(f"{self.domain} {name}: {kind} ended with {code}: {self.said()}")
                return
        self.compare(name)
        shutil.rmtree(run)
        shutil.rmtree(cache, ignore_errors=True)

    def train(self, name, run, cache, plan):
        """Train a victim through the planned kills and to its end. Whether it ended well."""
        process, begun, left = None, time.time(), list(plan)
        while True:
            if process is None:
                begun = time.time()
                resumable = (run / "config.yaml").exists()
                process = self.start(["resume", str(run)] if resumable else self.train_words(name), train=True)
            if not left:
                code = process.poll(wait=True)
                break
            kind = left.pop(0)
            share = {"train": self.saves, "save": self.saves, "sample": self.shows, "evaluate": self.shows}.get(kind, 1)
            most = max(
                1, 2 * share // (3 * len(plan) + 3)
            )  # at most, between kills, so that the run does not end early
            moment = Moment(kind, run, cache, self.pace, self.rng, self.rng.randint(1, most))
            if not moment.come(process):
                code = process.poll()
                break
            if not process.kill(self.rng):
                continue
            self.kills[kind] += 1
            fresh = [run / "checkpoints" / n for n in names(run / "checkpoints") if n.startswith(".writing-")]
            self.half_written += any(p.stat().st_mtime > begun for p in fresh if p.exists())
            if process.poll() is not None:  # else torchrun starts the rank again
                process = None
        if code != 0:
            self.stuck.append(f"{self.domain}{' two' * self.two} {name}: ended with {code}: {self.said()}")
        return code == 0

    def compare(self, name):
        """Note every difference between a victim and the run that was never stopped."""
        run = Path("runs", name)
        a, b = outcome(Path("runs/whole"), "whole"), outcome(run, name)
        wrong = sorted(k for k in a.keys() | b.keys() if a.get(k) != b.get(k))
        leftovers = [p for p in Path("runs").rglob("*") if p.name.startswith((".new-", ".writing-"))]
        wrong += [f"left behind: {p}" for p in leftovers if run in p.parents or p.parent == run.parent]
        if not (run / "report.html").read_text().rstrip().endswith("</html>"):
            wrong.append("report.html")
        if wrong:
            self.differing.append(f"{self.domain}{' two' * self.two} {name}: {wrong[:5]}")


def outcome(run, name):
    """Everything that must not differ: checkpoint, samples, scores and the exported model."""
    from polygan.record.log import read_log

    found = survival.state(run)
    log = read_log(run / "log.jsonl")
    found |= {f"score {r['step']}": json.dumps(r["scores"]) for r in log if r["event"] == "evaluated"}
    found["ended"] = log[-1].get("status") or next(r["status"] for r in reversed(log) if r["event"] == "ended")
    found["exported"] = Path(f"exported/{name}.safetensors").read_bytes()
    return found


def play(kills, rng, domains, two, steps, options, folder, most=24):
    """Spend ``kills`` over the domains, a share ``two`` of them on two processes; returns what happened."""
    import torch

    import polygan.report.page
    import polygan.runs.train  # noqa: F401 - what a run imports late, once for all attempts

    torch.set_num_threads(1)
    series, home = [], Path(folder).resolve()
    share = {False: kills - round(kills * two), True: round(kills * two)}
    for pair in (False, True):
        for i, domain in enumerate(domains):
            budget = share[pair] // len(domains) + (i < share[pair] % len(domains))
            if not budget:
                continue
            place = home / f"{domain}-{'two' if pair else 'one'}"
            place.mkdir(parents=True)
            os.chdir(place)
            one = Series(domain, pair, rng, steps, options)
            series.append(one)
            one.whole()
            while (left := budget - sum(one.kills.values())) > 0 and len(one.stuck) < 3:
                one.cycle(min(left, most))
            print(f"{place.name}: {dict(one.kills)}, {one.cycles} cycles", file=sys.stderr, flush=True)
    os.chdir(home)
    return {
        "kills": sum(sum(s.kills.values()) for s in series),
        "phases": dict(sum((s.kills for s in series), Counter())),
        "series": {f"{s.domain} x{1 + s.two}": dict(s.kills) for s in series},
        "runs": sum(s.cycles for s in series),
        "half_written": sum(s.half_written for s in series),
        "differing": [x for s in series for x in s.differing],
        "not_resumable": [x for s in series for x in s.stuck],
        "pace": {f"{s.domain} x{1 + s.two}": {k: round(v, 4) for k, v in s.pace.items()} for s in series},
    }
