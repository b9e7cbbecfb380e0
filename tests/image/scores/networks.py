"""Made-up feature networks, saved as a user would save them."""

import torch
from torch import nn


class Pool(nn.Module):
    """The mean, the deviation and the corners of each channel: 3 * 4 numbers."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = x.flatten(2)
        return torch.cat([flat.mean(2), flat.std(2), x[:, :, 0, 0], x[:, :, 0, -1]], 1)


class Maps(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :, ::2, ::2]


class Faulty(Pool):
    """The features of `Pool`, but ``value`` for each picture whose first red number is above ``above``."""

    def __init__(self, value: float, above: float = -2.0):
        super().__init__()
        self.value, self.above = value, above

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = x.flatten(2)
        good = torch.cat([flat.mean(2), flat.std(2), x[:, :, 0, 0], x[:, :, 0, -1]], 1)
        return torch.where((x[:, 0, 0, 0] > self.above)[:, None], torch.full_like(good, self.value), good)


class Writes(nn.Module):
    """TorchScript that writes a file when it sees pictures."""

    def __init__(self, path: str):
        super().__init__()
        self.path = path

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(2).mean(2) + torch.from_file(self.path, shared=True, size=4).fill_(1.0).sum()


def save(module, path):
    torch.jit.save(torch.jit.script(module), path)
    return str(path)
