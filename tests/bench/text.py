"""SeqGAN at the paper's sizes (batch 64, length 20, vocabulary 5000, 16 rollouts) against plain formulations written here."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from timing import PRECISIONS, interleave, table
from torch import nn

from polygan.seeding import Noise
from polygan.settings.trainer import TrainerSettings
from polygan.testing import RepeatedBatch
from polygan.training.trainer import Trainer
from polygan_text.categorical import draw
from polygan_text.discriminator import PAPER_FILTERS
from polygan_text.policy import TransformerPolicy
from polygan_text.rollout import roll_out
from polygan_text.seqgan import SeqGAN
from polygan_text.settings import Config

BATCH, LENGTH, VOCABULARY, ROLLOUTS = 64, 20, 5000, 16
INFO = {"vocabulary": VOCABULARY, "length": LENGTH, "start": 0, "eos": None, "classes": []}


class PlainGenerator(nn.Module):
    """Embedding, LSTM and head, as a tutorial writes them."""

    def __init__(self):
        super().__init__()
        self.embedding, self.lstm = nn.Embedding(VOCABULARY, 32), nn.LSTM(32, 32, batch_first=True)
        self.head = nn.Linear(32, VOCABULARY)
        for p in self.parameters():
            nn.init.normal_(p, std=0.1)

    def forward(self, tokens, state=None):
        out, state = self.lstm(self.embedding(tokens), state)
        return self.head(out), state

    @torch.no_grad()
    def complete(self, prefix):
        """Sequences whose prefix (n, k) is read again from its beginning."""
        start = torch.zeros(len(prefix), 1, dtype=torch.long)
        logits, state = self(torch.cat([start, prefix], 1))
        tokens = [prefix]
        for t in range(prefix.shape[1], LENGTH):
            token = torch.multinomial(logits[:, -1].softmax(1), 1)
            tokens.append(token)
            if t + 1 < LENGTH:
                logits, state = self(token, state)
        return torch.cat(tokens, 1)


class PlainDiscriminator(nn.Module):
    """Convolution, bias, rectifier, maximum over time; highway; dropout; two classes."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 64)
        self.convolutions = nn.ModuleList(nn.Conv2d(1, maps, (size, 64)) for size, maps in PAPER_FILTERS)
        width = sum(maps for _, maps in PAPER_FILTERS)
        self.highway, self.gate, self.head = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, 2)

    def forward(self, tokens):
        x = self.embedding(tokens)[:, None]
        x = torch.cat([F.max_pool1d(h := c(x).relu().squeeze(3), h.shape[2]).squeeze(2) for c in self.convolutions], 1)
        gate = self.gate(x).sigmoid()
        x = gate * self.highway(x).relu() + (1 - gate) * x
        return self.head(F.dropout(x, 0.25, self.training))


def plain_generator_step():
    """The usual port: rollout by rollout, prefix by prefix."""
    g, d = PlainGenerator(), PlainDiscriminator()
    optimizer = torch.optim.Adam(g.parameters(), 0.01)

    def step():
        tokens = g.complete(torch.zeros(BATCH, 0, dtype=torch.long))
        d.eval()
        rewards = torch.zeros(BATCH, LENGTH)
        with torch.no_grad():
            for _ in range(ROLLOUTS):
                for t in range(1, LENGTH):
                    rewards[:, t - 1] += d(g.complete(tokens[:, :t])).softmax(1)[:, 1]
                rewards[:, -1] += d(tokens).softmax(1)[:, 1]
        given = F.pad(tokens[:, :-1], (1, 0))
        nll = F.cross_entropy(g(given)[0].flatten(0, 1), tokens.flatten(), reduction="none").view_as(tokens)
        optimizer.zero_grad()
        (nll * rewards / ROLLOUTS).sum().backward()
        nn.utils.clip_grad_norm_(g.parameters(), 5)
        optimizer.step()

    return step


def trainer(precision, phase, **options):
    """A trainer that plays one phase alone."""
    phases = {
        "mle": {"mle_steps": 10**9},
        "d": {"mle_steps": 0, "pretrain_steps": 10**9},
        "g": {"mle_steps": 0, "pretrain_steps": 0},
    }[phase]
    recipe = SeqGAN(Config(preset="paper", discriminator_steps=1, **phases, **options), INFO)
    if phase == "g":
        turns = [t for t in recipe.turns() if t.name in ("g", "lag")]
        recipe.turns = lambda: turns
    stream = RepeatedBatch({"tokens": torch.randint(VOCABULARY, (BATCH, LENGTH))})
    settings = TrainerSettings(steps=10**9, batch_size=BATCH, precision=precision, hang_timeout=0)
    return Trainer(recipe, {"train": stream, "held_out": stream}, settings).iterate


def flops():
    """Products and sums of one generator step: the rollouts' LSTM and head, and the discriminator over all of them."""
    drawn = ROLLOUTS * BATCH * (LENGTH - 1) * LENGTH // 2
    policy = drawn * 2 * (32 * VOCABULARY + 32 * 128)
    width = sum(maps for _, maps in PAPER_FILTERS)
    windows = sum(size * 64 * maps * (LENGTH - size + 1) for size, maps in PAPER_FILTERS)
    return policy + (ROLLOUTS * (LENGTH - 1) + 1) * BATCH * 2 * (windows + 2 * width * width)


def peak_rate(dtype):
    """Multiply-adds a second of a large matrix product, as FLOP/s."""
    a, b = (torch.randn(2048, 2048, dtype=dtype) for _ in range(2))
    seconds = min(interleave({i: lambda: a @ b for i in range(5)}, 1).values())
    return 2 * 2048**3 / seconds


def bench_generator(rounds):
    runners = {
        "plain: every prefix replayed, torch.multinomial, fp32": plain_generator_step(),
        "polygan Trainer, fp32": trainer("fp32", "g"),
    }
    if "bf16" in PRECISIONS:
        runners["polygan Trainer, bf16 discriminator"] = trainer("bf16", "g")
    times = interleave(runners, min(rounds, 3))
    base = next(iter(times.values()))
    limits = dict(zip(runners, (None, torch.float32, torch.bfloat16), strict=False))
    rows = []
    for name, t in times.items():
        share = "" if limits[name] is None else f"{flops() / peak_rate(limits[name]) / t:.0%} of limit"
        rows.append((name, f"{t:.2f} s", f"{base / t:.1f}x", share))
    table(f"SeqGAN generator step, {torch.get_num_threads()} threads ({flops() / 1e9:.0f} GFLOP)", rows)


def bench_dense(rounds):
    """The discriminator's terms as rewards against 16 rollouts, for its recurrent kind, which is the faster one to roll out."""
    recurrent = {"discriminator": "lstm"}
    runners = {
        f"{ROLLOUTS} rollouts, cnn": trainer("fp32", "g"),
        f"{ROLLOUTS} rollouts, lstm": trainer("fp32", "g", **recurrent),
        "dense, lstm": trainer("fp32", "g", rewards="dense", **recurrent),
    }
    times = interleave(runners, min(rounds, 3))
    dense = times["dense, lstm"]
    rows = [(name, f"{t * 1e3:.0f} ms", f"{t / dense:.1f}x") for name, t in times.items()]
    table("SeqGAN generator step, fp32: time, and how many dense steps take as long", rows)


def bench_memory(_rounds):
    """What one step adds to the memory of a process of its own."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import text; from timing import peak\n"
        "step = text.trainer('fp32', 'g'); before = peak(); step(); print(peak() - before)"
    )
    command = [sys.executable, "-c", code, str(Path(__file__).parent)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    table("Memory of a generator step, fp32", [("added at its peak", f"{float(done.stdout):.0f} MB")])


def bench_draw(rounds):
    p, u = torch.randn(512, VOCABULARY).softmax(1), torch.rand(512, 2)
    times = interleave(
        {"torch.multinomial": lambda: torch.multinomial(p, 1), "polygan draw": lambda: draw(p, u)}, max(rounds, 15), 3
    )
    base = times["torch.multinomial"]
    rows = [(n, f"{t / 512 * 1e6:.2f} us", f"{base / t:.1f}x") for n, t in times.items()]
    table(f"Drawing a token of {VOCABULARY}", rows)


def bench_likelihood(rounds):
    g = PlainGenerator()
    optimizer = torch.optim.Adam(g.parameters(), 0.01)
    tokens = torch.randint(VOCABULARY, (BATCH, LENGTH))

    def bare():
        optimizer.zero_grad()
        logits = g(F.pad(tokens[:, :-1], (1, 0)))[0]
        F.cross_entropy(logits.flatten(0, 1), tokens.flatten()).backward()
        nn.utils.clip_grad_norm_(g.parameters(), 5)
        optimizer.step()

    times = interleave({"bare PyTorch loop": bare, "polygan Trainer": trainer("fp32", "mle")}, max(rounds, 15), 3)
    base = times["bare PyTorch loop"]
    table("Maximum-likelihood step, fp32", [(n, f"{t * 1e3:.1f} ms", f"{t / base - 1:+.1%}") for n, t in times.items()])


def bench_discriminator(rounds):
    ours = {f"polygan Trainer, {p}": trainer(p, "d") for p in PRECISIONS}
    d = PlainDiscriminator()
    optimizer = torch.optim.Adam(d.parameters(), 1e-4)
    g = PlainGenerator()
    real = torch.randint(VOCABULARY, (BATCH, LENGTH))

    def bare():
        fake = g.complete(torch.zeros(BATCH, 0, dtype=torch.long))
        both, kind = torch.cat([real, fake]), torch.arange(2).repeat_interleave(BATCH)
        optimizer.zero_grad()
        F.cross_entropy(d(both), kind).backward()
        optimizer.step()

    times = interleave({"plain loop, fp32": bare, **ours}, max(rounds, 9), 2)
    base = times["plain loop, fp32"]
    rows = [(n, f"{t * 1e3:.0f} ms", f"{base / t:.2f}x") for n, t in times.items()]
    if "bf16" in PRECISIONS:
        # In rounds of their own: the plain loop between them leaves neither's weights in the caches.
        pair = interleave(ours, max(rounds, 30), 2)
        ratio = pair["polygan Trainer, fp32"] / pair["polygan Trainer, bf16"]
        rows.append(("bf16 over fp32", "", f"{ratio:.2f}x"))
    table("Discriminator step (64 real, 64 fresh fakes)", rows)


def bench_transformer(rounds):
    policy = TransformerPolicy(2000, LENGTH, 64, layers=2, heads=4).eval()
    count = sum(p.numel() for p in policy.parameters())
    tokens = torch.randint(2000, (BATCH, LENGTH))
    n = 2

    @torch.no_grad()
    def per_prefix():
        given = F.pad(tokens, (1, 0))
        for _ in range(n):
            for t in range(1, LENGTH):
                policy.model.generate(
                    given[:, : t + 1], do_sample=True, top_k=0, max_length=LENGTH + 1, pad_token_id=0, use_cache=True,
                    attention_mask=torch.ones(BATCH, t + 1, dtype=torch.long),
                )  # fmt: skip

    runners = {
        "generate() for each prefix": per_prefix,
        "polygan roll_out": lambda: roll_out(policy, tokens, n, Noise().reset(0)),
    }
    policy.model.config.n_positions = LENGTH + 1
    times = interleave(runners, min(rounds, 5))
    base = times["generate() for each prefix"]
    rows = [(k, f"{t:.2f} s", f"{base / t:.1f}x") for k, t in times.items()]
    table(f"GPT-2 style policy, {count / 1e3:.0f}k parameters, vocabulary 2000, {n} rollouts of batch {BATCH}", rows)


def bench_text(rounds):
    begin = time.monotonic()
    benches = [bench_draw, bench_likelihood, bench_discriminator, bench_memory, bench_generator, bench_dense]
    for bench in (*benches, bench_transformer):
        bench(rounds)
    print(f"  ({time.monotonic() - begin:.0f} s)")
