"""A trained pretrained policy back into a folder of `transformers`, with adapters merged, opened again and compared."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from tokenizers import Tokenizer

from polygan import CheckpointError, ConfigError

from ..data.facts import EOS, START, UNK
from ..data.vocabulary import load_vocabulary
from ..quiet import quiet_transformers
from ..rollout import sample
from .facts import facts_of, tokenizer_hash
from .folders import asks_for_code, place_of
from .lora import merged

if TYPE_CHECKING:
    from pathlib import Path

    from ..data.vocabulary import Vocabulary
    from .facts import Facts
    from .policy import PretrainedPolicy

_CLOSE = 1e-5
_ROWS = 3


def export_pretrained(recipe: Any, policy: PretrainedPolicy, path: Path) -> list[Path]:
    """Write the policy and its tokenizer into the folder ``path``; returns the files.

    The tokens keep the model's own numbers. A text begins with the start token, which not every tokenizer puts there:
    ``model.generate()`` without a prompt begins with it. CheckpointError where what was written differs from the policy, ConfigError
    for a model that needs Python code of its own.
    """
    facts = facts_of(recipe.config, "policy")
    if facts is None or facts["code"]:
        raise ConfigError("this model needs Python code of its own, which is not exported; export without --format")
    vocabulary = load_vocabulary(recipe.text["tokenizer"])
    model, tokenizer = _model(policy, facts, vocabulary, recipe.text["length"]), _tokenizer(facts, vocabulary)
    with quiet_transformers():
        model.save_pretrained(path)
        tokenizer.save_pretrained(path)
        _compare(policy, vocabulary, recipe.text["length"], path)
    return sorted(file for file in path.iterdir() if file.is_file())


def _model(policy: PretrainedPolicy, facts: Facts, vocabulary: Vocabulary, length: int) -> Any:
    """The model without adapters, which draws texts as long as the run's."""
    from transformers import GenerationConfig

    config = copy.deepcopy(policy.model.config)
    config.architectures = None
    start, end, pad = facts["special"]
    config.bos_token_id, config.eos_token_id = start, end
    model = type(policy.model)(config).eval()
    model.load_state_dict(merged(policy.model))
    model.tie_weights()
    unknown = vocabulary.unknown
    model.generation_config = GenerationConfig(
        bos_token_id=start,
        eos_token_id=end,
        pad_token_id=pad,
        max_length=length + 1,  # the start is one of them
        do_sample=True,
        suppress_tokens=None if unknown in (None, end) else [unknown],
    )
    return model


def _tokenizer(facts: Facts, vocabulary: Vocabulary) -> Any:
    """The folder's tokenizer with all its settings; where the folder is gone or has changed, the tokenizer of the run's data."""
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    folder = place_of(facts["folder"])
    file = folder / "tokenizer.json" if folder else None
    if folder and file and file.is_file() and not asks_for_code(folder):
        known = load_vocabulary(file.read_text("utf-8"))
        if tokenizer_hash(known.text) == facts["tokenizer"]:
            with quiet_transformers():
                return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    own = Tokenizer.from_str(vocabulary.text)
    start, end, pad = (own.id_to_token(number) for number in facts["special"])
    called = {} if vocabulary.unknown is None else {"unk_token": own.id_to_token(vocabulary.unknown)}
    return PreTrainedTokenizerFast(
        tokenizer_object=own,
        bos_token=start,
        eos_token=end,
        pad_token=pad,
        clean_up_tokenization_spaces=False,
        **called,
    )


@torch.no_grad()
def _compare(policy: PretrainedPolicy, vocabulary: Vocabulary, length: int, folder: Path) -> None:
    """Open the folder and compare logits and tokens. Raises CheckpointError."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    again: Any = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True).eval()
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    ours = copy.deepcopy(policy).cpu()
    # Texts of the policy: on tokens without sense, rounding grows through a large model to a hundred times its size.
    numbers = torch.rand(_ROWS, min(32, length), 2, generator=torch.Generator().manual_seed(0))
    tokens = sample(ours, numbers, eos=EOS)
    mine = ours(tokens)[..., ours.drawn]
    given = ours.inputs[torch.cat([torch.full((_ROWS, 1), START), tokens[:, :-1]], 1)]
    theirs = again(input_ids=given).logits[..., ours.inputs[ours.drawn]]
    gap = float((mine - theirs).abs().max())
    if not gap <= _CLOSE * max(1.0, float(mine.abs().max())):
        raise CheckpointError(f"{folder}: the logits of transformers differ by {gap:.2g}; report this")
    texts = vocabulary.decode(tokens.tolist())
    for text, ids in zip(texts, vocabulary.encode(texts), strict=True):
        if UNK in ids and vocabulary.unknown is None:
            continue
        expected = ours.inputs[torch.tensor(ids, dtype=torch.long)].tolist()
        if (found := tokenizer(text, add_special_tokens=False)["input_ids"]) != expected:
            raise CheckpointError(f"{folder}: AutoTokenizer cuts {text!r} into {found}, and polygan into {expected}")
