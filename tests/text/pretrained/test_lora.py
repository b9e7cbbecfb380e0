"""Adapters: what learns, what copies share, what a checkpoint holds."""

from __future__ import annotations

import copy
import shutil
import sys

import pytest
import torch
from small_model import LENGTH, encoded, facts

from polygan import CheckpointError, ConfigError
from polygan_text.early_stopping import Best, follow
from polygan_text.pretrained.lora import merged
from polygan_text.pretrained.policy import pretrained_policy
from polygan_text.settings import Config


def adapted(folder, rank=2):
    return pretrained_policy(Config(policy=str(folder), lora=rank), facts(folder))


def moved(policy, seed=0):
    """The policy with adapters that change something."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.normal_(std=0.2, generator=generator)
    return policy


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_adapters_lie_beside_attention_and_mlp_and_change_nothing_at_first(folders, kind):
    folder = folders(kind)
    policy, plain = adapted(folder), pretrained_policy(Config(policy=str(folder)), facts(folder))
    names = [name for name, _ in policy.named_parameters()]
    assert all("lora_" in name for name in names)
    assert len(names) == 2 * 2 * (4 if kind == "gpt2" else 7)  # two matrices, two layers
    for part in ("attn", "mlp"):
        assert any(part in name for name in names)
    tokens = encoded(folder)
    with torch.no_grad():
        torch.testing.assert_close(policy(tokens), plain(tokens), rtol=0, atol=0)


def test_gradients_reach_the_adapters_alone(folders):
    policy = adapted(folders("gpt2"))
    moved(policy)
    for parameter in policy.parameters():
        parameter.requires_grad_(True)
    policy(encoded(folders("gpt2"))).logsumexp(2).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in policy.parameters())
    frozen = [p for name, p in torch.nn.Module.named_parameters(policy) if "lora_" not in name]
    assert frozen
    assert all(p.grad is None for p in frozen)


def test_copies_share_what_is_frozen_and_nothing_else(folders):
    policy = moved(adapted(folders("llama")))
    best = Best(policy)
    rollout = copy.deepcopy(policy)
    for other in (rollout, best.policy):
        for (name, mine), (_, its) in zip(
            torch.nn.Module.named_parameters(policy), torch.nn.Module.named_parameters(other), strict=True
        ):
            assert (mine is its) == ("lora_" not in name)
    tokens = encoded(folders("llama"))
    before = policy(tokens).detach()
    moved(rollout, 1)
    assert torch.equal(policy(tokens).detach(), before)
    assert (rollout(tokens).detach() - before).abs().max() > 0.1
    with torch.no_grad():
        follow(rollout, policy, 0.0)
    torch.testing.assert_close(rollout(tokens).detach(), before)


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_the_state_is_that_of_the_adapters_and_comes_back(folders, kind):
    folder = folders(kind)
    policy = moved(adapted(folder))
    best = Best(policy)
    state = {name: tensor.clone() for name, tensor in best.state_dict().items()}
    assert all("lora_" in n or n in ("policy.base", "ready", "lowest", "total", "count") for n in state)
    whole = sum(p.numel() for _, p in torch.nn.Module.named_parameters(policy))
    assert sum(t.numel() for t in state.values()) < 0.2 * whole
    again = Best(adapted(folder))
    again.load_state_dict(state)
    tokens = encoded(folder)
    with torch.no_grad():
        assert torch.equal(again.policy(tokens), policy(tokens))
    del state[next(n for n in state if "lora_A" in n)]
    with pytest.raises(RuntimeError, match="Missing key"):
        again.load_state_dict(state)


def test_merged_weights_compute_the_same(folders):
    from transformers import AutoModelForCausalLM

    for kind in ("gpt2", "llama"):
        policy = moved(adapted(folders(kind)))
        model = AutoModelForCausalLM.from_pretrained(folders(kind)).eval()
        model.load_state_dict(merged(policy.model))
        given = torch.randint(3, 300, (3, LENGTH), generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            ours, theirs = policy.model(input_ids=given).logits, model(input_ids=given).logits
        assert (ours - theirs).abs().max() < 1e-5 * ours.abs().max().clamp(min=1)


def test_adapters_need_the_folder_as_it_was(folders, tmp_path):
    folder = shutil.copytree(folders("gpt2"), tmp_path / "base")
    config, info = Config(policy=str(folder), lora=2), facts(folder)
    state = pretrained_policy(config, info).state_dict()
    with (folder / "model.safetensors").open("r+b") as file:
        file.seek(-4, 2)
        file.write(b"\x00\x00\x00\x00")
    changed = Config(policy=config.policy, lora=2, pretrained=config.pretrained)
    with pytest.raises(CheckpointError, match="are no longer those that the run began with"):
        pretrained_policy(changed, info)
    fresh = pretrained_policy(Config(policy=config.policy, lora=2), info)
    with pytest.raises(CheckpointError, match="belong to other weights"):
        fresh.load_state_dict(state)
    shutil.rmtree(folder)
    with pytest.raises(CheckpointError, match=r"base of the pretrained model is gone, .*--model.lora 2"):
        pretrained_policy(changed, info)


def test_a_missing_package_is_named(folders, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ConfigError, match=r'pip install "polygan-text\[lora\]"'):
        adapted(folders("gpt2"))
