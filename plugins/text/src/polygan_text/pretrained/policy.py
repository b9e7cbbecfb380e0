"""A pretrained causal language model as a policy: polygan's tokens in and out, adapters, and copies that share what is frozen."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import nn

from polygan import CheckpointError, ConfigError

from ..data.facts import START
from ..policy import Policy, Sampler, State, cache_arguments
from .facts import facts_of, same_tokenizer
from .lora import MARK, add_adapters
from .opening import fitting, open_policy
from .tokens import NEVER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

    from .tokens import TokenMap


def pretrained_policy(config: Any, info: Mapping[str, Any]) -> PretrainedPolicy:
    """The policy that ``model.policy`` names, for the facts of the data.

    Raises ConfigError for data with another tokenizer, for texts longer than the model's positions, and for a folder that is
    refused; CheckpointError for adapters whose folder is gone or has changed.
    """
    facts = facts_of(config, "policy")
    if facts is None:
        raise ConfigError(f"model.policy = {config.policy!r} names no folder; name one with --model.policy")
    vocabulary = same_tokenizer(facts, info, "policy")
    model, filled = open_policy(facts, config)
    positions = getattr(model.config, "max_position_embeddings", None) or 0
    # The last token is never read, and the start comes first.
    tokens = fitting(vocabulary, facts, model, positions, info["length"], "policy")
    if config.lora:
        add_adapters(model, config.lora)
    return PretrainedPolicy(model, tokens, bytes.fromhex(facts["sha256"]) if config.lora else b"", filled=filled)


class PretrainedPolicy(Policy):
    """A causal language model of `transformers`, whose start, end and unknown token are those of its tokenizer.

    The log-probabilities of polygan's tokens are the model's own; tokens of a padded table that the tokenizer lacks are left out.
    There is no dropout, neither in sampling nor in learning: a policy gradient is the gradient of the policy that was sampled.
    With adapters, the parameters and the state are those of the adapters alone, and copies share the frozen weights.
    """

    inputs: Tensor
    drawn: Tensor
    base: Tensor
    """(32,) the SHA-256 of the frozen weights, which a checkpoint of adapters holds too."""

    def __init__(self, model: Any, tokens: TokenMap, base: bytes = b"", *, filled: bool = True) -> None:
        """``base``: the hash of the frozen weights, empty if all weights learn. ``filled``: whether the model has its weights."""
        super().__init__()
        self.model, self.filled, self.vocabulary = model, filled, len(tokens.inputs)
        self.register_buffer("inputs", tokens.inputs, persistent=False)
        self.register_buffer("drawn", tokens.drawn, persistent=False)
        self.adapted = bool(base)
        if self.adapted:
            self.register_buffer("base", torch.tensor(list(base), dtype=torch.uint8))
        self.register_load_state_dict_pre_hook(_complete)
        self.eval()

    def forward(self, tokens: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (n, L, V), teacher-forced; there are no ``labels``."""
        given = F.pad(tokens[:, :-1], (1, 0), value=START)
        return self._run(given, [])[0]

    def sampler(self) -> Sampler:
        """A sampler whose state is the next token's logits, and each layer's keys and values."""
        return _Sampler(self)

    def _run(self, tokens: Tensor, past: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Any]:
        """Logits (n, T, V) after tokens (n, T), and the cache with their keys and values."""
        if not self.filled:
            raise CheckpointError(
                "the folder of the pretrained model is gone or has changed, and no checkpoint has filled this network; put the "
                "folder back as it was"
            )
        options = cache_arguments(self.model, past)
        logits = self.model(input_ids=self.inputs[tokens], **options).logits
        logits = logits.index_select(-1, self.inputs).float().masked_fill(~self.drawn, NEVER)
        return logits, next(value for value in options.values() if value is not True)

    def train(self, mode: bool = True) -> PretrainedPolicy:
        """Evaluation mode, always."""
        return super().train(False)

    # What learns, what is saved

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, nn.Parameter]]:
        """The parameters that learn: all, or those of the adapters."""
        for name, parameter in super().named_parameters(prefix, recurse, remove_duplicate):
            if not self.adapted or MARK in name:
                yield name, parameter

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """What a checkpoint holds: everything, or the adapters and the hash of the weights that they belong to."""
        found = super().state_dict(*args, **kwargs)
        if self.adapted:
            begin = kwargs.get("prefix", args[1] if len(args) > 1 else "") + "model."
            for name in [n for n in found if n.startswith(begin) and MARK not in n]:
                del found[name]
        return found

    def __deepcopy__(self, memo: dict[int, Any]) -> PretrainedPolicy:
        """A copy with weights of its own, except for those that are frozen."""
        if self.adapted:
            memo |= {id(p): p for name, p in super().named_parameters() if MARK not in name}
        new = type(self).__new__(type(self))
        memo[id(self)] = new
        new.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return new


def _complete(policy: PretrainedPolicy, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Before a state is loaded: add the frozen weights that a state of adapters lacks. CheckpointError for other frozen weights."""
    policy.filled = True
    if not policy.adapted:
        return
    given = state.get(f"{prefix}base")
    if given is not None and not torch.equal(given.cpu(), policy.base.cpu()):
        raise CheckpointError(
            "these adapters belong to other weights than those in the folder of model.policy; name their folder"
        )
    for name, tensor in nn.Module.state_dict(policy).items():
        if name.startswith("model.") and MARK not in name:
            state.setdefault(prefix + name, tensor)


class _Sampler:
    def __init__(self, policy: PretrainedPolicy) -> None:
        self.policy = policy

    def start(self, n: int, labels: Tensor | None = None) -> State:
        """The state after the start token."""
        return self._feed(torch.full((n,), START, device=self.policy.inputs.device), ())

    def advance(self, state: State, tokens: Tensor) -> State:
        """One step of the model on top of the cached keys and values."""
        return self._feed(tokens, state[1:])

    def _feed(self, tokens: Tensor, past: State) -> State:
        logits, cache = self.policy._run(tokens[:, None], list(zip(past[::2], past[1::2], strict=True)))
        if not all(isinstance(getattr(layer, "keys", None), torch.Tensor) for layer in cache.layers):
            raise ConfigError(
                "this model keeps no keys and values of each layer, so polygan cannot continue its texts; name another"
            )
        return (logits[:, 0], *(x for layer in cache.layers for x in (layer.keys, layer.values)))

    def logits(self, state: State) -> Tensor:
        """Logits (n, V) of the next token."""
        return state[0]
