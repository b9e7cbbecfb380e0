"""Which batches the turns of a trainer see: streams without gaps, checks of the same samples, and runs of an earlier polygan."""

from __future__ import annotations

from toy_trainer import Points

import polygan
from polygan.settings.trainer import TrainerSettings
from polygan.training.checkpoint import Checkpoints
from polygan.training.trainer import Trainer
from toy_gan import MLPGAN, Config


class Sparse(MLPGAN):
    """A turn of one batch in each iteration, a check of three batches in every second one, and a burst of two in the third."""

    seen: list[tuple[str, float]]

    def turns(self):
        def loss(ctx, batch):
            self.seen.append((ctx.turn, batch["point"].sum().item()))
            return self.d(ctx, batch)

        d = ("discriminator",)
        return [
            polygan.Turn("d", d, loss),
            polygan.Turn("check", (), loss, data="held_out", every=2, repeat=3, anew=True),
            polygan.Turn("burst", d, loss, start=2, stop=3, repeat=2),
        ]


def sparse(steps, **options):
    recipe = Sparse(Config(), {})
    recipe.seen = []
    settings = TrainerSettings(steps=steps, batch_size=8, precision="fp32", hang_timeout=0)
    streams = {"train": Points(8), "held_out": Points(8, seed=1)}
    return Trainer(recipe, streams, settings, **options)


def test_a_stream_has_no_gaps_and_a_check_sees_the_same_batches_each_time(tmp_path):
    train, held_out = ([Points(8, seed).batch(i)["point"].sum().item() for i in range(6)] for seed in (0, 1))
    trainer = sparse(5, checkpoints=Checkpoints(tmp_path))
    trainer.fit()
    assert [x for name, x in trainer.recipe.seen if name == "d"] == [train[i] for i in (0, 1, 2, 4, 5)]
    assert [x for name, x in trainer.recipe.seen if name == "burst"] == [train[2], train[3]]
    assert [x for name, x in trainer.recipe.seen if name == "check"] == held_out[:3] * 3
    more = sparse(6, checkpoints=Checkpoints(tmp_path))
    more.checkpoints.load(use=more.restore)
    more.fit()
    assert more.recipe.seen == [("d", Points(8).batch(6)["point"].sum().item())]


def test_a_checkpoint_of_an_earlier_polygan_goes_on_in_its_order(tmp_path):
    trainer = sparse(2, checkpoints=Checkpoints(tmp_path))
    trainer.fit()
    more = sparse(5)
    checkpoint = trainer.checkpoints.load()
    del checkpoint.training["streams"]
    more.restore(checkpoint)
    more.iterate()
    more.iterate()
    train, held_out = ([Points(8, seed).batch(i)["point"].sum().item() for i in range(10)] for seed in (0, 1))
    checks = [
        ("check", held_out[i]) for i in (6, 7, 8)
    ]  # an iteration has 3 batches at most, so the third one begins at 6
    bursts = [("burst", train[i]) for i in (6, 7)]
    assert more.recipe.seen == [("d", train[6]), *checks, *bursts, ("d", train[9])]
