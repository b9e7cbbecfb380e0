"""A toy task: the source's four words from behind, some of which are in no vocabulary."""

import pytest
import torch

from polygan_text.data.facts import EOS, UNK
from polygan_text.rewriting.beams import search
from polygan_text.rewriting.lstm import LSTMSourcePolicy
from polygan_text.rewriting.transformer import TransformerSourcePolicy
from polygan_text.rollout import Shape, sample

VOCABULARY, LENGTH = 12, 5
POLICIES = {
    "lstm": lambda: LSTMSourcePolicy(VOCABULARY, 16, 32),
    "transformer": lambda: TransformerSourcePolicy(VOCABULARY, LENGTH, LENGTH, 32, layers=1, heads=2),
}


def pairs(n, generator):
    given = torch.randint(UNK, VOCABULARY, (n, LENGTH), generator=generator)
    given[:, 4] = EOS
    words = torch.where(given == UNK, VOCABULARY + torch.arange(LENGTH), given)
    return given, torch.cat([words[:, :4].flip(1), given[:, 4:]], 1)


@pytest.mark.parametrize("kind", POLICIES)
def test_a_policy_learns_to_write_the_source_from_behind_with_its_unknown_words(kind):
    torch.manual_seed(0)
    policy, generator = POLICIES[kind](), torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(policy.parameters(), 1e-2)
    for _ in range(100):
        given, target = pairs(64, generator)
        optimizer.zero_grad()
        (-policy(target, given).log_probability(target).mean()).backward()
        optimizer.step()
    given, target = pairs(200, generator)
    assert (target >= VOCABULARY).any(1).sum() > 50
    writer = policy.of(given)
    with torch.no_grad():
        greedy = sample(writer, torch.zeros(200, LENGTH, 2), eos=EOS, shape=Shape(top_k=1))
        searched = search(writer.sampler(), 200, LENGTH, 4, EOS)
    for made in (greedy, searched):
        assert (made == target).all(1).float().mean() > 0.98
