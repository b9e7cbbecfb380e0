"""Pretrained policies: logits and tokens are the model's own, samplers follow teacher forcing, whatever the architecture."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from small_model import LENGTH, LINES, encoded, facts

from polygan import CheckpointError, ConfigError
from polygan_text.data.facts import EOS, START, UNK
from polygan_text.data.vocabulary import Vocabulary
from polygan_text.formats import policies
from polygan_text.pretrained.policy import pretrained_policy
from polygan_text.pretrained.tokens import NEVER, Special, token_map
from polygan_text.rollout import Shape, roll_out, sample
from polygan_text.seqgan import SeqGAN
from polygan_text.settings import Config

KINDS = ("gpt2", "llama", "words_llama")
STARTS = {"gpt2": (0, 0), "llama": (1, 2), "words_llama": (2, 3)}


def policy_of(folder, length=LENGTH, **options):
    return pretrained_policy(Config(policy=str(folder), **options), facts(folder, length))


@pytest.mark.parametrize("kind", KINDS)
def test_the_logits_are_the_model_s_own(folders, kind):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = folders(kind)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    policy, (start, end) = policy_of(folder), STARTS[kind]
    with torch.no_grad():
        ours = policy(encoded(folder))
        for row, text in enumerate(LINES[:8]):
            ids = [start, *tokenizer(text, add_special_tokens=False)["input_ids"], end]
            theirs = model(torch.tensor([ids])).logits[0]
            for t in range(len(ids) - 1):
                behind = slice(UNK + 1, None)
                known = policy.drawn[behind]
                torch.testing.assert_close(
                    ours[row, t, behind][known], theirs[t, : len(known)][known], rtol=1e-5, atol=1e-5
                )
                assert float(ours[row, t, EOS]) == pytest.approx(float(theirs[t, end]), abs=1e-5)
            assert ours[row, :, START].unique().tolist() == [NEVER]


@pytest.mark.parametrize("kind", ["llama", "words_llama"])  # GPT-2's table here has rows without a token
def test_the_probabilities_of_a_text_are_the_model_s_own(folders, kind):
    from transformers import AutoModelForCausalLM

    folder, (start, end) = folders(kind), STARTS[kind]
    vocabulary = Vocabulary((folder / "tokenizer.json").read_text("utf-8"))
    (tokens,) = vocabulary.encode([LINES[0] + " quokka"])
    own = [start, *(vocabulary.unknown if i == UNK else i - 3 for i in tokens), end]
    assert (UNK in tokens) == (kind == "words_llama")
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    with torch.no_grad():
        theirs = model(torch.tensor([own])).logits[0, :-1].log_softmax(1).gather(1, torch.tensor(own[1:])[:, None])
        ours = policy_of(folder, 24).log_probabilities(torch.tensor([[*tokens, EOS]]))
    torch.testing.assert_close(ours[0], theirs[:, 0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_sampler_s_logits_are_those_of_teacher_forcing(folders, kind):
    folder = folders(kind)
    policy, tokens = policy_of(folder), encoded(folder)
    sampler = policy.sampler()
    with torch.no_grad():
        expected, state = policy(tokens), sampler.start(len(tokens))
        for t in range(LENGTH):
            torch.testing.assert_close(sampler.logits(state), expected[:, t], rtol=1e-4, atol=2e-5)
            state = sampler.advance(state, tokens[:, t])


def test_texts_hold_no_token_that_stands_for_another(folders):
    policy = policy_of(folders("llama"))
    torch.manual_seed(0)
    texts = sample(policy, torch.rand(200, LENGTH, 2), eos=EOS, shape=Shape(temperature=5.0))
    never = {START, UNK, 2 + 3}  # the end's own number; the start's and the padding's own numbers have no other name
    assert not never & set(texts.flatten().tolist())
    assert len(texts.unique()) > 100


def test_completions_begin_as_their_prefixes_and_end_once(folders):
    from polygan import Noise

    policy, tokens = policy_of(folders("gpt2"), 6), encoded(folders("gpt2"), 4, 6)
    noise = Noise(torch.device("cpu"))
    noise.reset(0)
    complete = roll_out(policy, tokens, 2, noise, eos=EOS)
    for k in range(5):
        assert (complete[k, :, :, : k + 1] == tokens[:, : k + 1]).all()
    ended = (complete == EOS).cumsum(-1) > 0
    assert (complete[ended] == EOS).all()


def test_a_model_without_bos_begins_with_its_end(folders, tmp_path):
    config = Config(policy=str(folders("gpt2")))
    assert json.loads(config.pretrained)["policy"]["special"] == [0, 0, 0]
    assert json.loads(Config(policy=str(folders("llama"))).pretrained)["policy"]["special"] == [1, 2, 0]


def test_the_map_of_a_tokenizer_that_begins_as_polygan_s_own_is_the_identity():
    from polygan_text.data.tokenizing import train_tokenizer

    vocabulary = Vocabulary(train_tokenizer("word", lambda: LINES, 100, 1).to_str())
    found = token_map(vocabulary, Special(0, 1, 1))
    assert found.inputs.tolist() == list(range(vocabulary.size))
    assert found.drawn.all()


def test_the_policy_has_no_dropout_in_training_mode(folders):
    folder = folders("gpt2")
    policy, tokens = policy_of(folder).train(), encoded(folder)
    with torch.no_grad():
        torch.testing.assert_close(policy(tokens), policy(tokens), rtol=0, atol=0)


def test_texts_longer_than_the_positions_are_refused(folders):
    with pytest.raises(
        ConfigError, match=r"reads at most 24 tokens, and the texts .* up to 25; add --data.max_length 24"
    ):
        policy_of(folders("gpt2"), 25)
    assert policy_of(folders("gpt2"), 24)(torch.full((1, 24), EOS)).shape[1] == 24


def test_a_run_with_all_weights_opens_without_the_folder(folders, tmp_path):
    import shutil

    folder = tmp_path / "gone"
    shutil.copytree(folders("llama"), folder)
    config, info = Config(policy=str(folder)), facts(folder)
    policy = pretrained_policy(config, info)
    shutil.rmtree(folder)
    again = pretrained_policy(Config(policy=config.policy, pretrained=config.pretrained), info)
    tokens = encoded(folders("llama"))
    with pytest.raises(CheckpointError, match="gone or has changed"):
        again(tokens)
    copied = copy.deepcopy(again)
    again.load_state_dict(policy.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(again(tokens), policy(tokens), rtol=0, atol=0)
    with pytest.raises(CheckpointError, match="gone or has changed"):
        copied(tokens)


def test_facts_that_polygan_did_not_write_are_refused(folders):
    for text in ("[]", "{", '{"policy": {"folder": 3}}', '{"policy": 3}'):
        with pytest.raises(ConfigError, match="not what polygan wrote"):
            Config(policy=str(folders("gpt2")), pretrained=text)


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_pretrained_policies_go_to_onnx(folders, tmp_path, kind):
    """The export itself compares each step with the policy."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    folder = folders(kind)
    recipe = SeqGAN(Config(policy=str(folder)), facts(folder))
    policy = pretrained_policy(recipe.config, recipe.info)
    (path,) = policies.onnx(recipe, {"generator": policy}, tmp_path / "model")
    assert path.stat().st_size > 10_000
