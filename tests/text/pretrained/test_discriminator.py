"""Pretrained discriminators: the text as the folder's own tokenizer would give it, heads, masks, scores, bad input."""

from __future__ import annotations

import shutil

import pytest
import torch
from small_model import LENGTH, LINES, encoded, facts
from small_seqgan import parameters

from polygan import CheckpointError, ConfigError, TrainerSettings
from polygan.testing import RepeatedBatch
from polygan.training.trainer import Trainer
from polygan_text.data.facts import EOS
from polygan_text.pretrained.discriminator import pretrained_discriminator
from polygan_text.seqgan import SeqGAN
from polygan_text.settings import Config


def judge_of(folder, length=LENGTH):
    torch.manual_seed(0)
    return pretrained_discriminator(Config(discriminator=str(folder)), facts(folder, length)).eval()


@pytest.mark.parametrize("head", [1, 2])
def test_the_logit_is_that_of_the_classifier_on_the_tokenizer_s_own_input(folders, head):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = folders("bert", head=head)
    model, tokenizer = (
        AutoModelForSequenceClassification.from_pretrained(folder).eval(),
        AutoTokenizer.from_pretrained(folder),
    )
    given = tokenizer(LINES[:8], return_tensors="pt", padding=True)
    with torch.no_grad():
        theirs = model(input_ids=given["input_ids"], attention_mask=given["attention_mask"]).logits
        ours = judge_of(folder)(encoded(folder))
    expected = theirs[:, 0] if head == 1 else theirs[:, 1] - theirs[:, 0]
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)
    assert ours.std() > 1e-3


@pytest.mark.parametrize("kind", ["bert", "gpt2", "llama"])
def test_an_encoder_or_a_language_model_gets_a_new_head(folders, kind):
    folder = folders(kind)
    judge, tokens = judge_of(folder), encoded(folder)
    with torch.no_grad():
        logits = judge(tokens)
    assert logits.shape == (8,)
    assert logits.std() > 0
    # What follows the end is padding: a longer row says the same.
    with torch.no_grad():
        longer = judge_of(folder, LENGTH + 3)(torch.nn.functional.pad(tokens, (0, 3), value=EOS))
    torch.testing.assert_close(longer, logits, rtol=1e-4, atol=1e-5)


def test_three_classes_are_no_question_of_real_or_fake(folders):
    assert judge_of(folders("bert", head=3)).model.config.num_labels == 1


def test_scores_have_no_dropout_and_completions_are_scored_alike(folders):
    folder = folders("bert")
    judge, tokens = judge_of(folder).train(), encoded(folder)
    with torch.no_grad():
        assert not torch.equal(judge(tokens), judge(tokens))
    scores = judge.score(tokens)
    assert judge.training
    torch.testing.assert_close(judge.score(tokens), scores, rtol=0, atol=0)
    complete = tokens.expand(3, 2, *tokens.shape)
    torch.testing.assert_close(judge.score_completions(tokens, complete)[2, 1], scores)


def test_the_tokenizer_must_be_that_of_the_data(folders):
    config = Config(discriminator=str(folders("bert")))
    with pytest.raises(ConfigError, match=rf"model.discriminator = .*add --data.tokenizer {folders('bert')}"):
        pretrained_discriminator(config, facts(folders("gpt2")))


def test_texts_longer_than_the_positions_are_refused(folders):
    with pytest.raises(ConfigError, match=r"reads at most 24 tokens.*add --data.max_length 23"):
        judge_of(folders("bert"), 24)
    assert judge_of(folders("bert"), 23)(torch.full((1, 23), EOS)).shape == (1,)


def test_classes_are_refused_where_asked_for_and_ignored_otherwise(folders):
    folder = folders("bert")
    info = {**facts(folder), "classes": ["a", "b"]}
    with pytest.raises(ConfigError, match="pretrained network knows no classes"):
        SeqGAN(Config(discriminator=str(folder), conditional="yes"), info)
    assert SeqGAN(Config(discriminator=str(folder)), info).classes == ()


def test_rates_suit_what_is_pretrained_unless_they_are_set(folders):
    judge, policy = str(folders("bert")), str(folders("gpt2"))
    assert Config(discriminator=judge).method().discriminator_rate == 2e-5
    assert Config(discriminator=judge, discriminator_rate=0.1).method().discriminator_rate == 0.1
    assert Config(policy=policy).method().mle_rate == 5e-5
    assert Config(policy=policy, lora=4).method().mle_rate == 5e-4
    assert Config(policy=policy).method().discriminator_rate == Config().method().discriminator_rate
    assert Config().method().mle_rate == 2e-3


def test_an_lstm_plays_against_a_pretrained_discriminator(folders):
    folder = folders("bert")
    options = {
        "mle_steps": 1,
        "pretrain_steps": 1,
        "check_every": 0,
        "hidden_dim": 8,
        "embedding_dim": 4,
        "rollouts": 1,
    }
    made = SeqGAN(Config(discriminator=str(folder), discriminator_steps=1, **options), facts(folder))
    stream = RepeatedBatch({"tokens": encoded(folder)})
    settings = TrainerSettings(steps=3, batch_size=8, precision="fp32", hang_timeout=0)
    trainer = Trainer(made, {"train": stream, "held_out": stream}, settings)
    before = parameters(trainer.actors["discriminator"].module)
    for _ in range(3):
        trainer.iterate()
    after = parameters(trainer.actors["discriminator"].module)
    assert (after - before).abs().max() > 1e-6
    assert after.isfinite().all()


def test_without_its_folder_a_checkpoint_fills_the_network(folders, tmp_path):
    folder = shutil.copytree(folders("bert", head=2), tmp_path / "gone")
    config, info = Config(discriminator=str(folder)), facts(folder)
    judge = pretrained_discriminator(config, info).eval()
    shutil.rmtree(folder)
    again = pretrained_discriminator(
        Config(discriminator=config.discriminator, pretrained=config.pretrained), info
    ).eval()
    tokens = encoded(folders("bert"))
    with pytest.raises(CheckpointError, match="gone or has changed"):
        again(tokens)
    again.load_state_dict(judge.state_dict())
    torch.testing.assert_close(again(tokens), judge(tokens))
