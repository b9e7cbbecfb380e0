"""The vocoders, the domain, its made-up data set and a metric are held to `polygan.testing`."""

from polygan.testing import Case, parametrize_with_checks

TONES = {"source": "tones", "size": 12, "segment": 2048}
TINY = {
    "audio/hifigan": {"channels": 16, "discriminator_width": 4, "variant": "v3"},
    "audio/vocos": {"dim": 16, "hidden": 32, "blocks": 2, "pretrain_steps": 1},
}
RECIPES = [Case(name, TONES, model, settings={"batch_size": 2}) for name, model in TINY.items()]
OTHERS = [Case("audio", TONES, kind="domain"), Case("tones", {"size": 24}, kind="dataset")]


@parametrize_with_checks([*RECIPES, *OTHERS])
def test_contract(check):
    check()
