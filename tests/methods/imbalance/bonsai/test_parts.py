"""Data, rounds, penalties, network and looks: what they are, what they refuse."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from workbench.cards import parts
from workbench.cards.errors import InvalidValue, UnknownName, WorkbenchError
from workbench.methods.imbalance.bonsai import look, ood, rounds
from workbench.methods.imbalance.bonsai.claims import steadier
from workbench.methods.imbalance.bonsai.colours import paint
from workbench.methods.imbalance.bonsai.network import Network
from workbench.methods.imbalance.bonsai.objective import Objective, Seen, objective, squared


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# -- colours ----------------------------------------------------------------------------------------------------------


def painted(flips: float, *, label_noise: float = 0.25, number: int = 4000):
    rng = np.random.default_rng(0)
    grey = rng.random((number, 28, 28)).astype(np.float32) + 0.1
    return grey, paint(grey, rng.random(number) < 0.5, label_noise, flips, rng.random((2, number)))


@pytest.mark.parametrize("flips", [0.1, 0.5, 0.9])
def test_label_and_colour_are_flipped_as_often_as_asked(flips):
    _, found = painted(flips)
    assert float((found.y != found.shape).double().mean()) == pytest.approx(0.25, abs=0.03)
    assert float((found.colour != found.y).double().mean()) == pytest.approx(flips, abs=0.03)


def test_a_picture_lies_in_the_channel_of_its_colour_alone():
    grey, found = painted(0.3, number=50)
    assert found.x.shape == (50, 2, 14, 14)
    for picture, colour, original in zip(found.x, found.colour.int(), grey, strict=True):
        assert not picture[1 - colour].any()
        np.testing.assert_array_equal(picture[colour].numpy(), original[::2, ::2])


def test_without_noise_and_flips_shape_label_and_colour_are_one():
    _, found = painted(0.0, label_noise=0.0)
    assert torch.equal(found.y, found.shape)
    assert torch.equal(found.colour, found.y)


# -- rounds -----------------------------------------------------------------------------------------------------------

CORRECT = torch.tensor([[True, True, False, False, True, False], [True, False, True, False, True, False]])
Y = torch.tensor([1.0, 1, 1, 0, 0, 0])


def test_groups_are_the_wrong_and_the_right_of_each_round():
    found = rounds.groups(CORRECT)
    assert len(found) == 4
    assert torch.equal(found[0], ~CORRECT[0])
    assert torch.equal(found[3], CORRECT[1])


def test_a_perfect_round_leaves_nothing_to_discover():
    with pytest.raises(InvalidValue, match="Round 1 is right on all 6 training pictures: nothing is left to discover"):
        rounds.groups(torch.stack([CORRECT[0], torch.ones(6, dtype=torch.bool)]))


def test_pseudo_labels_are_what_a_round_answers():
    assert rounds.pseudo_labels(CORRECT, Y).tolist() == [[1, 1, 0, 1, 0, 1], [1, 0, 1, 1, 0, 1]]


def test_half_of_the_pool_are_pictures_on_which_rounds_disagree():
    correct = torch.ones(2, 1000, dtype=torch.bool)
    correct[1, :7] = False
    rows = rounds.resampled(correct, np.random.default_rng(0))
    assert len(rows) == 1000
    assert (rows[:500] >= 7).all()
    assert (rows[500:] < 7).all()
    assert set(rows[500:].tolist()) == set(range(7))


@pytest.mark.parametrize(("correct", "kind"), [(CORRECT[:1], "disagree"), (torch.stack([Y > 0, Y == 0]), "agree")])
def test_a_pool_without_one_of_its_halves_is_refused(correct, kind):
    with pytest.raises(InvalidValue, match=f"rounds {kind} on none of the 6 training pictures"):
        rounds.resampled(correct, np.random.default_rng(0))


def test_the_overlap_has_each_rounds_share_on_its_diagonal():
    np.testing.assert_allclose(rounds.overlap(CORRECT).numpy(), [[50, 100 / 3], [100 / 3, 50]])
    assert rounds.agreement(CORRECT).tolist() == [True, False, False, True, True, True]


# -- methods ----------------------------------------------------------------------------------------------------------


def seen_of(network: Network, trained: tuple[torch.nn.Parameter, ...] = (), *, apart: float = 1.0) -> Seen:
    x = torch.rand(40, 2, 14, 14, generator=seeded()).double()
    y = (torch.rand(40, generator=seeded(1)) < 0.4).double()
    x[20:] = x[20:] * apart
    z = network(x)
    return Seen((z[:20], z[20:]), (y[:20], y[20:]), trained or tuple(network.parameters())[:-2])


def network_of(seed: int = 0) -> Network:
    network = Network(6, 2).double()
    network.reset(seeded(seed), tasks=2)
    return network


def test_the_closed_form_of_irm_is_its_gradient_by_a_scale():
    seen = seen_of(network_of())
    scale = torch.ones((), requires_grad=True, dtype=torch.float64)
    slopes = [
        torch.autograd.grad(F.binary_cross_entropy_with_logits(z * scale, y), scale)[0]
        for z, y in zip(seen.logits, seen.targets, strict=True)
    ]
    expected = (slopes[0] ** 2 + slopes[1] ** 2) / 2
    torch.testing.assert_close(ood.method("irm").penalty(seen), expected)


def test_iga_on_the_head_alone_is_the_distance_of_two_logistic_gradients():
    network = network_of()
    x, y = torch.rand(40, 2, 14, 14, generator=seeded()).double(), (torch.rand(40, generator=seeded(1)) < 0.4).double()
    features = network.features(x).detach()
    z = network.answer(features)
    seen = Seen((z[:20], z[20:]), (y[:20], y[20:]), tuple(network.head.parameters()))
    rows = torch.cat([features, torch.ones(40, 1)], 1) * (z.sigmoid() - y)[:, None]
    apart = rows[:20].mean(0) - rows[20:].mean(0)
    torch.testing.assert_close(ood.method("iga").penalty(seen), apart.square().sum() / 2)


def test_iga_treats_the_mean_gradient_as_given():
    """With it detached a step cannot lower the penalty by moving the mean: the gradients of the two differ."""
    network = network_of()
    seen = seen_of(network)
    by_method = torch.autograd.grad(ood.method("iga").penalty(seen), seen.trained, retain_graph=True)
    pulls = torch.stack(
        [torch.cat([g.flatten() for g in torch.autograd.grad(v, seen.trained, create_graph=True)]) for v in seen.losses]
    )
    distances = pulls - pulls.mean(0).detach()
    expected = torch.autograd.grad(2 * (distances.detach() * pulls).sum(), seen.trained)
    for found, wanted in zip(by_method, expected, strict=True):
        torch.testing.assert_close(found, wanted)


def test_risks_are_the_pool_the_worst_environment_and_the_sum():
    seen = seen_of(network_of(), apart=4.0)
    decay = torch.zeros(())
    found = {
        name: float(objective(ood.method(name), seen, penalty_weight=1e4, decay=decay).risk.detach())
        for name in ("erm", "group_dro", "vrex")
    }
    first, second = seen.losses.tolist()
    assert found == pytest.approx(
        {"erm": (first + second) / 2, "group_dro": max(first, second), "vrex": first + second}
    )


def test_a_weight_above_one_divides_the_whole_loss_and_a_method_without_penalty_is_not_divided():
    seen, decay = seen_of(network_of(), apart=4.0), torch.tensor(0.3)
    vrex = ood.method("vrex")
    high = objective(vrex, seen, penalty_weight=100.0, decay=decay)
    torch.testing.assert_close(high.loss, (high.risk + 0.3 + 100 * vrex.penalty(seen)) / 100)
    low = objective(vrex, seen, penalty_weight=0.5, decay=decay)
    torch.testing.assert_close(low.loss, low.risk + 0.3 + 0.5 * vrex.penalty(seen))
    dro = objective(ood.method("group_dro"), seen, penalty_weight=100.0, decay=decay)
    torch.testing.assert_close(dro.loss, dro.risk + 0.3)


@pytest.mark.parametrize(("penalty", "words"), [(torch.nan, "The penalty is nan at step 7"), (1.0, "The loss is inf")])
def test_what_is_no_number_is_said_with_its_cause(penalty, words):
    found = Objective(torch.tensor(torch.inf), torch.tensor(0.5), torch.tensor(penalty))
    with pytest.raises(WorkbenchError, match=words):
        found.check("step 7")


def test_a_strangers_penalty_is_one_file(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("def penalty(seen):\n    return seen.losses.sum() * 7\n")
    monkeypatch.setattr(ood, "__path__", [*ood.__path__, str(tmp_path)])
    parts._found.cache_clear()
    try:
        assert "mine" in ood.names()
        mine = ood.method("mine")
        assert isinstance(mine, ModuleType)
        found = objective(mine, seen_of(network_of()), penalty_weight=1.0, decay=torch.zeros(()))
        torch.testing.assert_close(found.penalty, 7 * found.risk)
    finally:
        monkeypatch.undo()
        parts._found.cache_clear()
    with pytest.raises(UnknownName, match="vrex"):
        ood.method("verx")


# -- network and looks ------------------------------------------------------------------------------------------------


def test_the_merged_head_answers_the_mean_of_the_rounds():
    network = network_of()
    features = network.features(torch.rand(9, 2, 14, 14, generator=seeded()).double())
    expected = network.answers(features, 2).mean(1)
    network.merge(2)
    torch.testing.assert_close(network.answer(features), expected)


def test_a_reset_network_is_xaviers_and_leaves_unused_heads_at_zero():
    network = Network(50, 4)
    network.reset(seeded(), tasks=3)
    bound = (6 / (392 + 50)) ** 0.5
    weight = network.inside[0].weight.detach()
    assert float(weight.abs().max()) <= bound
    assert float(weight.std()) == pytest.approx(bound / 3**0.5, rel=0.05)
    assert not network.tasks.weight[3:].any()
    assert network.tasks.weight[:3].all()
    assert not network.inside[0].bias.any()
    first = weight.clone()
    network.reset(seeded(), tasks=3)
    assert torch.equal(first, network.inside[0].weight)


def test_squares_of_all_weights_are_added():
    assert float(squared([torch.tensor([1.0, 2.0]), torch.tensor([[3.0]])])) == 14


def test_answers_of_colour_alone_follow_colour_and_not_shape():
    _, found = painted(0.5, label_noise=0.0)
    by_colour, by_shape = look.follows(found.colour - 0.5, found)
    assert by_colour == 100
    assert by_shape == pytest.approx(0, abs=5)
    assert look.follows(0.5 - found.shape, found)[1] == -100


def test_a_filter_that_is_blind_to_colour_looks_alike_above_and_below():
    weight = torch.zeros(3, 392)
    weight[0, :196] = weight[0, 196:] = torch.linspace(-1, 1, 196)
    weight[2, :196], weight[2, 196:] = 1, -1
    shown = look.filters(weight, torch.tensor([2.0, 1.0, 3.0]))
    assert shown.shape == (3, 29, 14)
    assert (shown[0, :14] == 1).all()  # the most important first: colour opponent
    assert not shown[0, 15:].any()
    np.testing.assert_array_equal(shown[1, :14], shown[1, 15:])
    assert (shown[2, 15:] == 0.5).all()


def test_a_steady_first_arm_is_above_half_of_the_others_deviation():
    def runs(*values: float):
        return [{"worst_test_acc": type("Series", (), {"values": np.array([0.0, v])})()} for v in values]

    assert steadier([runs(60, 10), runs(61, 30)]) > 0
    assert steadier([runs(50, 10), runs(65, 30)]) < 0
