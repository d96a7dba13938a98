"""A moved learning rate: what was configured goes on in proportion, in every scheduler of torch."""

from __future__ import annotations

import pytest
import torch
from torch.optim import lr_scheduler as s

from workbench.cards import InvalidValue
from workbench.steering.training import Training

SCHEDULERS = {
    "none": None,
    "lambda": lambda o: s.LambdaLR(o, lambda e: 0.95**e),
    "multiplicative": lambda o: s.MultiplicativeLR(o, lambda e: 0.97),
    "step": lambda o: s.StepLR(o, 7),
    "multistep": lambda o: s.MultiStepLR(o, [5, 25]),
    "constant": lambda o: s.ConstantLR(o, total_iters=30),
    "linear": lambda o: s.LinearLR(o, total_iters=30),
    "exponential": lambda o: s.ExponentialLR(o, 0.96),
    "polynomial": lambda o: s.PolynomialLR(o, total_iters=60, power=2),
    "cosine": lambda o: s.CosineAnnealingLR(o, 50, eta_min=0.01),
    "restarts": lambda o: s.CosineAnnealingWarmRestarts(o, 13, eta_min=0.01),
    "cyclic": lambda o: s.CyclicLR(o, 0.01, 0.2, step_size_up=9, cycle_momentum=False),
    "onecycle": lambda o: s.OneCycleLR(o, 0.3, total_steps=80),
    "sequential": lambda o: s.SequentialLR(
        o, [s.LinearLR(o, total_iters=15), s.CosineAnnealingLR(o, 45, eta_min=0.001)], milestones=[15]
    ),
    "chained": lambda o: s.ChainedScheduler([s.ConstantLR(o, total_iters=10), s.ExponentialLR(o, 0.98)]),
    "plateau": lambda o: s.ReduceLROnPlateau(o, patience=3, min_lr=1e-4),
}


def rates(make, move_at: int | None, steps: int = 60) -> list[float]:
    """The effective rate of each step, with the base rate halved before step `move_at`."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(2))], lr=0.1, momentum=0.9)
    scheduler = make(optimizer) if make else None
    training = Training()
    training.register({"optimizer": optimizer, **({"schedule": scheduler} if scheduler else {})})
    seen = []
    for step in range(steps):
        if step == move_at:
            assert training.veto("optimizer.lr", 0.05) is None
            training.moved("optimizer.lr", 0.05, 0.1)
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if isinstance(scheduler, s.ReduceLROnPlateau):
            scheduler.step(1.0)
        elif scheduler:
            scheduler.step()
    return seen


@pytest.mark.parametrize("name", SCHEDULERS)
def test_after_a_move_the_rate_is_in_exact_proportion_to_the_unmoved_schedule(name):
    unmoved, moved = rates(SCHEDULERS[name], None), rates(SCHEDULERS[name], 20)
    assert moved[:20] == unmoved[:20]
    assert moved[20:] == pytest.approx([0.5 * r for r in unmoved[20:]], rel=1e-12)


def optimizer(make=torch.optim.Adam, **options):
    return make([torch.nn.Parameter(torch.zeros(2))], lr=0.1, **options)


def test_momentum_of_an_optimizer_without_momentum_is_refused():
    training = Training()
    training.register({"optimizer": optimizer()})
    assert training.veto("optimizer.momentum", 0.9) == "Adam has no momentum."


def test_a_schedule_that_is_not_torchs_is_refused_in_words():
    class Mine(s.LRScheduler):
        def get_lr(self):
            return [0.3 for _ in self.optimizer.param_groups]

    training = Training()
    made = optimizer()
    training.register({"optimizer": made, "schedule": Mine(made)})
    assert "Mine" in training.veto("optimizer.lr", 0.05)


def test_an_unregistered_schedule_is_noticed():
    training = Training()
    made = optimizer()
    s.StepLR(made, 3)
    training.register({"optimizer": made})
    assert "register(scheduler=" in training.veto("optimizer.lr", 0.05)


def test_betas_and_decay_reach_the_optimizer_and_groups_of_their_own_keep_theirs():
    weights, bias = torch.nn.Parameter(torch.zeros(2)), torch.nn.Parameter(torch.zeros(2))
    made = torch.optim.AdamW(
        [{"params": [weights]}, {"params": [bias], "weight_decay": 0.0}], lr=0.1, weight_decay=0.01
    )
    training = Training()
    training.register({"optimizer": made})
    training.moved("optimizer.beta2", 0.95, 0.999)
    training.moved("optimizer.weight_decay", 0.1, 0.01)
    assert [g["betas"] for g in made.param_groups] == [(0.9, 0.95)] * 2
    assert [g["weight_decay"] for g in made.param_groups] == [0.1, 0.0]


def test_an_optimizer_that_no_config_declares_gets_controls_of_its_own():
    training = Training()
    training.register({"optimizer": optimizer(torch.optim.SGD, momentum=0.9)})
    controls = training.implicit_controls({})
    assert set(controls) == {"optimizer.lr", "optimizer.weight_decay", "optimizer.momentum"}
    assert controls["optimizer.momentum"].default == 0.9


def test_what_has_no_state_cannot_be_registered():
    with pytest.raises(InvalidValue, match="state_dict"):
        Training().register({"thing": object()})


def test_weight_hashes_tell_two_networks_apart_and_one_network_from_nothing():
    a, b = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    first, second = Training(), Training()
    first.register({"model": a})
    second.register({"model": b})
    assert set(first.weight_hashes()) == {"model.weight", "model.bias"}
    assert first.weight_hashes() != second.weight_hashes()
    b.load_state_dict(a.state_dict())
    assert first.weight_hashes() == second.weight_hashes()
