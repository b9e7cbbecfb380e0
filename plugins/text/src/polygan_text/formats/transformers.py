"""Policies for transformers: a folder that ``AutoModelForCausalLM`` and ``AutoTokenizer`` open, read back and compared."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from tokenizers import Tokenizer, processors

from polygan import CheckpointError, ConfigError

from ..data.facts import EOS, SPECIAL, START, UNK
from ..data.vocabulary import Vocabulary, load_vocabulary
from ..policy import TransformerPolicy
from ..pretrained.exporting import export_pretrained
from ..pretrained.policy import PretrainedPolicy
from ..quiet import quiet_transformers

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor, nn

    from ..data.facts import TextInfo
    from ..seqgan import SeqGAN

_OWN = ("<|start|>", "<|end|>")  # names beside those of a user's tokenizer
_CLOSE = 1e-5
_ROWS = 3


def export(recipe: SeqGAN, networks: Mapping[str, nn.Module], path: Path) -> list[Path]:
    """Write a run's policy and tokenizer into the folder ``path``; returns the files.

    A text begins with the start token, which the tokenizer of the folder adds. ConfigError for a policy that is no transformer, for
    classes, and for data of plain numbers; CheckpointError where what was written differs from the policy.
    """
    policy, info = networks["generator"], recipe.text
    if isinstance(policy, PretrainedPolicy):
        return export_pretrained(recipe, policy, path)
    if not isinstance(policy, TransformerPolicy):
        raise ConfigError(
            "transformers has no such LSTM: its folders hold policies of --model.policy gpt2 and pretrained ones; export this run without "
            "--format"
        )
    if recipe.classes:
        raise ConfigError(
            "transformers knows no classes, and this policy begins each class with a token of its own; train with --model.conditional no"
        )
    if "tokenizer" not in info:
        raise ConfigError(
            "this data has no tokenizer, only numbers, so there is nothing to open as text; export without --format"
        )
    vocabulary = load_vocabulary(info["tokenizer"])
    order, names = _order(vocabulary)
    model, tokenizer = _model(policy, info, order), _tokenizer(vocabulary, order, names)
    with quiet_transformers():
        model.save_pretrained(path)
        tokenizer.save_pretrained(path)
        _compare(policy, vocabulary, order, path)
    return sorted(file for file in path.iterdir() if file.is_file())


def _order(vocabulary: Vocabulary) -> tuple[list[int], tuple[str, str]]:
    """polygan's number of each token in the order of the tokenizer, and the names of the start and the end.

    Tokens of a tokenizer of the user's keep their numbers, and the start and the end come after them.
    """
    if not vocabulary.shift:
        return list(range(vocabulary.size)), SPECIAL[:2]
    size = vocabulary.size - vocabulary.shift
    own = [UNK if i == vocabulary.unknown else i + vocabulary.shift for i in range(size)]
    return [*own, START, EOS], _OWN


def _model(policy: TransformerPolicy, info: TextInfo, order: list[int]) -> Any:
    """The policy with its tokens in another order."""
    from transformers import GenerationConfig, GPT2LMHeadModel

    config = copy.deepcopy(policy.model.config)
    start, end = order.index(START), order.index(EOS)
    config.vocab_size, config.bos_token_id, config.eos_token_id = len(order), start, end
    config.architectures = None
    model = GPT2LMHeadModel(config).eval()
    state = {name: value.detach().cpu() for name, value in policy.model.state_dict().items()}
    for name in ("transformer.wte.weight", "lm_head.weight"):
        state[name] = state[name][torch.tensor(order)].clone()
    model.load_state_dict(state)
    model.tie_weights()
    model.generation_config = GenerationConfig(
        bos_token_id=start,
        eos_token_id=end,
        pad_token_id=end,
        max_length=info["length"] + 1,  # the start is one of them
        do_sample=True,
        suppress_tokens=[order.index(UNK)] if UNK in order else None,
    )
    return model


def _tokenizer(vocabulary: Vocabulary, order: list[int], names: tuple[str, str]) -> Any:
    """The tokenizer with the start and the end, which puts the start before each text."""
    from transformers import PreTrainedTokenizerFast

    own = Tokenizer.from_str(vocabulary.text)
    own.add_special_tokens(list(names))
    places = [order.index(START), order.index(EOS)]
    found = [own.token_to_id(name) for name in names]
    if found != places:
        raise ConfigError(
            f"the tokenizer numbers its tokens with gaps, or has tokens called {', '.join(names)}; transformers cannot open it"
        )
    start = (names[0], places[0])
    own.post_processor = processors.TemplateProcessing(single=f"{names[0]}:0 $A:0", special_tokens=[start])
    called = {"unk_token": own.id_to_token(order.index(UNK))} if UNK in order else {}
    return PreTrainedTokenizerFast(
        tokenizer_object=own,
        bos_token=names[0],
        eos_token=names[1],
        pad_token=names[1],
        clean_up_tokenization_spaces=False,
        split_special_tokens=True,  # "<s>" within a text is text
        **called,
    )


@torch.no_grad()
def _compare(policy: TransformerPolicy, vocabulary: Vocabulary, order: list[int], folder: Path) -> None:
    """Open the folder and compare logits and tokens. Raises CheckpointError."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    again: Any = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True).eval()
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    known = torch.tensor([token in order for token in range(vocabulary.size)])
    places = torch.tensor([order.index(token) if token in order else 0 for token in range(vocabulary.size)])
    length, usual = policy.model.config.n_positions, next(token for token in order if token > UNK)
    tokens = torch.randint(len(SPECIAL), vocabulary.size, (_ROWS, length), generator=torch.Generator().manual_seed(0))
    tokens = torch.where(known[tokens], tokens, usual)
    ours = copy.deepcopy(policy).cpu().eval()(tokens)
    given = torch.cat([places[torch.full((_ROWS, 1), START)], places[tokens[:, :-1]]], 1)
    theirs: Tensor = again(input_ids=given).logits[..., places]
    gap = float((ours - theirs)[..., known].abs().max())
    if not gap <= _CLOSE * max(1.0, float(ours.abs().max())):
        raise CheckpointError(f"{folder}: the logits of transformers differ by {gap:.2g}; report this")
    texts = vocabulary.decode(tokens.tolist())
    for text, ids in zip(texts, vocabulary.encode(texts), strict=True):
        expected = places[torch.tensor([START, *ids])].tolist()
        if (found := tokenizer(text)["input_ids"]) != expected:
            raise CheckpointError(f"{folder}: AutoTokenizer cuts {text!r} into {found}, and polygan into {expected}")
