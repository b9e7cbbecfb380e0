"""The synthetic task of Yu et al. 2017, section 4: a fixed random LSTM writes the data and scores generated sequences."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load

from polygan import DataError, Field, Source, mix

from .policy import LSTMPolicy
from .rollout import ROWS, sample

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from .data.settings import OracleSettings

LENGTH = 20
WIDTH = 32
_NAMES = {
    "emb.weight": "embedding.weight",
    **{f"lstm.{n}_l0": f"lstm.{n}_l0" for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")},
    "out.weight": "head.weight",
    "out.bias": "head.bias",
}


def load_oracle(path: str | Path) -> LSTMPolicy:
    """The oracle in a .safetensors file: ``emb.weight`` (V, E), ``lstm.*_l0`` (gates i, f, g, o), ``out.weight`` (V, H), ``out.bias``.

    Raises DataError if the file cannot be read, or a tensor is missing or does not fit the other tensors.
    """
    try:
        tensors = load(Path(path).read_bytes())
    except (OSError, SafetensorError) as error:
        raise DataError(
            f"oracle {path} is not a readable .safetensors file ({error}); name another file with --data.oracle"
        ) from None
    if missing := _NAMES.keys() - tensors.keys():
        raise DataError(
            f"oracle {path} lacks {', '.join(sorted(missing))} and has {', '.join(sorted(tensors)) or 'nothing'}; name another file"
        )
    embedding, recurrent = tensors["emb.weight"], tensors["lstm.weight_hh_l0"]
    if embedding.dim() != 2 or recurrent.dim() != 2:
        raise DataError(
            f"oracle {path}: emb.weight {tuple(embedding.shape)} and lstm.weight_hh_l0 {tuple(recurrent.shape)} are no matrices"
        )
    policy = LSTMPolicy(embedding.shape[0], embedding.shape[1], recurrent.shape[1])
    own = policy.state_dict()
    for theirs, mine in _NAMES.items():
        if tensors[theirs].shape != own[mine].shape:
            raise DataError(
                f"oracle {path}: {theirs} is {tuple(tensors[theirs].shape)}, and beside emb.weight {tuple(embedding.shape)} and "
                f"lstm.weight_hh_l0 {tuple(recurrent.shape)} must be {tuple(own[mine].shape)}; name another file"
            )
    policy.load_state_dict({mine: tensors[theirs].float() for theirs, mine in _NAMES.items()})
    return policy.eval().requires_grad_(False)


def make_oracle(vocabulary: int, seed: int) -> LSTMPolicy:
    """An oracle whose parameters are drawn from N(0, 1) by seed; one bias a gate, as in the paper's cell."""
    policy = LSTMPolicy(vocabulary, WIDTH, WIDTH)
    generator = torch.Generator().manual_seed(mix(seed, 0))
    with torch.no_grad():
        for name, parameter in policy.named_parameters():
            parameter.zero_() if name == "lstm.bias_hh_l0" else parameter.normal_(generator=generator)
    return policy.eval().requires_grad_(False)


def oracle_of(info: Mapping[str, Any]) -> LSTMPolicy:
    """The oracle that wrote a run's data. Raises DataError for other data, or if the oracle's file is gone or changed."""
    facts = info.get("oracle")
    if not facts:
        raise DataError("no oracle wrote this data; train on --data oracle for this score")
    if not facts["file"]:
        return make_oracle(info["vocabulary"], facts["seed"])
    if _digest(facts["file"]) != facts["sha256"]:
        raise DataError(f"oracle {facts['file']} has changed since the run was trained; restore the file")
    return load_oracle(facts["file"])


def _digest(path: str) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(f"oracle {path} cannot be read ({error.strerror}); restore the file") from None


class OracleSource(Source):
    """``size`` sequences (L,) that the oracle writes, by seed."""

    def __init__(self, settings: OracleSettings) -> None:
        file = str(Path(settings.oracle).expanduser().resolve()) if settings.oracle else ""
        self.policy = load_oracle(file) if file else make_oracle(settings.vocabulary, settings.oracle_seed)
        self.size, self.length = settings.size, settings.max_length or LENGTH
        self.fields = {"tokens": Field("int32", (self.length,))}
        facts = {"file": file, "sha256": _digest(file) if file else "", "seed": settings.oracle_seed}
        self.info: dict[str, Any] = {
            "vocabulary": self.policy.vocabulary,
            "length": self.length,
            "start": 0,
            "eos": None,
            "classes": [],
            "oracle": facts,
        }
        self._blocks: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return self.size

    def fingerprint(self) -> str:
        """A key of the oracle, the size and the length."""
        facts = self.info["oracle"]
        return repr(
            ("oracle", 1, facts["file"], facts["sha256"], facts["seed"], self.policy.vocabulary, self.size, self.length)
        )

    def decode(self, index: int) -> Mapping[str, np.ndarray]:
        """One sequence. A block is drawn when first asked for; two threads that ask at once draw the same block."""
        block = index // ROWS
        rows = self._blocks.get(block)
        if rows is None:
            generator = torch.Generator().manual_seed(mix(self.info["oracle"]["seed"], 1, block))
            uniform = torch.rand(ROWS, self.length, 2, generator=generator)
            rows = self._blocks[block] = sample(self.policy, uniform).int().numpy()
        return {"tokens": rows[index % ROWS]}
