"""Networks of `transformers` from a run's facts: with the folder's weights, or empty where a checkpoint will fill them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from polygan import CheckpointError, ConfigError

from ..quiet import quiet_transformers
from .facts import harmless
from .folders import asks_for_code, check, digest, one_line, place_of, trusted
from .tokens import Special, TokenMap, token_map

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ..data.vocabulary import Vocabulary
    from .facts import Facts

_HEADS = ("score.", "classifier.", "pre_classifier.", "pooler.", "bert.pooler.", "roberta.pooler.", "head.")
"""Layers that a classifier has and an encoder lacks: they begin anew."""


def open_policy(facts: Facts, config: Any) -> tuple[Any, bool]:
    """A causal language model in float32, and whether it has its weights.

    Without its folder, or with other weights there, the network is empty: a checkpoint that holds all weights fills it. Adapters
    alone cannot stand without their folder: then CheckpointError, which says what became of the folder.
    """
    from transformers import AutoModelForCausalLM

    folder, reason = unchanged(facts)
    if folder is None:
        if config.lora:
            raise CheckpointError(
                f"{reason}, and this run holds only the adapters that it trained (--model.lora {config.lora}); put the folder back "
                "as it was, or export the run with --format transformers while it is there"
            )
        return _empty(AutoModelForCausalLM, facts), False
    model, missing = _from_folder(AutoModelForCausalLM, folder, facts, config, "policy")
    if missing:
        raise ConfigError(
            f"model.policy = {facts['folder']!r} is no causal language model: it has no {missing[0]}; name a model that writes text"
        )
    return model, True


def open_classifier(facts: Facts, config: Any) -> tuple[Any, bool]:
    """A sequence classifier in float32, and whether it has its weights; the head of an encoder begins anew.

    A classifier with one or two outputs keeps its head, any other gets a new head with one output.
    """
    from transformers import AutoModelForSequenceClassification

    folder, _ = unchanged(facts)
    labels = outputs(facts)
    if folder is None:
        return _empty(AutoModelForSequenceClassification, facts, num_labels=labels), False
    kind = AutoModelForSequenceClassification
    options = {"num_labels": labels, "ignore_mismatched_sizes": True}
    model, missing = _from_folder(kind, folder, facts, config, "discriminator", **options)
    if strange := [name for name in missing if not name.startswith(_HEADS)]:
        raise ConfigError(
            f"model.discriminator = {facts['folder']!r}: the folder has no {strange[0]}; name the folder of a whole encoder or classifier"
        )
    return model, True


def outputs(facts: Facts) -> int:
    """How many outputs the classifier has: two if its folder says so, else one."""
    kinds = facts["config"].get("architectures") or [""]
    own = str(kinds[0]).endswith("ForSequenceClassification")
    return 2 if own and facts["config"].get("num_labels") == 2 else 1


def unchanged(facts: Facts) -> tuple[Path | None, str]:
    """The folder with the weights that a run began with; else None, and what became of the folder."""
    folder = place_of(facts["folder"])
    if folder is None:
        return None, f"the folder {facts['folder']} of the pretrained model is gone"
    if digest(folder) != facts["sha256"]:
        return None, f"the weights in {facts['folder']} are no longer those that the run began with"
    return folder, ""


def fitting(vocabulary: Vocabulary, facts: Facts, model: Any, positions: int, length: int, setting: str) -> TokenMap:
    """The map of the tokens. ConfigError for tokens that the model has no number for, and for texts beyond its positions.

    ``positions`` is how many tokens the model reads at once, 0 for any number, and ``length`` how many it will be given.
    """
    where, found = f"model.{setting} = {facts['folder']!r}", token_map(vocabulary, Special(*facts["special"]))
    size = model.get_input_embeddings().num_embeddings
    if (most := int(found.inputs.max())) >= size:
        raise ConfigError(
            f"{where} knows {size:,} tokens, and its tokenizer numbers them up to {most:,}; save the tokenizer of this model into it"
        )
    if 0 < positions < length:
        raise ConfigError(
            f"{where} reads at most {positions} tokens, and the texts of this data have up to {length}; "
            f"add --data.max_length {positions - (setting == 'discriminator')}"
        )
    return found


def _from_folder(
    kind: Any, folder: Path, facts: Facts, config: Any, setting: str, **options: Any
) -> tuple[Any, list[str]]:
    """The network of a folder, and the names of weights that the folder lacks."""
    check(folder, setting, trusted=trusted(config))
    safe = {
        "use_safetensors": True,
        "local_files_only": True,
        # `check` has refused code that the user did not allow; what a saved run says of the code counts for nothing.
        "trust_remote_code": asks_for_code(folder),
        "dtype": torch.float32,
        "output_loading_info": True,
    }
    try:
        with quiet_transformers():
            model, told = _with_attention(lambda a: kind.from_pretrained(folder, **safe, **options, **a))
    except Exception as error:  # a user's folder may raise anything
        raise ConfigError(
            f"model.{setting} = {facts['folder']!r}: transformers cannot open the model ({one_line(error)}); save it again with "
            "save_pretrained"
        ) from None
    return model.eval(), sorted({*told["missing_keys"], *(entry[0] for entry in told["mismatched_keys"])})


def _empty(kind: Any, facts: Facts, **options: Any) -> Any:
    """A network without weights of its own. CheckpointError where only the folder's code could build the network."""
    from transformers import AutoConfig

    if facts["code"]:
        raise CheckpointError(
            f"{facts['folder']} holds the code of this run's model, and is gone or has changed; put the folder back as it was"
        )
    try:
        with quiet_transformers():
            config = AutoConfig.for_model(**{**harmless(facts["config"]), **options})
            return _with_attention(lambda a: kind.from_config(config, trust_remote_code=False, **a)).float().eval()
    except Exception as error:  # facts of a stranger's run
        raise ConfigError(f"model.pretrained describes no network of transformers ({one_line(error)})") from None


def _with_attention(build: Callable[[dict[str, str]], Any]) -> Any:
    """A network with torch's own attention, whatever its folder asks for: other names may fetch code."""
    try:
        return build({"attn_implementation": "sdpa"})
    except ValueError as error:
        if "sdpa" not in str(error) and "scaled_dot_product" not in str(error):
            raise
        return build({"attn_implementation": "eager"})
