import pytest
import torch
from small_pairs import EOS, LENGTH, UNK, VOCABULARY, given, texts

from polygan_text.rewriting.discriminator import PairDiscriminator


@pytest.fixture
def discriminator():
    torch.manual_seed(0)
    made = PairDiscriminator(VOCABULARY, 5, 6)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.6)
    return made.eval()


def test_terms_add_up_to_the_logit(discriminator):
    terms = discriminator.terms(texts(), given())
    assert terms.shape == (5, LENGTH)
    torch.testing.assert_close(terms.sum(1) + discriminator.bias, discriminator(texts(), given()))
    torch.testing.assert_close(discriminator.of(given()).score(texts()), discriminator(texts(), given()))


def test_terms_after_the_end_are_0_and_padding_changes_nothing(discriminator):
    terms = discriminator.terms(texts(), given())
    after = (texts() == EOS).cumsum(1) > 1
    assert after.any()
    assert (terms[after] == 0).all()
    assert (terms[~after] != 0).all()
    short = given()[:1, :4]
    torch.testing.assert_close(discriminator.terms(texts(1), short), terms[:1])


def test_a_term_knows_the_tokens_before_and_the_source_but_not_the_tokens_after(discriminator):
    one, other = texts(), texts()
    other[:, 3] = 3 + (one[:, 3] - 2) % 8
    change = (discriminator.terms(one, given()) - discriminator.terms(other, given())).abs().amax(0)
    assert change[:3].max() == 0
    assert change[3:5].min() > 0
    source = given()
    source[:, 0] = 3 + (source[:, 0] - 2) % 8
    assert (discriminator.terms(one, given()) - discriminator.terms(one, source)).abs().amax(0).min() > 0


def test_a_copied_word_is_told_from_an_unknown_word_and_from_another_position(discriminator):
    source = given(1)
    source[0, 0] = UNK
    base = torch.full((1, 1), VOCABULARY)
    found = {discriminator(tokens, source).item() for tokens in (base, base + 1, torch.full((1, 1), UNK))}
    assert len(found) == 3


def test_completions_are_scored_with_their_own_sources(discriminator):
    complete = torch.stack([texts(5, seed) for seed in range(6)]).view(2, 3, 5, LENGTH)
    found = discriminator.of(given()).score_completions(texts(), complete)
    for k in range(2):
        for copy in range(3):
            torch.testing.assert_close(found[k, copy], discriminator(complete[k, copy], given()))


def test_gradients_are_those_of_finite_differences(discriminator):
    for parameter in discriminator.parameters():
        direction = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0))
        (gradient,) = torch.autograd.grad(discriminator(texts(), given()).sum(), parameter)
        with torch.no_grad():
            around = []
            for step in (0.01, -0.02):
                parameter += step * direction
                around.append(discriminator(texts(), given()).double().sum())
            parameter += 0.01 * direction
        expected = float(around[0] - around[1]) / 0.02
        assert float((gradient * direction).sum()) == pytest.approx(expected, rel=0.02, abs=0.02)
