"""Policies: networks that draw the next token. One small interface serves training, sampling and rollouts."""

from __future__ import annotations

from contextlib import contextmanager
from inspect import signature
from typing import TYPE_CHECKING, Any, Protocol

import torch
import torch.nn.functional as F
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

State = tuple["Tensor", ...]
"""What a policy remembers of the tokens so far: tensors whose first dimension counts sequences."""


class Sampler(Protocol):
    """A policy that samples: its weights are fixed, so whatever depends on the weights alone is computed once."""

    def start(self, n: int, labels: Tensor | None = None) -> State:
        """The state of ``n`` empty sequences, of classes ``labels`` (n,)."""
        ...

    def advance(self, state: State, tokens: Tensor) -> State:
        """The state after one more token of each sequence, ``tokens`` (n,)."""
        ...

    def logits(self, state: State) -> Tensor:
        """Logits (n, V) of the next token."""
        ...


class Policy(nn.Module):
    """A distribution over sequences of at most ``length`` tokens of a vocabulary: each token given the tokens before it."""

    vocabulary: int

    def forward(self, tokens: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (n, L, V) of tokens (n, L): at t of ``tokens[:, t]``, given the start token and ``tokens[:, :t]``."""
        raise NotImplementedError

    def sampler(self) -> Sampler:
        """A sampler with the current weights, for use without gradients."""
        raise NotImplementedError

    def log_probabilities(self, tokens: Tensor, labels: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        """Log-probabilities (n, L) in nats of each token, given the tokens before it, at ``temperature``."""
        logits = self(tokens, labels)
        logits = logits if temperature == 1 else logits / temperature
        return -F.cross_entropy(logits.flatten(0, 1), tokens.flatten(), reduction="none").view_as(tokens)


@contextmanager
def without_dropout(policy: nn.Module) -> Iterator[None]:
    """Switch dropout off inside a network in training mode. An LSTM stays in training mode, since cuDNN needs it for gradients."""
    modules = [m for m in policy.modules() if m.training]
    rates = [(m, m.dropout) for m in modules if isinstance(m, nn.RNNBase)]
    quiet = [m for m in modules if not isinstance(m, nn.RNNBase)]
    try:
        for module in quiet:
            module.training = False
        for module, _ in rates:
            module.dropout = 0.0
        yield
    finally:
        for module in quiet:
            module.training = True
        for module, rate in rates:
            module.dropout = rate


def select(state: State, rows: slice) -> State:
    """The state of some of the sequences."""
    return tuple(x[rows] for x in state)


def repeat(state: State, n: int) -> State:
    """The state of ``n`` copies of the whole batch, one after the other."""
    return tuple(x.repeat(n, *[1] * (x.dim() - 1)) for x in state)


def join(states: Sequence[State]) -> State:
    """The states of several batches as the state of one batch."""
    return tuple(torch.cat(parts) for parts in zip(*states, strict=True))


class LSTMPolicy(Policy):
    """Embedding, LSTM and a linear head (Yu et al. 2017, section 3.2); a class sets the first state.

    With ``tied`` the head's weight is the embedding (Press and Wolf 2017, arXiv:1608.05859). A matrix (embedding, hidden) stands before the
    head where the two widths differ. ``dropout`` is of the embeddings, between layers, and before the head (Zaremba et al. 2014).
    """

    def __init__(
        self,
        vocabulary: int,
        embedding_dim: int = 32,
        hidden_dim: int = 32,
        *,
        layers: int = 1,
        classes: int = 0,
        start_token: int = 0,
        init_std: float = 0.0,
        dropout: float = 0.0,
        tied: bool = False,
    ) -> None:
        """``init_std``: every parameter is drawn from N(0, init_std^2) as in the paper (0.1); 0: torch's own choice."""
        super().__init__()
        self.vocabulary, self.hidden_dim, self.layers = vocabulary, hidden_dim, layers
        self.start_token = start_token
        self.embedding = nn.Embedding(vocabulary, embedding_dim)
        between = dropout if layers > 1 else 0.0
        self.lstm = nn.LSTM(embedding_dim, hidden_dim, layers, batch_first=True, dropout=between)
        self.dropout = nn.Dropout(dropout)
        self.narrow = nn.Linear(hidden_dim, embedding_dim, bias=False) if tied and embedding_dim != hidden_dim else None
        self.head = None if tied else nn.Linear(hidden_dim, vocabulary)
        self.bias = nn.Parameter(torch.zeros(vocabulary)) if tied else None
        # Tied embeddings are small, since they make logits; the LSTM wants larger ones (Vaswani et al. 2017, section 3.4).
        self.scale = embedding_dim**0.5 if tied else 1.0
        if tied:
            nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        self.first = nn.Embedding(classes, 2 * layers * hidden_dim) if classes else None
        if self.first is not None:
            nn.init.zeros_(self.first.weight)
        if init_std:
            for parameter in self.parameters():
                nn.init.normal_(parameter, std=init_std)

    def _first(self, n: int, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        """(layers, n, hidden) hidden and cell states before the first token."""
        shape = (self.layers, n, self.hidden_dim)
        if self.first is None or labels is None:
            zeros = self.embedding.weight.new_zeros(shape)
            return zeros, zeros
        h, c = self.first(labels).view(n, 2, self.layers, self.hidden_dim).permute(1, 2, 0, 3)  # (layers, n, hidden)
        return h.contiguous(), c.contiguous()

    def forward(self, tokens: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (n, L, V), teacher-forced."""
        given = F.pad(tokens[:, :-1], (1, 0), value=self.start_token)
        hidden, _ = self.lstm(self.dropout(self.embedding(given) * self.scale), self._first(len(tokens), labels))
        if self.head is not None:
            return self.head(self.dropout(hidden))
        hidden = hidden if self.narrow is None else self.narrow(hidden)
        return F.linear(self.dropout(hidden), self.embedding.weight, self.bias)

    def output(self) -> tuple[Tensor, Tensor]:
        """The weight (V, hidden) and the bias (V,) that make logits of a hidden state."""
        if self.head is not None:
            return self.head.weight, self.head.bias
        weight, bias = self.embedding.weight, self.bias
        assert bias is not None
        return (weight if self.narrow is None else weight @ self.narrow.weight), bias

    def sampler(self) -> Sampler:
        """A sampler with tables and transposed weights, made from the current weights."""
        return _LSTMSampler(self)


class _LSTMSampler:
    """A fast sampler: one step costs a lookup, a product a layer and a few pointwise operations.

    The first layer's input projection is folded into the embedding: a token contributes one row of ``table``
    (V, 4 hidden). The order of the gates is input, forget, output, cell, so that the first three share one sigmoid.
    """

    def __init__(self, policy: LSTMPolicy) -> None:
        self.policy = policy
        lstm, self.hidden = policy.lstm, policy.hidden_dim
        self.inputs, self.recurrent, self.biases = [], [], []
        for layer in range(policy.layers):
            into, back, bias, more = (
                self._ordered(getattr(lstm, f"{name}_l{layer}"))
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            self.inputs.append(into.t().contiguous())
            self.recurrent.append(back.t().contiguous())
            self.biases.append(bias + more)
        self.table = torch.addmm(self.biases[0], policy.embedding.weight * policy.scale, self.inputs[0])
        weight, self.bias = policy.output()
        self.head = weight.t().contiguous()  # (hidden, V)

    def _ordered(self, weight: Tensor) -> Tensor:
        i, f, g, o = weight.split(self.hidden)
        return torch.cat([i, f, o, g])

    def start(self, n: int, labels: Tensor | None = None) -> State:
        """h and c of each layer, after the start token."""
        h, c = self.policy._first(n, labels)
        state = tuple(x for pair in zip(h, c, strict=True) for x in pair)
        return self.advance(state, torch.full((n,), self.policy.start_token, device=h.device))

    def advance(self, state: State, tokens: Tensor) -> State:
        """One step of every layer (Hochreiter and Schmidhuber 1997 with forget gates)."""
        new: list[Tensor] = []
        below = None
        for layer, (h, c) in enumerate(zip(state[::2], state[1::2], strict=True)):
            given = self.table[tokens] if below is None else torch.addmm(self.biases[layer], below, self.inputs[layer])
            gates = torch.addmm(given, h, self.recurrent[layer])
            i, f, o = gates[:, : 3 * self.hidden].sigmoid_().chunk(3, 1)
            c = torch.addcmul(f * c, i, gates[:, 3 * self.hidden :].tanh_())
            below = o * c.tanh()
            new += [below, c]
        return tuple(new)

    def logits(self, state: State) -> Tensor:
        """Logits (n, V) from the last layer's hidden state."""
        return torch.addmm(self.bias, state[-2], self.head)


class TransformerPolicy(Policy):
    """A randomly initialised causal language model of transformers, GPT-2 style, with its keys and values cached.

    Each class has its own start token, after the vocabulary.
    """

    def __init__(
        self,
        vocabulary: int,
        length: int,
        width: int = 64,
        *,
        layers: int = 2,
        heads: int = 4,
        classes: int = 0,
        start_token: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        from transformers import AutoModelForCausalLM, GPT2Config

        self.vocabulary, self.layers, self.start_token = vocabulary, layers, start_token
        config = GPT2Config(
            vocab_size=vocabulary + classes,
            n_positions=length,
            n_embd=width,
            n_layer=layers,
            n_head=heads,
            bos_token_id=start_token,
            eos_token_id=None,
            resid_pdrop=dropout,
            embd_pdrop=dropout,
            attn_pdrop=dropout,
        )
        self.model: Any = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")

    def _starts(self, n: int, labels: Tensor | None, device: torch.device) -> Tensor:
        """(n,) the first input of each sequence."""
        if labels is not None:
            return self.vocabulary + labels
        return torch.full((n,), self.start_token, dtype=torch.long, device=device)

    def forward(self, tokens: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (n, L, V), teacher-forced."""
        starts = self._starts(tokens.shape[0], labels, tokens.device)
        given = torch.cat([starts[:, None], tokens[:, :-1]], 1)
        # Without a cache transformers looks for packed sequences, which reads a value from the device in every step.
        return self.model(input_ids=given, **cache_arguments(self.model, [])).logits[..., : self.vocabulary]

    def sampler(self) -> Sampler:
        """A sampler whose state is the last hidden state and each layer's keys and values."""
        return _TransformerSampler(self)


class _TransformerSampler:
    def __init__(self, policy: TransformerPolicy) -> None:
        self.policy = policy
        self.head = policy.model.get_output_embeddings().weight[: policy.vocabulary].t()

    def start(self, n: int, labels: Tensor | None = None) -> State:
        """The state after the start token."""
        weight = self.policy.model.get_output_embeddings().weight
        return self._feed(self.policy._starts(n, labels, weight.device), ())

    def advance(self, state: State, tokens: Tensor) -> State:
        """One step of the model on top of the cached keys and values."""
        return self._feed(tokens, state[1:])

    def _feed(self, tokens: Tensor, past: State) -> State:
        model = self.policy.model.base_model
        options = cache_arguments(model, list(zip(past[::2], past[1::2], strict=True)))
        out = model(input_ids=tokens[:, None], **options)
        cache = next(value for value in options.values() if value is not True)
        kept = [x for layer in cache.layers for x in (layer.keys, layer.values)]
        return (out.last_hidden_state[:, 0], *kept)

    def logits(self, state: State) -> Tensor:
        """Logits (n, V) from the last hidden state."""
        return state[0] @ self.head


def cache_arguments(model: Any, pairs: list[tuple[Tensor, Tensor]]) -> dict[str, Any]:
    """Arguments with which a model continues from the keys and values of each layer; the cache collects new keys and values."""
    from transformers import DynamicCache

    name = "cache" if "cache" in signature(model.forward).parameters else "past_key_values"  # the argument's older name
    return {name: DynamicCache(pairs) if pairs else DynamicCache(), "use_cache": True}
