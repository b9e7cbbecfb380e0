"""Discriminators of short sounds: the paper's size, phase shuffle, views, classes, second derivatives."""

from __future__ import annotations

import pytest
import torch

from polygan import losses
from polygan_audio.networks.shot_discriminators import (
    MelMember,
    PictureMember,
    ShotDiscriminator,
    SpectralMember,
    WaveformMember,
    phase_shuffle,
    shuffle_of,
)


def test_the_discriminator_of_waveforms_has_the_layers_of_the_paper():
    """Table 4 for d = 64, 16,384 samples."""
    with torch.device("meta"):
        member = WaveformMember(16_384, 64)
        widths = [1, 64, 128, 256, 512, 1024]
        for layer, a, b in zip(member.layers, widths, widths[1:], strict=False):
            assert sum(p.numel() for p in layer.parameters()) == a * b * 25 + b
        assert sum(p.numel() for p in member.parameters()) == 17_427_969
        assert member(torch.zeros(3, 16_384), None).shape == (3,)


def test_phase_shuffle_moves_each_sound_by_its_own_number_and_mirrors():
    x = torch.arange(12.0).reshape(2, 1, 6)
    found = phase_shuffle(x, torch.tensor([2, -1]))
    assert found[0, 0].tolist() == [2, 1, 0, 1, 2, 3]
    assert found[1, 0].tolist() == [7, 8, 9, 10, 11, 10]
    assert torch.equal(phase_shuffle(x, torch.zeros(2, dtype=torch.long)), x)


def test_all_shifts_are_equally_often():
    shifts = shuffle_of(torch.arange(1000) / 1000, 2)
    assert torch.bincount(shifts + 2).tolist() == [200] * 5
    assert shuffle_of(torch.tensor([1 - 1e-8]), 2).item() == 2  # 1 in float32


def test_shuffle_changes_logits_and_is_left_out_without_draws():
    torch.manual_seed(0)
    sound = torch.randn(4, 1024)
    for most, differs in ((2, True), (0, False)):
        member = WaveformMember(1024, 2, shuffle=most)
        shifts = torch.rand(4, len(member.layers))
        assert torch.allclose(member(sound, None, shifts), member(sound, None)) != differs


def test_the_view_of_spectra_knows_the_pitch_and_the_time():
    member = SpectralMember(256, 2048, 2)
    time = torch.arange(2048) / 16_000
    sound = torch.where(time < 0.064, torch.sin(2 * torch.pi * 1000 * time), 0.0)[None]
    view = member.view(sound)[0]
    assert view.shape == (128, 32)
    assert view[:, 4:12].argmax(0).tolist() == [15] * 8  # 16 bins of 62.5 Hz, without the one of 0 Hz
    assert float(view[:, 20:].max()) == pytest.approx(float(torch.tensor(1e-2).log() / 5), abs=1e-5)
    assert member.view(torch.zeros(1, 2048)).isfinite().all()


def test_a_view_has_as_many_frames_as_hops_and_begins_with_the_sound():
    member = SpectralMember(1024, 4096, 2)
    click = torch.zeros(1, 4096)
    click[0, 0] = 1
    energy = member.view(click)[0].exp().sum(0)
    assert len(energy) == 16
    assert energy.argmax().item() in (0, 1)


def test_the_class_moves_the_logits():
    torch.manual_seed(0)
    sound = torch.randn(2, 2048)
    one, other = torch.zeros(2, dtype=torch.long), torch.ones(2, dtype=torch.long)
    for member in (WaveformMember(2048, 2, classes=2), SpectralMember(256, 2048, 2, classes=2)):
        view = member.view(sound)
        assert not torch.allclose(member(view, one), member(view, other))
    mel = MelMember((80, 64), (-5.0, 5.0), 2, classes=2)
    assert torch.equal(mel.view(torch.full((2, 80, 64), -10.0)), torch.full((2, 80, 64), -1.0))


@pytest.mark.parametrize("shape", [(512, 64), (128, 256), (80, 64), (128, 32), (40, 4)])
def test_pictures_of_any_shape_get_one_logit(shape):
    assert PictureMember(shape, 2)(torch.randn(3, *shape), None).shape == (3,)


def test_members_judge_each_sound_by_itself():
    """Penalties take gradients of sums over the batch."""
    torch.manual_seed(0)
    network = ShotDiscriminator({"waveform": WaveformMember(1024, 2), "spectrum256": SpectralMember(256, 1024, 2)})
    sound = torch.randn(3, 1024)
    logits = network(sound)
    assert logits.shape == (2, 3)
    torch.testing.assert_close(network(sound[1:2]), logits[:, 1:2], atol=1e-5, rtol=1e-5)
    assert network.shuffles == 3
    assert ShotDiscriminator({"spectrum256": SpectralMember(256, 1024, 2)}).shuffles == 0


def test_penalties_have_finite_second_derivatives_in_silence_too():
    torch.manual_seed(0)
    network = ShotDiscriminator({"waveform": WaveformMember(1024, 2), "spectrum256": SpectralMember(256, 1024, 2)})
    sound = torch.cat([torch.zeros(1, 1024), 0.1 * torch.randn(1, 1024)])
    views = [view.detach().requires_grad_() for view in network.views(sound)]
    shifts = torch.rand(2, network.shuffles)
    for logit, view, member in zip(network.logits(views, None, shifts), views, network.members.values(), strict=True):
        losses.r1(logit, view, 1.0).backward(retain_graph=True)
        mix = torch.rand(2)
        losses.wgan_gp(lambda x, m=member: m(x, None), view.detach(), view.detach().roll(1, 0), mix).backward()
        for p in member.layers.parameters():
            if p.grad is not None:
                assert p.grad.isfinite().all()
        assert float(member.layers[0].weight.grad.abs().sum()) > 0
