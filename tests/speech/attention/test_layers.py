"""Batch norm and masks over padded clips."""

from __future__ import annotations

import torch
from torch import nn

from polygan_speech.attention.layers import MaskedBatchNorm, valid
from polygan_speech.attention.recurrence import Recurrent


def test_lengths_become_masks():
    assert valid(torch.tensor([0, 2, 3]), 3).tolist() == [[False] * 3, [True, True, False], [True] * 3]


def test_statistics_of_training_are_those_of_the_valid_frames_alone():
    torch.manual_seed(0)
    ours, plain = MaskedBatchNorm(4).double(), nn.BatchNorm1d(4).double()
    x = torch.randn(3, 4, 9, dtype=torch.float64) * 3 + 1
    mask = valid(torch.tensor([5, 9, 2]), 9)[:, None].double()
    rows = x.transpose(1, 2)[mask[:, 0].bool()]  # (16, 4)
    found = ours(x, mask).transpose(1, 2)[mask[:, 0].bool()]
    assert (found - plain(rows)).abs().max() < 1e-12
    for name, value in plain.state_dict().items():
        assert (ours.state_dict()[name].double() - value.double()).abs().max() < 1e-12, name
    behind = ours.eval()(x, mask)
    assert torch.equal(behind, nn.BatchNorm1d.forward(ours, x))


def test_gradients_of_the_masked_norm_are_those_of_finite_differences():
    torch.manual_seed(0)
    norm = MaskedBatchNorm(2).double()
    mask = valid(torch.tensor([3, 1]), 3)[:, None].double()
    x = torch.randn(2, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: norm(x, mask) * mask, x)


def test_gradients_of_a_weight_that_all_steps_use_are_torchs():
    torch.manual_seed(0)
    weight = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    base = torch.randn(4, 2, 5, dtype=torch.float64, requires_grad=True)

    def run(step):
        x = torch.zeros(2, 3, dtype=torch.float64)
        for b in base.unbind(0):
            x = step(b, x)[:, :3].tanh()
        return x.square().sum()

    wanted = torch.autograd.grad(run(lambda b, x: torch.addmm(b, x, weight.T)), (weight, base))
    loss = run(Recurrent(weight))
    torch.autograd.grad(loss, (base,), retain_graph=True)
    for _ in range(2):  # a second way back counts nothing twice
        found = torch.autograd.grad(loss, (weight, base), retain_graph=True)
        for a, b in zip(found, wanted, strict=True):
            assert (a - b).abs().max() < 1e-14
    (only,) = torch.autograd.grad(run(Recurrent(weight.detach())), (base,))
    assert (only - wanted[1]).abs().max() < 1e-14
