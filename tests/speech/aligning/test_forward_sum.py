"""The sum over alignments against a sum over all of them, one by one."""

from __future__ import annotations

import itertools

import pytest
import torch

from polygan_speech.aligning.forward_sum import forward_sum, posteriors


def one_by_one(log_p):
    """-ln of the sum over every non-decreasing way from the first to the last symbol without leaving one out, of (F, S)."""
    frames, tokens = log_p.shape
    total = []
    for steps in itertools.product((0, 1), repeat=frames - 1):
        path = [0, *itertools.accumulate(steps)]
        if path[-1] == tokens - 1:
            total.append(sum(log_p[t, s] for t, s in enumerate(path)))
    return -torch.logsumexp(torch.stack(total), 0)


def example(count=4, frames=7, tokens=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, frames, tokens, generator=generator, dtype=torch.float64).log_softmax(2)


FRAMES, TOKENS = torch.tensor([7, 5, 4, 6]), torch.tensor([4, 2, 4, 1])


def test_it_is_the_sum_over_all_alignments():
    log_p = example()
    found = forward_sum(log_p, FRAMES, TOKENS)
    for b in range(4):
        wanted = one_by_one(log_p[b, : FRAMES[b], : TOKENS[b]])
        assert found[b].item() == pytest.approx(wanted.item(), abs=1e-12)


def test_the_gradient_is_that_of_the_sum_over_all_alignments():
    log_p = example().requires_grad_()
    forward_sum(log_p, FRAMES, TOKENS).sum().backward()
    other = log_p.detach().clone().requires_grad_()
    torch.stack([one_by_one(other[b, : FRAMES[b], : TOKENS[b]]) for b in range(4)]).sum().backward()
    assert (log_p.grad - other.grad).abs().max() < 1e-12
    assert torch.autograd.gradcheck(lambda x: forward_sum(x, FRAMES, TOKENS), (example().requires_grad_(),))


def test_posteriors_tell_each_frames_symbol_in_order():
    log_p = example()
    total, share = posteriors(log_p, FRAMES, TOKENS)
    assert torch.equal(total, -forward_sum(log_p, FRAMES, TOKENS))
    for b in range(4):
        own = share[b, : FRAMES[b]]
        assert (own.sum(1) - 1).abs().max() < 1e-12
        assert (own @ torch.arange(4.0, dtype=own.dtype)).diff().min() >= 0
        assert own[0, 0] == pytest.approx(1)
        assert own[-1, TOKENS[b] - 1] == pytest.approx(1)
        assert not share[b, FRAMES[b] :].any()
    total, share = posteriors(log_p[:, :3], torch.tensor([3, 3, 3, 3]), torch.tensor([4, 4, 4, 4]))
    assert not total.any()
    assert not share.any()


def test_padding_has_no_part():
    log_p = example()
    padded = torch.full((4, 9, 6), -3.0, dtype=torch.float64)
    padded[:, :7, :4] = log_p
    padded[:, :, 4:] = -torch.inf
    padded.requires_grad_()
    found = forward_sum(padded, FRAMES, TOKENS)
    assert torch.equal(found, forward_sum(log_p, FRAMES, TOKENS))
    found.sum().backward()
    assert padded.grad.isfinite().all()
    assert not padded.grad[1, 5:].any()
    assert not padded.grad[1, :, 2:].any()


def test_a_clip_that_is_too_short_has_no_loss_and_no_gradient():
    log_p = example().requires_grad_()
    found = forward_sum(log_p, torch.tensor([3, 7, 0, 7]), torch.tensor([4, 4, 2, 0]))
    assert found[[0, 2, 3]].tolist() == [0, 0, 0]
    found.sum().backward()
    assert not log_p.grad[[0, 2, 3]].any()
    assert log_p.grad[1].any()


def test_it_plays_on_the_meta_device():
    log_p = torch.randn(2, 5, 3, device="meta", requires_grad=True)
    lengths = torch.zeros(2, dtype=torch.int64, device="meta")
    forward_sum(log_p, lengths, lengths).sum().backward()
    assert log_p.grad.shape == (2, 5, 3)
