"""Initialisation, regularisers, live radius and attack do what the method says, surprises included."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

from workbench.methods.certified.ibp import interval, regularizers, schedule
from workbench.methods.certified.ibp.attack import Frozen, pgd
from workbench.methods.certified.ibp.claims import initial_gain, initial_layers, widths_hold
from workbench.methods.certified.ibp.init import initialise
from workbench.methods.certified.ibp.interval import Box, ReluInput
from workbench.methods.certified.ibp.networks import cnn7, wide_resnet


@pytest.mark.parametrize("seed", range(5))
def test_ibp_initialisation_holds_the_widths_of_a_network_without_batch_norm_where_kaimings_explode(seed: int) -> None:
    assert widths_hold(seed)


def test_with_batch_norm_everywhere_the_initialisation_does_not_stop_the_explosion_of_the_first_step() -> None:
    with_bn = {scheme: initial_gain(scheme, 0, batch_norm="full") for scheme in ("ibp", "default", "kaiming")}
    assert min(with_bn.values()) > 1e5
    assert max(with_bn.values()) < 10 * min(with_bn.values()), "all explode alike, whatever the initialisation"


def test_without_batch_norm_the_width_over_the_signal_explodes_alike_for_every_initialisation() -> None:
    last = {scheme: initial_layers(scheme, 0)[-1] for scheme in ("ibp", "default", "kaiming")}
    relative = {scheme: width / signal for scheme, (width, signal) in last.items()}
    assert last["kaiming"][0] > 1e5 * last["ibp"][0], "the widths themselves differ by far"
    assert min(relative.values()) > 1e5
    assert max(relative.values()) < 5 * min(relative.values())


def entering(lower: list[float], upper: list[float], weight: torch.Tensor) -> ReluInput:
    """A box whose centre and radius depend on `weight` (value 1), so that gradients can be looked at."""
    low, high = torch.tensor(lower), torch.tensor(upper)
    return ReluInput.of("0", Box((low + high) / 2 * weight, (low + high) / 2 * weight, (high - low) / 2 * weight))


def test_a_layer_without_a_ratio_is_skipped_counted_and_does_not_poison_the_gradient() -> None:
    weight = torch.ones((), requires_grad=True)
    both = entering([1.0, -2.0, -9.0], [2.0, -1.0, -8.0], weight)
    unstable = entering([-1.0, -1.0, -1.0], [1.0, 2.0, 3.0], weight)
    no_active = entering([-3.0, -1.0, -1.0], [-1.0, 2.0, 3.0], weight)
    no_inactive = entering([1.0, -1.0, -1.0], [2.0, 2.0, 3.0], weight)
    alone, skipped = regularizers.relu_balance([both], 0.5)
    assert alone > 0
    assert not skipped.any()
    penalty, skipped = regularizers.relu_balance([both, unstable, no_active, no_inactive], 0.5)
    torch.testing.assert_close(penalty, alone / 4)
    assert skipped.tolist() == [False, True, True, True]
    penalty.backward()
    assert weight.grad is not None
    assert weight.grad.isfinite()
    nothing, _ = regularizers.relu_balance([entering([-1.0, -1.0], [1.0, 2.0], weight)], 0.5)
    nothing.backward()
    assert nothing == 0
    assert weight.grad.isfinite()


def test_tightness_is_silent_up_to_one_over_tolerance_and_its_pull_fades_as_bounds_explode() -> None:
    def term(gain: float) -> tuple[float, float]:
        log_width = torch.tensor([gain], dtype=torch.float64).log().requires_grad_()
        value = regularizers.tightness(0.1 * log_width.exp(), torch.tensor(0.1, dtype=torch.float64), 0.5)
        (gradient,) = torch.autograd.grad(value, log_width, allow_unused=True)
        return value.item(), gradient.item()

    assert term(1.9) == (0.0, 0.0)
    assert term(4.0) == pytest.approx((0.5, 0.5))
    value, pull = term(1e5)
    assert value == pytest.approx(1.0, abs=1e-4)
    assert pull == pytest.approx(2e-5), "saturated: it cannot rescue this layer"
    dead = torch.zeros(2, requires_grad=True)
    regularizers.tightness(dead, torch.tensor(0.1), 0.5).backward()
    assert dead.grad is not None
    assert dead.grad.isfinite().all()


def test_the_weight_of_the_regularisers_fades_with_the_ramp() -> None:
    assert [regularizers.weight(0.5, e, 0.1) for e in (0.0, 0.05, 0.1)] == pytest.approx([0.5, 0.25, 0.0])
    assert regularizers.weight(0.5, 0.0, 0.0) == 0.0


# -- the live radius ---------------------------------------------------------------------------------------------------

END = 40


def radii(**changes: dict[int, object]) -> list[float]:
    """60 steps of a ramp of 40 to 0.1; `changes` maps a setting to its values by step."""
    live = schedule.LiveRadius()
    now: dict[str, object] = {"target": 0.1, "end": END, "frozen": False}
    values = []
    for step in range(60):
        for name, moves in changes.items():
            now[name] = moves.get(step, now[name])
        values.append(live.advance(step, start=0, **now))
    return values


PLAIN = [schedule.smoothed(k, 0, END, 0.1) for k in range(60)]


def test_a_target_moved_after_the_ramp_acts_at_once_both_ways() -> None:
    moved = radii(target={50: 0.3, 55: 0.02})
    assert moved[:50] == PLAIN[:50]
    assert moved[50:55] == [0.3] * 5
    assert moved[55:] == [0.02] * 5


def test_during_the_ramp_the_radius_runs_on_linearly_to_the_new_target_at_the_ramps_end() -> None:
    moved = radii(target={20: 0.3})
    assert moved[:20] == PLAIN[:20]
    steps = [b - a for a, b in pairwise(moved[19 : END + 1])]
    assert steps == pytest.approx([(0.3 - PLAIN[19]) / (END - 19)] * 21)
    assert moved[END:] == [0.3] * 20


def test_a_target_below_the_radius_clamps_at_once() -> None:
    assert radii(target={30: 0.01})[30:] == [0.01] * 30
    lowered = radii(target={20: PLAIN[19] + 1e-4})
    assert lowered[19] < lowered[20] < lowered[END] == PLAIN[19] + 1e-4


def test_a_target_moved_before_the_ramp_reshapes_it() -> None:
    live = schedule.LiveRadius()
    values = [live.advance(k, start=10, end=END, target=0.1 if k < 5 else 0.2) for k in range(60)]
    assert values == [schedule.smoothed(k, 10, END, 0.2) for k in range(60)]


def test_a_frozen_radius_holds_still_clamps_and_runs_on_when_released() -> None:
    held = radii(frozen={20: True, 30: False})
    assert held[20:30] == [PLAIN[19]] * 10
    assert held[END:] == [0.1] * 20
    assert all(a < b for a, b in pairwise(held[29 : END + 1]))
    late = radii(frozen={20: True, 50: False})
    assert late[20:50] == [PLAIN[19]] * 30
    assert late[50:] == [0.1] * 10
    clamped = radii(frozen={20: True}, target={25: 0.001})
    assert clamped[25:] == [0.001] * 35


def test_a_moved_end_of_the_ramp_bends_the_rest_and_leaves_a_finished_ramp_alone() -> None:
    longer = radii(end={20: 56})
    assert longer[19] == PLAIN[19]
    assert longer[20] < PLAIN[20]
    assert longer[56] == 0.1
    assert radii(end={20: 15})[20:] == [0.1] * 40
    assert radii(end={50: 58})[50:] == [0.1] * 10


def test_the_radius_goes_on_from_its_state_to_the_same_bits() -> None:
    settings = {"start": 0, "end": END}
    targets = [0.1] * 15 + [0.25] * 10 + [0.05] * 35
    whole = schedule.LiveRadius()
    values = [whole.advance(k, target=targets[k], **settings) for k in range(60)]
    for cut in (1, 15, 16, 25, 41):
        first, second = schedule.LiveRadius(), schedule.LiveRadius()
        for k in range(cut):
            first.advance(k, target=targets[k], **settings)
        second.load_state_dict(first.state_dict())
        assert [second.advance(k, target=targets[k], **settings) for k in range(cut, 60)] == values[cut:]


@pytest.mark.parametrize(("mid", "end"), [(0.0, 10), (1.0, 10), (0.25, 1), (0.25, 0), (0.9, 2)])
def test_the_ramp_is_never_falling_and_ends_at_the_target_for_any_shape(mid: float, end: int) -> None:
    values = [schedule.smoothed(k, 0, end, 0.1, mid) for k in range(15)]
    assert values == sorted(values)
    assert values[end] == 0.1
    assert values[0] == (0.0 if end else 0.1)


# -- the attack --------------------------------------------------------------------------------------------------------


def test_the_attack_stays_in_the_box_finds_what_can_be_found_and_repeats_itself() -> None:
    torch.manual_seed(0)
    network = cnn7(4, shape=(1, 8, 8), batch_norm="none")
    initialise(network, "kaiming")
    images = torch.rand(32, 1, 8, 8)
    labels = network(images).argmax(1)
    labels[:4] = (labels[:4] + 1) % 10
    points, broken = pgd(network, images, labels, 0.3, generator=torch.Generator().manual_seed(1))
    assert points.min() >= 0
    assert points.max() <= 1
    assert ((points - images).abs() <= 0.3 + 1e-6).all()
    assert broken[:4].all()
    assert broken.sum() > 4, "a random network is broken at 0.3 somewhere"
    assert torch.equal(network(points).argmax(1) != labels, broken), "the points returned are the ones that break it"
    again, _ = pgd(network, images, labels, 0.3, generator=torch.Generator().manual_seed(1))
    assert torch.equal(points, again)
    assert not pgd(network, images, labels, 0.0)[1][4:].any()


def test_bounds_of_a_probe_leave_no_trace_in_the_networks_running_statistics() -> None:
    network = cnn7(4, shape=(1, 8, 8)).eval()
    before = [b.clone() for b in network.buffers()]
    interval.propagate(network, interval.input_box(torch.rand(3, 1, 8, 8), 0.1), torch.tensor([0, 1, 2]))
    assert all(torch.equal(a, b) for a, b in zip(before, network.buffers(), strict=True))
    assert isinstance(network[-1], nn.Linear)


@pytest.mark.parametrize("batch_norm", ["none", "conv", "full"])
@pytest.mark.parametrize("training", [False, True])
def test_a_frozen_network_is_the_same_function_of_points_and_leaves_the_network_alone(
    batch_norm: str, training: bool
) -> None:
    network = cnn7(4, shape=(1, 8, 8), batch_norm=batch_norm).double()
    network(torch.rand(16, 1, 8, 8).double() * 3)
    x = torch.rand(5, 1, 8, 8).double()
    before = {k: v.clone() for k, v in network.train(training).state_dict().items()}
    frozen = Frozen(network, x)
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    torch.testing.assert_close(frozen(x), network(x), rtol=1e-10, atol=1e-12)
    assert not frozen(x).requires_grad
    other = torch.rand(3, 1, 8, 8).double()
    if not training:
        torch.testing.assert_close(frozen(other), network(other), rtol=1e-10, atol=1e-12)
    wide = wide_resnet(8, shape=(1, 8, 8)).double().eval()
    torch.testing.assert_close(Frozen(wide, x)(other), wide(other), rtol=1e-10, atol=1e-12)
