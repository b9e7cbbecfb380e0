"""LeakGAN agrees with one forward and backward of the authors' program (random weights, batch 6, 12 tokens, vocabulary 50)."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))
from small_leakgan import context

from polygan_text.discriminator import Discriminator
from polygan_text.leakgan import LeakGAN
from polygan_text.leaking.goals import SegmentGoals
from polygan_text.leaking.networks import Manager, Worker
from polygan_text.leaking.policy import LeakPolicy, prefix_features
from polygan_text.leaking.settings import Config

GOLDEN = Path(__file__).parents[1] / "golden/leakgan"
SIZES = json.loads((GOLDEN / "step.json").read_text())
GATES = (0, 1, 3, 2)  # the program's order: input, forget, output, cell; torch's: input, forget, cell, output
MANAGER, WORKER = "Manager/Manager/Variable", "Worker/Worker/Variable"


@pytest.fixture(scope="module")
def golden():
    return load_file(GOLDEN / "step.safetensors")


def numbered(golden, kind, name, index):
    return golden[f"{kind}/{name}{f'_{index}' if index else ''}"]


def lstm_of(golden, kind, name):
    """weight_ih, weight_hh and the bias, from twelve variables: (input, hidden, bias) of each gate."""
    gates = [[numbered(golden, kind, name, 3 * g + part) for g in GATES] for part in range(3)]
    return [torch.cat(gates[0], 1).t(), torch.cat(gates[1], 1).t(), torch.cat(gates[2])]


def heads_of(golden, kind):
    """The manager's head, the start's goal, the worker's embedding, projection and output: torch's shapes."""
    words, k = SIZES["vocabulary"], SIZES["goal"]
    return {
        "manager.head.weight": golden[f"{kind}Manager/Manager_1/Variable"].t(),
        "manager.head.bias": golden[f"{kind}Manager/Manager_1/Variable_1"],
        "manager.first": golden[f"{kind}Manager/goal_init"],
        "worker.embedding.weight": golden[f"{kind}Worker/Variable"],
        "worker.projection": golden[f"{kind}Worker/Variable_2"],
        "worker.output": torch.cat(
            [golden[f"{kind}Worker/Worker_1/{v}"].view(-1, words, k) for v in ("Variable", "Variable_1")]
        )
        .permute(1, 2, 0)
        .contiguous(),
    }


def filled(module, prefix, values):
    for name in [name for name, _ in module.named_parameters()]:
        if f"{prefix}.{name}" in values:
            owner, _, last = name.rpartition(".")
            setattr(module.get_submodule(owner), last, nn.Parameter(values[f"{prefix}.{name}"].clone().contiguous()))


def cell(lstm, weights):
    for name, value in zip(("weight_ih_l0", "weight_hh_l0", "bias_ih_l0"), weights, strict=True):
        getattr(lstm, name).data.copy_(value)
    lstm.bias_hh_l0.data.zero_()


@pytest.fixture(scope="module")
def policy(golden):
    """The generator with the program's variables; its start's goal has a row for each text, as there."""
    d, words = SIZES["discriminator"], SIZES["vocabulary"]
    reader = Discriminator(words + 1, SIZES["length"], d["embedding"], [tuple(f) for f in d["filters"]])
    place = "var/feature/FeatureExtractor/"
    reader.embedding.weight.data.copy_(golden[f"{place}W_fe"].roll(-1, 0))  # the program's padding comes first
    for (size, _), convolution in zip(d["filters"], reader.convolutions, strict=True):
        weight = golden[f"{place}W-{size}"][:, :, 0]  # (size, embedding, maps)
        convolution.weight.data.copy_(weight.permute(2, 1, 0)[:, :, None])
    reader.bias.data.copy_(torch.cat([golden[f"{place}b-{size}"] for size, _ in d["filters"]]))
    for ours, theirs in ((reader.highway, "highway_lin_0"), (reader.gate, "highway_gate_0")):
        ours.weight.data.copy_(golden[f"{place}Highway/{theirs}/Matrix"])
        ours.bias.data.copy_(golden[f"{place}Highway/{theirs}/Bias"])
    two = golden["var/D_update/Discriminator/W"], golden["var/D_update/Discriminator/b"]
    reader.head.weight.data.copy_(
        (two[0][:, 1] - two[0][:, 0])[None]
    )  # a softmax of two is the sigmoid of a difference
    reader.head.bias.data.copy_(two[1][1:] - two[1][:1])
    width = reader.head.in_features
    manager = Manager(width, SIZES["hidden"])
    worker = Worker(
        words, width, embedding_dim=SIZES["embedding"], hidden_dim=SIZES["hidden"], goal_dim=SIZES["goal"], unit=True
    )
    cell(manager.lstm, lstm_of(golden, "var", MANAGER))
    cell(worker.lstm, lstm_of(golden, "var", WORKER))
    values = heads_of(golden, "var/")
    filled(manager, "manager", values)
    filled(worker, "worker", values)
    return LeakPolicy(worker, manager, reader, SegmentGoals(SIZES["length"], SIZES["step_size"]))


@pytest.fixture(scope="module")
def made(golden, policy):
    """The recipe and a context whose players hold the program's variables."""
    info = {"vocabulary": SIZES["vocabulary"], "length": SIZES["length"], "start": 0, "eos": None, "classes": []}
    recipe = LeakGAN(Config(preset="code", goal_steps=SIZES["step_size"]), info)
    ctx = context(recipe)
    for name, module in {"manager": policy.manager, "worker": policy.worker, "discriminator": policy.reader}.items():
        ctx.players[name].module = module
        ctx._networks[name] = module
    return recipe, ctx


def test_features_goals_and_probabilities(golden, policy):
    tokens = golden["x"].long()
    features = prefix_features(policy.reader, tokens)
    ends = features[:, :: SIZES["step_size"]]
    torch.testing.assert_close(ends[:, 1:] - ends[:, :-1], golden["out/sub_feature"], atol=1e-5, rtol=0)
    begins = ends[:, :-1].repeat_interleave(SIZES["step_size"], 1)
    torch.testing.assert_close(features[:, 1:] - begins, golden["out/all_sub_features"], atol=1e-5, rtol=0)
    goals = policy.goals.of(policy.manager(features), policy.manager.first)
    torch.testing.assert_close(goals, golden["out/all_sub_goals"], atol=1e-5, rtol=0)
    torch.testing.assert_close(goals[:, :: SIZES["step_size"]], golden["out/real_goal"], atol=1e-5, rtol=0)
    torch.testing.assert_close(policy(tokens).softmax(2), golden["out/g_predictions"], atol=1e-5, rtol=0)


def test_the_programs_sampler_sums_directions_one_token_earlier_than_its_losses(golden, policy):
    """The goals of sampled texts prove the manager on other texts; here sampling and losses share the losses' goals."""
    directions = policy.manager(prefix_features(policy.reader, golden["gen_x"].long()))
    goals, c = golden["gen_goal"], SIZES["step_size"]
    torch.testing.assert_close(goals[:, 0], policy.manager.first, atol=1e-5, rtol=0)
    for segment in (1, 2):
        earlier = directions[:, (segment - 1) * c : segment * c].sum(1)
        torch.testing.assert_close(goals[:, segment * c], earlier, atol=1e-5, rtol=0)
        ours = policy.goals.of(directions, policy.manager.first)[:, segment * c]
        torch.testing.assert_close(ours, directions[:, (segment - 1) * c + 1 : segment * c + 1].sum(1))


def test_losses_and_gradients_of_the_game(golden, made):
    recipe, ctx = made
    tokens = golden["x"].long()
    features = prefix_features(ctx["discriminator"], tokens)
    for name in ("manager", "worker"):
        ctx[name].zero_grad()
    terms = recipe.losses_of(ctx, tokens, features, golden["reward"])
    torch.testing.assert_close(terms["manager"], golden["out/goal_loss"], atol=1e-5, rtol=0)
    torch.testing.assert_close(terms["worker"], golden["out/worker_loss"], atol=1e-5, rtol=0)
    assert dict(ctx.observations)["/intrinsic"] == pytest.approx(float(golden["out/worker_reward"]), abs=1e-6)
    sum(terms.values()).backward()
    close = {"atol": 1e-6, "rtol": 0}
    for name, place in (("manager", f"manager/{MANAGER}"), ("worker", f"worker/{WORKER}")):
        lstm = ctx[name].lstm
        for ours, theirs in zip(
            (lstm.weight_ih_l0, lstm.weight_hh_l0, lstm.bias_ih_l0), lstm_of(golden, "grad", place), strict=True
        ):
            assert ours.grad.abs().max() > 1e-7
            torch.testing.assert_close(ours.grad, theirs, **close)
    renamed = {k.replace("grad/manager/", "").replace("grad/worker/", ""): v for k, v in golden.items() if "grad/" in k}
    for path, theirs in heads_of(renamed, "").items():
        name, _, parameter = path.partition(".")
        torch.testing.assert_close(ctx[name].get_parameter(parameter).grad, theirs, **close)


def test_losses_of_pretraining(golden, made):
    recipe, ctx = made
    terms = recipe.likelihood_loss(ctx, {"tokens": golden["x"].long()})
    torch.testing.assert_close(terms["nll"], golden["out/pretrain_worker_loss"], atol=1e-5, rtol=0)
    torch.testing.assert_close(terms["manager"], golden["out/pretrain_goal_loss"], atol=1e-5, rtol=0)


def test_a_shuffled_reward_changes_nothing_in_the_programs_losses(golden, made):
    recipe, ctx = made
    tokens = golden["x"].long()
    features = prefix_features(ctx["discriminator"], tokens)
    terms = [
        recipe.losses_of(ctx, tokens, features, golden["reward"][order])
        for order in ([0, 1, 2, 3, 4, 5], [3, 5, 0, 1, 2, 4])
    ]
    for name in ("manager", "worker"):
        torch.testing.assert_close(terms[0][name], terms[1][name], atol=1e-8, rtol=1e-6)
