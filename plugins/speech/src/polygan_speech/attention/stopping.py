"""When a sentence ends."""

from __future__ import annotations

from dataclasses import dataclass

from polygan import ConfigError


@dataclass(frozen=True, kw_only=True)
class Stop:
    """A sentence ends at the first of: the stop gate, the last symbol attended for long, the cap from the text's length."""

    gate: float = 0.5
    """The gate's probability that ends the sentence; 1 leaves the gate out."""
    patience: int = 24
    """Frames in a row in which the last symbol is attended most, after which the sentence ends; 0 leaves the rule out."""
    frames_per_symbol: float = 20.0
    """The cap grows by so many frames a symbol. English is read at about 6 of 256 samples at 22,050 Hz."""
    slack: int = 100
    """Frames of the cap that no symbol asks for."""

    def __post_init__(self) -> None:
        if not 0 < self.gate <= 1:
            raise ConfigError(f"stop: gate = {self.gate} is not in (0, 1]")
        if self.patience < 0 or self.frames_per_symbol < 0 or self.slack < 1:
            raise ConfigError(
                f"stop: patience = {self.patience} and frames_per_symbol = {self.frames_per_symbol} must be at least 0, and "
                f"slack = {self.slack} at least 1"
            )

    def limit(self, symbols: int) -> int:
        """Frames of a text of so many symbols at most."""
        return self.slack + int(self.frames_per_symbol * symbols)
