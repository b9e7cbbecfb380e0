"""The aligner: its densities, its prior, padding, clips without text, and sounds that it finds."""

from __future__ import annotations

import math
import random
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1]))
from small_speech import batch_of, speech

from polygan_speech.aligning.aligner import Aligner, diagonal
from polygan_speech.aligning.forward_sum import forward_sum
from polygan_speech.aligning.paths import best_paths
from polygan_speech.cepstra import cepstra_of
from polygan_speech.recordings import with_ends


def aligner(speakers=0, *, context=True):
    torch.manual_seed(0)
    deviation = torch.linspace(0.5, 2, 12)
    return Aligner(partial(nn.Embedding, 9), deviation, speakers, nn.Identity(), context=context, width=8).double()


def beta_binomial(k, n, alpha, beta):
    """ln of the probability of k of n, as a product of Gamma functions."""
    gamma = math.lgamma
    ways = gamma(n + 1) - gamma(k + 1) - gamma(n - k + 1)
    above = gamma(k + alpha) + gamma(n - k + beta) - gamma(n + alpha + beta)
    return ways + above - gamma(alpha) - gamma(beta) + gamma(alpha + beta)


def test_the_prior_is_the_beta_binomial():
    found = diagonal(torch.tensor([7, 5]), torch.tensor([4, 1]), 8, 6, torch.float64)
    for b, (frames, tokens) in enumerate([(7, 4), (5, 1)]):
        for t in range(frames):
            wanted = [beta_binomial(k, tokens - 1, t + 1, frames - t) for k in range(tokens)]
            assert found[b, t, :tokens].tolist() == pytest.approx(wanted, abs=1e-10)
            assert found[b, t, :tokens].exp().sum().item() == pytest.approx(1)
    assert found.isfinite().all()


def test_a_padded_pair_is_aligned_as_it_is_alone():
    torch.manual_seed(1)
    ids, mel = torch.randint(1, 9, (2, 5)), torch.randn(2, 6, 9, dtype=torch.float64)
    tokens, frames = torch.tensor([5, 3]), torch.tensor([9, 6])
    network = aligner()
    ids[1, 3:], mel[1, :, 6:] = 7, 5.0  # what stands in the padding does not count
    found = network(ids, tokens, mel, frames)
    alone = network(ids[1:, :3], tokens[1:], mel[1:, :, :6], frames[1:])
    assert (found[1, :6, :3] - alone[0]).abs().max() < 1e-12
    assert (found[1, :, 3:] == -torch.inf).all()


def test_a_frame_has_the_density_of_a_normal_distribution_of_cepstra():
    network = aligner(context=False)
    nn.init.normal_(network.log_variance)
    ids, mel = torch.tensor([[3, 5]]), torch.randn(1, 6, 4, dtype=torch.float64)
    found = network(ids, torch.tensor([2]), mel, torch.tensor([4]), prior=False)
    heard = cepstra_of(mel)[0] / network.deviation[:, None]
    for s, symbol in enumerate(ids[0]):
        mean = network.mean(network.hidden(network.embedding(symbol)[:, None]).relu())[:, 0]
        normal = torch.distributions.Normal(mean[:, None], (0.5 * network.log_variance).exp()[:, None])
        wanted = normal.log_prob(heard).sum(0) + 6 * math.log(2 * math.pi)
        assert found[0, :, s].tolist() == pytest.approx(wanted.tolist())


@pytest.mark.parametrize("context", [True, False])
def test_letters_beside_matter_where_there_is_context(context):
    network = aligner(context=context)
    mel, lengths = torch.randn(1, 6, 4, dtype=torch.float64), (torch.tensor([3]), torch.tensor([4]))
    one, two = (network(torch.tensor([ids]), lengths[0], mel, lengths[1]) for ids in ([1, 2, 3], [4, 2, 3]))
    assert torch.equal(one[..., 1], two[..., 1]) is not context
    assert torch.equal(one[..., 2], two[..., 2])


def test_each_speaker_has_means():
    network = aligner(2)
    nn.init.normal_(network.speakers.weight)
    ids, mel = torch.tensor([[3, 5]] * 2), torch.randn(1, 6, 4, dtype=torch.float64).expand(2, -1, -1)
    found = network(ids, torch.tensor([2, 2]), mel, torch.tensor([4, 4]), torch.tensor([0, 1]))
    assert not torch.allclose(found[0], found[1])


def test_after_some_steps_every_sound_is_found_where_it_lies():
    """Letters are tones of 400 samples, 6.25 frames, between silences as long."""
    rng = random.Random(0)
    texts = ["".join(rng.choices("abcde", k=rng.randint(4, 7))) for _ in range(24)]
    batch, spec = batch_of(texts), speech().mel
    quiet = F.pad(batch["waveform"], (400, 400))
    mel = spec(quiet + 0.002 * torch.randn(quiet.shape, generator=torch.Generator().manual_seed(0)))
    mel = (mel - mel.mean((0, 2), keepdim=True)) / mel.std((0, 2), keepdim=True)
    symbols = batch["text_length"]
    ids = with_ends((batch["text"].long() - ord("a") + 1).clamp(min=0), symbols, 6)
    frames, tokens = (batch["waveform_length"] + 800) // spec.hop_length, symbols + 2
    torch.manual_seed(0)
    deviation = cepstra_of(mel).std((0, 2))
    network = Aligner(partial(nn.Embedding, 7), deviation, 0, nn.Identity(), context=False, width=16)
    optimizer = torch.optim.AdamW(network.parameters(), 0.03, (0.8, 0.99))
    for _ in range(60):
        optimizer.zero_grad()
        forward_sum(network(ids, tokens, mel, frames), frames, tokens).mean().backward()
        optimizer.step()
    paths = best_paths(network(ids, tokens, mel, frames).detach(), frames, tokens)
    for path, text in zip(paths, texts, strict=True):
        begins = [(path > i).float().argmax().item() for i in range(len(text))]
        assert begins == pytest.approx([6.25 * (i + 1) for i in range(len(text))], abs=2.5), text


def test_gradients_are_finite_also_for_a_clip_without_text():
    network = aligner()
    found = network(
        torch.ones(2, 4, dtype=torch.int64), torch.tensor([4, 0]), torch.randn(2, 6, 5).double(), torch.tensor([5, 0])
    )
    found.gather(2, torch.zeros(2, 5, 1, dtype=torch.int64)).sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())
