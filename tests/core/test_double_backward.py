"""Convolutions made for second derivatives: torch's values and derivatives, and the kernels that they call."""

from __future__ import annotations

import importlib

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

import polygan
from polygan import double_backward
from polygan.double_backward import DoubleBackward
from polygan.testing import RepeatedBatch

CASES = [
    ("conv2d", (2, 4, 6, 7), (6, 4, 3, 3), {"padding": 1}),
    ("conv2d", (2, 4, 7, 6), (6, 2, 3, 2), {"stride": (2, 3), "padding": (1, 0), "groups": 2}),
    ("conv2d", (2, 4, 7, 7), (4, 1, 3, 3), {"groups": 4, "dilation": 2, "padding": 2}),
    ("conv2d", (2, 3, 6, 6), (5, 3, 3, 3), {"stride": 2}),  # a row that no window reaches
    ("conv1d", (2, 4, 11), (6, 2, 4), {"stride": 3, "groups": 2, "padding": (2,)}),
    ("conv3d", (1, 2, 4, 3, 4), (2, 2, 2, 2, 2), {"stride": (2, 1, 1)}),
    (
        "conv_transpose2d",
        (2, 4, 4, 3),
        (4, 3, 3, 3),
        {"stride": 2, "padding": 1, "output_padding": (1, 0), "groups": 2},
    ),
    ("conv_transpose1d", (2, 4, 5), (4, 3, 4), {"stride": 3, "dilation": 2, "output_padding": 1}),
    ("conv_transpose3d", (1, 2, 2, 2, 2), (2, 1, 2, 2, 2), {"stride": 2}),
]


def tensors(shape, weight, outputs, *, bias=True):
    """Input, weights and bias in float64, requiring gradients."""
    generator = torch.Generator().manual_seed(0)
    sizes = [shape, weight, (outputs,)] if bias else [shape, weight]
    return [torch.randn(s, generator=generator, dtype=torch.float64).requires_grad_() for s in sizes]


def outputs_of(name, weight, options):
    return weight[1] * options.get("groups", 1) if "transpose" in name else weight[0]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("name", "shape", "weight", "options"), CASES)
def test_values_and_derivatives_of_every_order_are_torchs(name, shape, weight, options, bias):
    given = tensors(shape, weight, outputs_of(name, weight, options), bias=bias)
    found = []
    for mode in (None, DoubleBackward()):
        call = getattr(F, name)
        if mode is None:
            y = call(*given, **options)
        else:
            with mode:
                y = call(*given, **options)
            assert y.grad_fn.name().startswith("_Input")
        values, level = [y], y
        # torch itself fails at third derivatives of output padding. Each level is not linear, and goes through all before it.
        for _ in range(2 if "output_padding" in options else 3):
            gradients = torch.autograd.grad(level.pow(3).sum(), given, create_graph=True)
            values += gradients
            level = torch.cat([g.flatten() for g in gradients]) / 100
        found.append([v.detach() for v in values])
    for ours, theirs in zip(*reversed(found), strict=True):
        assert ours.shape == theirs.shape
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9 * float(theirs.abs().max()))


@pytest.mark.parametrize(("name", "shape", "weight", "options"), CASES)
def test_derivatives_are_those_of_finite_differences(name, shape, weight, options):
    given = tensors(shape, weight, outputs_of(name, weight, options))

    def call(*arguments):
        with DoubleBackward():
            return getattr(F, name)(*arguments, **options)

    assert torch.autograd.gradcheck(call, given, fast_mode=True)
    assert torch.autograd.gradgradcheck(call, given, fast_mode=True)


class Kernels(TorchDispatchMode):
    """Notes convolutions: the kernel's size of those forward, the masks of those backward."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten.convolution.default:
            self.seen.append(tuple(args[1].shape[2:]))
        elif func is torch.ops.aten.convolution_backward.default:
            self.seen.append(tuple(args[-1]))
        return func(*args, **(kwargs or {}))


def test_a_penalty_calls_no_kernel_that_it_does_not_need():
    """By the input no gradient of weights; by weights one kernel a convolution; of constant taps none; none as large as a map."""
    x, weight = tensors((2, 4, 9, 9), (4, 4, 3, 3), 4, bias=False)
    taps = torch.ones(4, 1, 2, 2, dtype=torch.float64)
    with DoubleBackward():
        y = F.conv2d(F.conv2d(x, weight, padding=1), taps, groups=4)
    with Kernels() as first:
        (gradient,) = torch.autograd.grad(y.pow(2).sum(), x, create_graph=True)
    assert first.seen == [(2, 2), (3, 3)]
    with Kernels() as second:
        gradient.pow(2).sum().backward()
    masks = [s for s in second.seen if len(s) == 3]
    assert masks == [(False, True, False)] * 2  # in the gradient and in the output
    assert {s for s in second.seen if len(s) == 2} == {(2, 2), (3, 3)}


def test_torch_forms_the_gradient_of_a_gradient_with_kernels_of_the_size_of_maps():
    """What is avoided. When torch no longer does this, `DoubleBackward` can go."""
    x, weight = tensors((2, 4, 9, 9), (4, 4, 3, 3), 4, bias=False)
    (gradient,) = torch.autograd.grad(F.conv2d(x, weight, padding=1).pow(2).sum(), x, create_graph=True)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], record_shapes=True) as profile:
        gradient.pow(2).sum().backward()
    shapes = [e.input_shapes[1] for e in profile.events() if e.name == "aten::convolution" and len(e.input_shapes) > 1]
    assert [4, 2, 9, 9] in shapes


def plain(y):
    return not y.grad_fn.name().startswith("_Input")


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")  # of forward-mode differentiation
def test_what_it_does_not_serve_it_leaves_to_torch():
    x, weight, bias = (t.detach().float().requires_grad_() for t in tensors((2, 4, 9, 9), (4, 4, 3, 3), 4))
    with DoubleBackward():
        assert not plain(F.conv2d(x, weight, bias))
        assert plain(F.conv2d(x, weight, bias, padding="same"))
        assert plain(F.conv2d(x[0], weight, bias))
        assert F.conv2d(x.detach(), weight.detach()).grad_fn is None
        with torch.no_grad():
            assert F.conv2d(x, weight, bias).grad_fn is None
        with torch.autocast("cpu", torch.bfloat16):
            assert plain(F.conv2d(x, weight, bias))
        assert torch.func.grad(lambda w: F.conv2d(x, w).square().sum())(weight).shape == weight.shape
        with torch.autograd.forward_ad.dual_level():
            dual = torch.autograd.forward_ad.make_dual(x, torch.ones_like(x))
            assert torch.autograd.forward_ad.unpack_dual(F.conv2d(dual, weight)).tangent is not None
        computed_again = checkpoint(F.conv2d, x, weight, bias, use_reentrant=False)
        y = F.conv2d(x, weight, bias)
        torch.nn.functional.leaky_relu_(y, 0.2).sum().backward()  # in place, as recipes do
    assert all(t.grad is not None for t in (x, weight, bias))
    (gradient,) = torch.autograd.grad(computed_again.pow(2).sum(), x, create_graph=True)
    gradient.sum().backward()


def test_arguments_may_be_given_by_torchs_names():
    x, weight, bias = tensors((2, 4, 5, 5), (4, 4, 3, 3), 4)
    for name in ("conv2d", "conv_transpose2d"):
        call = getattr(F, name)
        with DoubleBackward():
            named = call(input=x, weight=weight, bias=bias, stride=2, padding=1, dilation=1, groups=1)
        assert not plain(named)
        torch.testing.assert_close(named, call(x, weight, bias, stride=2, padding=1))


def test_a_map_changed_in_place_after_its_convolution_is_an_error_as_in_torch():
    x, weight = tensors((2, 4, 9, 9), (4, 4, 3, 3), 4, bias=False)
    with DoubleBackward():
        h = x * 1
        y = F.conv2d(h, weight)
        h.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


class Penalised(polygan.Recipe):
    """A discriminator under R1 alone, whose turn says that it differentiates twice, or not."""

    domain = "points"
    twice = True

    def networks(self):
        layers = nn.Conv2d(1, 4, 3), nn.Tanh(), nn.ConvTranspose2d(4, 2, 3, 2), nn.Tanh(), nn.Flatten()
        return {"d": nn.Sequential(*layers)}

    def players(self, networks, training):
        return {"d": polygan.Player(networks["d"], torch.optim.SGD(networks["d"].parameters(), 0.01))}

    def turns(self):
        return [polygan.Turn("r1", ("d",), self.r1, differentiates_twice=self.twice)]

    def r1(self, ctx, batch):
        real = batch["x"].detach().requires_grad_()
        logits = ctx["d"](real)
        self.nodes = logits.grad_fn.next_functions[0][0].next_functions[0][0].name()
        return {"penalty": polygan.losses.r1(logits, real, 1.0)}


def test_turns_that_differentiate_twice_train_with_it_to_the_same_parameters():
    trained = []
    for twice in (True, False):
        recipe = Penalised(None, {})
        recipe.twice = twice
        settings = polygan.TrainerSettings(steps=3, batch_size=4, precision="fp32", hang_timeout=0)
        batch = {"x": torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(1))}
        trainer = polygan.Trainer(recipe, {"train": RepeatedBatch(batch)}, settings)
        start = [p.detach().clone() for p in trainer.actors["d"].module.parameters()]
        trainer.fit()
        after = [p.detach() for p in trainer.actors["d"].module.parameters()]
        assert recipe.nodes.startswith("_Input") is twice
        assert max(float((a - b).abs().max()) for a, b in zip(start, after, strict=True)) > 1e-3
        trained.append(after)
    for a, b in zip(*trained, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "missing", ["_are_functorch_transforms_active", "_top_saved_tensors_default_hooks", "signature"]
)
def test_without_torchs_private_names_convolutions_are_torchs(missing, monkeypatch, capsys):
    """A torch that renames one of them: the module still loads, the numbers are the same, and it is said once that it takes longer."""

    def penalty(mode):
        x, weight, bias = tensors((2, 4, 6, 7), (6, 4, 3, 3), 6)
        with mode:
            y = F.conv2d(x, weight, bias, padding=1)
        (slope,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        return y, *torch.autograd.grad(slope.square().sum(), [x, weight, bias])

    expected = penalty(DoubleBackward())
    private = {"_are_functorch_transforms_active": torch._C, "_top_saved_tensors_default_hooks": torch._C._autograd}
    with monkeypatch.context() as patch:
        if missing == "signature":
            patch.setattr(torch._C._autograd, "_top_saved_tensors_default_hooks", lambda: None)
        else:
            patch.delattr(private[missing], missing)
        other = importlib.reload(double_backward)
        penalty(other.DoubleBackward())
        found = penalty(other.DoubleBackward())
    importlib.reload(double_backward)
    assert not found[0].grad_fn.name().startswith("_Input")
    assert expected[0].grad_fn.name().startswith("_Input")
    for a, b in zip(expected, found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
    assert capsys.readouterr().err.count("lacks functions that fast second derivatives of convolutions need") == 1
