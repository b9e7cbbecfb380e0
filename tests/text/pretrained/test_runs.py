"""Whole runs: what is saved, what is needed to open a run again, what goes out, and the same text everywhere."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file
from small_model import LINES

import polygan
from polygan import CheckpointError, ConfigError
from polygan_text.pretrained.folders import TRUST

QUICK = {
    "mle_steps": 3,
    "pretrain_steps": 1,
    "check_every": 2,
    "check_texts": 4,
    "discriminator_embedding_dim": 4,
    "rollouts": 1,
    "discriminator_steps": 1,
}
COMMON = {"batch_size": 4, "precision": "fp32", "hang_timeout": 0, "quiet": True, "device": "cpu", "save_every": 5}


def trained(place, folder, recipe="text/seqgan", steps=5, **model):
    (place / "lines.txt").write_text("\n".join(LINES))
    data = {
        "source": str(place / "lines.txt"),
        "cache": str(place / "cache"),
        "tokenizer": str(folder),
        "max_length": 12,
    }
    return polygan.train(
        recipe,
        data,
        model={**model, "policy": str(folder)},
        steps=steps,
        runs=str(place / "runs"),
        name="run",
        **COMMON,
    )


@pytest.fixture(scope="module")
def with_adapters(folders, tmp_path_factory):
    """A run with adapters, and its pretrained folder, which tests may move away and put back."""
    place = tmp_path_factory.mktemp("adapters")
    folder = shutil.copytree(folders("llama"), place / "base")
    return trained(place, folder, lora=2, mle_rate=0.05, **QUICK), folder


@pytest.fixture(scope="module")
def with_all_weights(folders, tmp_path_factory):
    """A run that trained all weights, whose pretrained folder is gone."""
    place = tmp_path_factory.mktemp("whole")
    folder = shutil.copytree(folders("gpt2"), place / "base")
    made = trained(place, folder, steps=42, **{**QUICK, "mle_steps": 40, "mle_rate": 0.02})
    shutil.rmtree(folder)
    return made


def opened(folder):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)


def greedy(folder):
    model, tokenizer = opened(folder)
    config = model.generation_config
    found = model.generate(torch.tensor([[config.bos_token_id]]), do_sample=False, max_length=config.max_length)
    return found[0, 1:].tolist(), tokenizer.decode(found[0], skip_special_tokens=True)


def test_a_checkpoint_holds_the_adapters_and_no_frozen_weight(with_adapters):
    run, folder = with_adapters
    newest = sorted((run.folder / "checkpoints").iterdir())[-1]
    for name in ("generator", "rollout", "mle"):
        held = load_file(newest / f"{name}.safetensors")
        assert all(
            "lora_" in key or key.removeprefix("policy.") in ("base", "ready", "lowest", "total", "count")
            for key in held
        )
    remembered = json.loads(run.settings.model.pretrained)["policy"]
    assert remembered["folder"] == str(folder)
    assert bytes(held["policy.base"].tolist()).hex() == remembered["sha256"]
    assert any(float(t.abs().max()) > 0 for key, t in held.items() if "lora_B" in key)


def test_a_run_opens_again_with_the_same_texts(with_adapters, with_all_weights):
    for run in (with_adapters[0], with_all_weights):
        again = polygan.load(run.folder)
        texts = run.generate(6, seed=1, rerank=1).data
        assert again.generate(6, seed=1, rerank=1).data == texts
        assert len(set(texts)) > 1
        assert again.generate(2, seed=1, of="mle").data


def test_an_interrupted_run_goes_on_to_the_bit(with_adapters, tmp_path):
    run, folder = with_adapters
    whole = trained(tmp_path, folder, steps=7, lora=2, mle_rate=0.05, **QUICK)
    shutil.copytree(run.folder, tmp_path / "runs" / "half")
    rest = polygan.resume(tmp_path / "runs" / "half", steps=7, quiet=True)
    for name, network in whole.networks.items():
        for key, value in network.state_dict().items():
            assert torch.equal(value, rest.networks[name].state_dict()[key]), (name, key)


def test_the_console_says_what_a_run_with_adapters_needs(with_adapters, with_all_weights):
    run, folder = with_adapters
    (note,) = [n for n in run.recipe.notes(polygan.TrainerSettings(steps=100)) if "adapters" in n]
    assert str(folder) in note
    assert "--format transformers" in note
    assert not with_all_weights.recipe.notes(polygan.TrainerSettings(steps=100))


def test_adapters_without_their_folder_say_what_is_missing(with_adapters):
    run, folder = with_adapters
    folder.rename(folder.parent / "elsewhere")
    try:
        with pytest.raises(CheckpointError, match=rf"{folder} of the pretrained model is gone"):
            polygan.load(run.folder)
    finally:
        (folder.parent / "elsewhere").rename(folder)


def test_an_exported_model_holds_what_learned(with_adapters, with_all_weights, tmp_path):
    for run in (with_adapters[0], with_all_weights):
        path, _ = run.export(tmp_path / "model")
        texts = polygan.load(path).generate(4, seed=3, rerank=1).data
        assert texts == run.generate(4, seed=3, rerank=1).data


def test_transformers_opens_the_export_and_writes_the_same_text(with_adapters, with_all_weights, tmp_path):
    for number, run in enumerate((with_adapters[0], with_all_weights)):
        files = run.export(tmp_path / str(number), "transformers")
        assert {"config.json", "model.safetensors", "tokenizer.json"} <= {file.name for file in files}
        state, made = run.networks["generator"], run.generate(1, top_k=1, rerank=1)
        ids, text = greedy(tmp_path / str(number))
        assert state.inputs[made.extra["tokens"][0, : len(ids)]].tolist() == ids
        assert run.generate(1, temperature=0.001, rerank=1).data == made.data
        if number:  # a policy that has learned little writes bytes that are no characters, which polygan leaves out
            assert text == made.data[0]
            assert text.endswith(".")
        model, tokenizer = opened(tmp_path / str(number))
        assert not any("lora_" in name for name in model.state_dict())
        tokens = torch.randint(3, 200, (2, 12), generator=torch.Generator().manual_seed(0))
        given = torch.cat([torch.full((2, 1), tokenizer.bos_token_id), state.inputs[tokens[:, :-1]]], 1)
        with torch.no_grad():
            ours, theirs = state(tokens)[..., 3:200], model(given).logits[..., state.inputs[3:200]]
        gap = (ours - theirs)[..., state.drawn[3:200]].abs().max()
        assert gap < 1e-5 * ours[..., state.drawn[3:200]].abs().max().clamp(min=1)


def test_an_export_that_computes_other_logits_or_cuts_otherwise_is_refused(with_all_weights, tmp_path, monkeypatch):
    from polygan_text.pretrained import exporting

    write, cut = exporting._model, exporting._tokenizer

    def spoilt(*given):
        model = write(*given)
        model.transformer.ln_f.bias.data += 0.1
        return model

    monkeypatch.setattr(exporting, "_model", spoilt)
    with pytest.raises(CheckpointError, match="logits of transformers differ"):
        with_all_weights.export(tmp_path / "a", "transformers")
    monkeypatch.setattr(exporting, "_model", write)

    def lowered(*given):
        from tokenizers import normalizers

        made = cut(*given)
        made.backend_tokenizer.normalizer = normalizers.Prepend("x")
        return made

    monkeypatch.setattr(exporting, "_tokenizer", lowered)
    with pytest.raises(CheckpointError, match="AutoTokenizer cuts"):
        with_all_weights.export(tmp_path / "b", "transformers")


def test_an_export_is_a_folder_to_start_from(with_adapters, tmp_path):
    run, _ = with_adapters
    run.export(tmp_path / "again", "transformers")
    other = trained(
        tmp_path, tmp_path / "again", recipe="text/residual", steps=3, mle_steps=2, check_every=0, discriminator="cnn"
    )
    assert other.generate(2, seed=0).data


def test_a_saved_run_does_not_allow_code(with_all_weights, monkeypatch):
    from polygan.runs.assembly import saved_settings

    config = with_all_weights.folder / "config.yaml"
    text = config.read_text()
    try:
        config.write_text(text.replace("trust_remote_code: false", "trust_remote_code: true"))
        assert not saved_settings(with_all_weights.folder, {}).model.trust_remote_code
        typed = saved_settings(with_all_weights.folder, {"model": {"trust_remote_code": True}})
        assert typed.model.trust_remote_code
    finally:
        config.write_text(text)
    path, _ = with_all_weights.export(with_all_weights.folder.parent / "stranger")
    from polygan.runs import run as module

    read = module.read_facts
    monkeypatch.setattr(
        module, "read_facts", lambda p: {**read(p), "model": {**read(p)["model"], "trust_remote_code": True}}
    )
    assert not polygan.load(path).settings.model.trust_remote_code


def test_code_of_a_folder_runs_only_where_the_user_asks_for_it(folders, tmp_path, monkeypatch):
    from polygan_text.settings import Config

    folder = shutil.copytree(folders("llama"), tmp_path / "coded")
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    settings = json.loads((folder / "config.json").read_text())
    names = {"AutoConfig": "mine.MineConfig", "AutoModelForCausalLM": "mine.Mine"}
    (folder / "config.json").write_text(json.dumps({**settings, "model_type": "mine", "auto_map": names}))
    (folder / "mine.py").write_text(
        f"open({str(tmp_path / 'ran')!r}, 'w').close()\n"
        "from transformers import LlamaConfig, LlamaForCausalLM\n"
        "class MineConfig(LlamaConfig):\n    model_type = 'mine'\n"
        "class Mine(LlamaForCausalLM):\n    config_class = MineConfig\n"
    )
    with pytest.raises(ConfigError, match=TRUST):
        Config(policy=str(folder))
    assert not (tmp_path / "ran").exists()
    from small_model import encoded, facts

    from polygan_text.pretrained.policy import pretrained_policy

    allowed = Config(policy=str(folder), trust_remote_code=True)
    coded = pretrained_policy(allowed, facts(folder))
    plain = pretrained_policy(Config(policy=str(folders("llama"))), facts(folder))
    tokens = encoded(folder)
    assert (tmp_path / "ran").exists()
    torch.testing.assert_close(coded(tokens), plain(tokens))
    kept = Config(policy=allowed.policy, pretrained=allowed.pretrained)
    with pytest.raises(ConfigError, match=TRUST):
        pretrained_policy(kept, facts(folder))
    monkeypatch.setenv(TRUST, "1")
    assert pretrained_policy(kept, facts(folder)).filled
