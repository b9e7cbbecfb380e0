"""Small pretrained models with their tokenizers, for the tests of this folder."""

from __future__ import annotations

import itertools

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from polygan_text.data.facts import EOS
from polygan_text.data.vocabulary import Vocabulary

LINES = [
    f"the {a} {b} sees a {c}."
    for a, b, c in itertools.product(
        ("old", "small"), ("dog", "cat", "bird", "horse", "fish"), ("house", "tree", "río")
    )
] + [f"a {a} sleeps in the {b}." for a, b in itertools.product(("dog", "cat", "bird", "fish"), ("box", "sun", "sea"))]
LENGTH = 12


def byte_pairs(specials):
    """A tokenizer of byte pairs, trained on the lines."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=330, special_tokens=list(specials), initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(LINES, trainer)
    return made


def words():
    """A tokenizer of words, which knows not every text."""
    made = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    made.train_from_iterator(LINES, trainers.WordLevelTrainer(special_tokens=specials, show_progress=False))
    pair = [("[CLS]", 2), ("[SEP]", 3)]
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=pair)
    return made


def save_tokenizer(folder, made, **special):
    from transformers import PreTrainedTokenizerFast

    PreTrainedTokenizerFast(tokenizer_object=made, **special).save_pretrained(folder)


def gpt2(folder, positions=24):
    """GPT-2 with one special token, which begins and ends a text; its table has rows that the tokenizer lacks."""
    from transformers import GPT2Config, GPT2LMHeadModel

    made = byte_pairs(["<|endoftext|>"])
    save_tokenizer(folder, made, bos_token="<|endoftext|>", eos_token="<|endoftext|>")
    config = GPT2Config(
        vocab_size=made.get_vocab_size() + 6, n_positions=positions, n_embd=32, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
    )  # fmt: skip
    return _saved(GPT2LMHeadModel(config), folder)


def llama(folder, positions=24):
    """Llama with a start, an end, padding and an unknown token of its own, and a head of its own."""
    from transformers import LlamaConfig, LlamaForCausalLM

    made = byte_pairs(["<pad>", "<bos>", "<eos>"])
    save_tokenizer(folder, made, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>")
    config = LlamaConfig(
        vocab_size=made.get_vocab_size(), hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=positions, bos_token_id=1, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    return _saved(LlamaForCausalLM(config), folder)


def words_llama(folder, positions=24):
    """Llama over words: what the tokenizer does not know has a token."""
    from transformers import LlamaConfig, LlamaForCausalLM

    made = words()
    save_tokenizer(folder, made, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]")
    config = LlamaConfig(
        vocab_size=made.get_vocab_size(), hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=positions, bos_token_id=2, eos_token_id=3, pad_token_id=0,
    )  # fmt: skip
    return _saved(LlamaForCausalLM(config), folder)


def bert(folder, positions=24, head=None):
    """BERT without a head, or a classifier with ``head`` outputs."""
    from transformers import BertConfig, BertForSequenceClassification, BertModel

    made = words()
    save_tokenizer(folder, made, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]")
    config = BertConfig(
        vocab_size=made.get_vocab_size(), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48,
        max_position_embeddings=positions, num_labels=head or 2,
    )  # fmt: skip
    return _saved(BertModel(config) if head is None else BertForSequenceClassification(config), folder)


def _saved(model, folder):
    generator = torch.Generator().manual_seed(3)
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.3, generator=generator)
        elif "bias" in name:
            torch.nn.init.normal_(parameter, std=0.1, generator=generator)
    model.eval().save_pretrained(folder)
    return model


def facts(folder, length=LENGTH):
    """The facts of data that is cut into tokens by the folder's tokenizer."""
    vocabulary = Vocabulary((folder / "tokenizer.json").read_text("utf-8"))
    return {
        "vocabulary": vocabulary.size, "length": length, "start": 0, "eos": EOS, "classes": [], "tokenizer": vocabulary.text
    }  # fmt: skip


def encoded(folder, n=8, length=LENGTH):
    """(n, length) tokens of the first lines, ended and padded as in the store."""
    vocabulary = Vocabulary((folder / "tokenizer.json").read_text("utf-8"))
    rows = [ids[:length] for ids in vocabulary.encode(LINES[:n])]
    return torch.tensor([ids + [EOS] * (length - len(ids)) for ids in rows])
