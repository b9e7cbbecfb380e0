"""Players belong to networks of their name, turns are due by their numbers, and a context changes nothing for good."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import polygan
from polygan.game.protocol import Context, complete_players


def test_a_network_without_player_is_never_trained_and_keeps_its_place():
    networks = {"a": nn.Linear(1, 1), "b": nn.Linear(1, 1), "c": nn.Linear(1, 1)}
    b = polygan.Player(networks["b"], torch.optim.SGD(networks["b"].parameters()))
    players = complete_players(networks, {"b": b})
    assert list(players) == ["a", "b", "c"]
    assert players["b"] is b
    assert all(players[n].optimizer is None and players[n].module is networks[n] for n in "ac")


@pytest.mark.parametrize(
    ("players", "message"),
    [
        (lambda n: {"d": polygan.Player(n["a"])}, r"players\(\) returned 'd', which is no network; networks\(\) has a"),
        (
            lambda n: {"a": polygan.Player(nn.Linear(1, 1))},
            r"holds another module than the network 'a'; pass on networks\['a'\]",
        ),
    ],
)
def test_a_player_that_is_no_network_is_refused(players, message):
    networks = {"a": nn.Linear(1, 1)}
    with pytest.raises(polygan.ConfigError, match=message):
        complete_players(networks, players(networks))


def test_a_turn_is_due_from_its_start_to_its_stop_at_multiples_of_every():
    turn = polygan.Turn("t", ("a",), lambda ctx, batch: {}, start=3, stop=8, every=2)
    assert [step for step in range(12) if turn.due(step)] == [4, 6]


@pytest.mark.parametrize(
    ("data", "streams"), [("held_out", ("held_out",)), (("train/a", "train/b"), ("train/a", "train/b")), (None, ())]
)
def test_the_streams_of_a_turn_are_a_tuple_whatever_data_is(data, streams):
    assert polygan.Turn("t", (), lambda ctx, batch: {}, data=data).streams == streams


def test_a_graph_through_another_player_is_recorded_inside_the_block_only():
    network = nn.Linear(2, 1)
    network.bias.requires_grad_(False)
    network.weight.requires_grad_(False)
    context = Context({"a": polygan.Player(network)}, torch.device("cpu"), polygan.TrainerSettings())
    with context.graph_of("a"):
        assert context["a"](torch.ones(1, 2)).requires_grad
    assert not context["a"](torch.ones(1, 2)).requires_grad
