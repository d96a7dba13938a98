"""The experiment as a run: what it records, that it repeats itself, and that its knobs do what they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import workbench
from workbench.cards.errors import InvalidValue, WorkbenchError
from workbench.data import order
from workbench.journal import Inbox, Reader
from workbench.methods.certified.ibp.module import Module, UnsoundError
from workbench.runs.compose import compose, configured
from workbench.runs.store import Store
from workbench.steering import worker

CARD = workbench.card("certified/ibp")
ARMS = [arm.name for arm in CARD.arms]


@pytest.fixture
def train(store: Path):
    """Train the smoke preset in this process, under a real session, and open what it recorded."""

    def run(
        arm: str = "fast", seed: int = 0, at: dict[int, dict[str, object]] | None = None, **values: object
    ) -> Reader:
        overrides = {"tracking.mlflow": False, **values}
        tree = compose("certified/ibp", arm=arm, preset="smoke", seed=seed, overrides=overrides)
        made = Store(store).create(tree)
        for step, change in (at or {}).items():
            Inbox(made.dir).issue("set", {"values": change}, at_step=step)
        assert worker.main(str(made.dir.path)) == 0, made.dir.log.read_text() if made.dir.log.exists() else ""
        reader = Reader(made.dir)
        reader.refresh()
        assert reader.state == "finished"
        return reader

    return run


def values(reader: Reader, name: str) -> list[float]:
    return reader.scalars(name).values.tolist()


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_trains_records_exactly_what_its_card_declares_and_its_errors_never_fall(train, arm: str) -> None:
    reader = train(arm)
    assert set(reader.names()) == {signal.name for signal in CARD.signals}
    assert values(reader, "clean_err") <= values(reader, "pgd_err") <= values(reader, "certified_err")
    assert len(values(reader, "loss")) == 8
    for signal in CARD.signals:
        if signal.shape == "vector":
            assert reader.arrays(signal.name).values.shape == (8, len(signal.labels)), signal.name
    shares = sum(reader.arrays(f"relu_{state}").values for state in ("active", "inactive", "unstable"))
    np.testing.assert_allclose(shares, 1, atol=1e-6)


def test_a_run_is_a_function_of_its_seed_and_looking_at_it_changes_nothing(train) -> None:
    first, again, blind = train(), train(), train(at={0: {"probes.errors": 0}})
    assert values(first, "loss") == values(again, "loss") == values(blind, "loss")
    assert values(first, "pgd_err") == values(again, "pgd_err")
    assert "clean_err" not in blind.names()
    assert values(first, "loss") != values(train(seed=1), "loss")


def test_a_moved_target_bends_the_ramp_and_a_moved_rate_moves_its_schedule(train) -> None:
    reader = train(at={2: {"epsilon": 0.2}, 6: {"epsilon": 0.05, "optimizer.lr": 1e-3}})
    eps, lr = values(reader, "eps"), values(reader, "lr")
    assert values(reader, "eps_target") == pytest.approx([0.1] * 2 + [0.2] * 4 + [0.05] * 2)
    assert eps[0] == 0
    assert eps[2] - eps[1] == pytest.approx(eps[3] - eps[2])
    assert eps[4:] == pytest.approx([0.2, 0.2, 0.05, 0.05])
    assert lr == pytest.approx([5e-4] * 4 + [1e-4] * 2 + [2e-4] * 2), "0.2 at epoch 1, then doubled with its base"


def test_the_frozen_radius_and_the_switched_off_terms_are_seen_in_the_signals(train) -> None:
    reader = train(freeze_eps=True, use_tightness=False, use_balance=False)
    assert set(values(reader, "eps")) == {0.0}
    np.testing.assert_allclose(values(reader, "loss"), values(reader, "clean_ce"))
    assert min(values(reader, "reg_tightness")) > 0, "shown even where it weighs nothing"


def test_digits_train_at_their_own_size(train) -> None:
    reader = train(data="digits")
    assert len(values(reader, "loss")) == 8


# -- without a run -----------------------------------------------------------------------------------------------------


class Alone:
    """The parts of a session that a module asks for at its construction."""

    def __init__(self, seed: int = 0) -> None:
        from workbench.steering.randomness import Streams

        self.seed, self.step, self.streams = seed, 0, Streams(seed)

    def rng(self, name: str, *keys: int | str) -> np.random.Generator:
        return self.streams.numpy(name, *keys)

    def torch_rng(self, name: str, *keys: int | str, device: str = "cpu") -> torch.Generator:
        return self.streams.torch(name, *keys, device=device)

    def register(self, **objects: object) -> None:
        pass

    def probe(self, name: str, run: object) -> None:
        pass


def a_module(arm: str = "fast", seed: int = 0, **overrides: object) -> Module:
    layers = [CARD.preset("smoke").overrides, CARD.arm(arm).overrides, overrides]
    return Module(configured(CARD, layers), Alone(seed))


def test_all_arms_of_a_seed_see_the_same_batches_and_start_from_the_same_draw() -> None:
    one, other = a_module("vanilla"), a_module("fast")
    for epoch in (0, 3):
        for module in (one, other):
            module.batches.epoch = epoch
        for a, b in zip(one.batches, other.batches, strict=True):
            assert torch.equal(a[0], b[0])
            assert torch.equal(a[1], b[1])
    assert torch.equal(a_module("vanilla_bn").network[0].weight, one.network[0].weight)
    assert not torch.equal(a_module("vanilla", seed=1).network[0].weight, one.network[0].weight)


def test_building_a_network_leaves_the_global_random_state_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    a_module()
    assert torch.equal(torch.rand(3), expected)


def test_batches_go_on_from_any_sample_and_each_epoch_has_its_own_order() -> None:
    batches = a_module(train_images=250, batch_size=64).batches
    whole = [y for _, y in batches]
    assert len(batches) == len(whole) == 4
    batches.start = 128
    assert all(torch.equal(a, b) for a, b in zip([y for _, y in batches], whole[2:], strict=True))
    batches.start, batches.epoch = 0, 1
    assert not torch.equal(next(iter(batches))[1], whole[0])


def test_a_last_batch_of_one_image_is_left_out() -> None:
    batches = a_module(train_images=65, batch_size=64).batches
    assert [len(y) for _, y in batches] == [64]
    assert len(batches) == 1
    indices = np.arange(10)
    assert [list(b) for b in order.batches(indices, 4, 2)] == [[2, 3, 4, 5], [6, 7, 8, 9]]
    for start in range(10):
        for smallest in (1, 2, 3):
            got = list(order.batches(indices, 4, start, smallest=smallest))
            assert len(got) == order.count(10, 4, start, smallest=smallest)


def test_the_probe_holds_equally_many_of_each_class_so_a_constant_guess_errs_on_exactly_nine_tenths() -> None:
    _, labels = a_module(probe_images=500).probe_set
    assert torch.bincount(labels).tolist() == [50] * 10


def test_unsound_bounds_stop_the_run_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    module = a_module().eval()
    _, labels = module.probe_set
    certain = torch.zeros(len(labels), dtype=torch.bool)
    monkeypatch.setattr(module, "verify", lambda *_: (certain, certain, None))
    with pytest.raises(UnsoundError, match="unsound"):
        module.probe()


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"epsilon": 8}, "8/255 is written 0.0314"),
        ({"epsilon": -0.1}, "between 0 and 0.4 pixel"),
        ({"epsilon": float("nan")}, "finite"),
        ({"init": "ipb"}, "must be one of default, kaiming"),
        ({"milestone_1": 9, "milestone_2": 9}, "milestone_2 must come after milestone_1"),
        ({"batch_size": 1}, "batch_size must lie between 2 and 1024"),
        ({"learning": 1}, "no control 'learning'"),
    ],
)
def test_bad_settings_are_refused_in_one_sentence(overrides: dict[str, object], words: str) -> None:
    with pytest.raises(WorkbenchError) as error:
        compose("certified/ibp", arm="fast", preset="tour", overrides=overrides)
    assert words in str(error.value)
    assert isinstance(error.value, InvalidValue) or "learning" in overrides


def test_a_ramp_longer_than_training_is_allowed_and_says_that_the_target_is_never_reached() -> None:
    with pytest.warns(UserWarning, match="eps never reaches epsilon = 0.1"):
        compose("certified/ibp", arm="fast", preset="smoke", overrides={"ramp_epochs": 50})
