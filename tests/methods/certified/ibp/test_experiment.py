"""The experiment as a run: what it records, that it repeats itself, and that its knobs do what they say."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
import torch

import workbench
from workbench.cards.errors import InvalidValue, WorkbenchError
from workbench.data import order
from workbench.journal import Inbox, Reader
from workbench.methods.certified.ibp.looks import UnsoundError
from workbench.methods.certified.ibp.module import Module
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

    def isolated(self, *modules: object) -> AbstractContextManager[None]:
        from workbench.steering.randomness import unnoticed

        return unnoticed(self.seed, self.step, modules)

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
    _, labels = a_module(probe_images=500).looks.probe_set
    assert torch.bincount(labels).tolist() == [50] * 10


def test_unsound_bounds_stop_the_run_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    module = a_module().eval()
    _, labels = module.looks.probe_set
    certain = torch.zeros(len(labels), dtype=torch.bool)
    monkeypatch.setattr(module.looks, "verify", lambda *_: (certain, certain, None))
    with pytest.raises(UnsoundError, match="unsound"):
        module.looks.errors()


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


# -- losses, verifiers, networks ---------------------------------------------------------------------------------------


def test_the_loss_switches_at_the_next_epoch_and_its_coefficient_moves_at_the_next_step(train) -> None:
    moves = {1: {"loss": "sabr"}, 2: {"losses.sabr.shrink": 0.4}, 6: {"losses.sabr.shrink": 0.9}}
    reader, plain = train(at=moves), train()
    assert values(reader, "coefficient") == pytest.approx([1.0] * 4 + [0.4] * 2 + [0.9] * 2)
    assert values(reader, "loss")[:4] == values(plain, "loss")[:4]
    assert values(reader, "input_width")[4] == pytest.approx(0.4 * values(plain, "input_width")[4], rel=1e-5)


def test_a_loss_at_the_end_where_it_is_ibp_trains_as_ibp_to_the_bit(train) -> None:
    plain = values(train(), "loss")
    for name in ("mtl_ibp", "cc_ibp", "exp_ibp"):
        assert values(train(name, **{f"losses.{name}.alpha": 1.0}), "loss") == plain
    assert values(train("sabr", **{"losses.sabr.shrink": 1.0}), "loss") == plain


def test_only_the_verifiers_that_are_switched_on_are_recorded_and_their_errors_never_rise(train) -> None:
    reader = train(verifier="ibp")
    assert "verified_ibp_err" in reader.names()
    assert not {"verified_crown_ibp_err", "verified_crown_err"} & set(reader.names())
    full = train(epsilon=0.01)
    errors = [values(full, f"verified_{k}_err")[-1] for k in ("ibp", "crown_ibp", "crown", "pgd", "clean")]
    assert errors == sorted(errors, reverse=True)


def test_the_picture_shows_one_image_in_a_box_of_its_own_and_says_who_certified_it(train) -> None:
    reader = train(picture_image=3, picture_eps=0.05)
    shown = reader.array_at("picture")[1]
    low, image, high, attack = np.asarray(shown, dtype=np.float64)
    assert shown.shape == (4, 28, 28)
    np.testing.assert_allclose(low, np.clip(image - 0.05, 0, 1), atol=1e-6)
    np.testing.assert_allclose(high, np.clip(image + 0.05, 0, 1), atol=1e-6)
    assert (np.abs(attack - image) <= 0.05 + 1e-6).all()
    [said] = reader.texts("picture_verdict")
    lines = said.text.splitlines()
    assert len(lines) == 4
    assert any(word in lines[1] for word in ("certified by", "open:", "not robust", "wrong as it is"))


def test_looking_at_another_picture_changes_nothing_in_the_training(train) -> None:
    look = {3: {"picture_image": 7, "picture_eps": 0.3}}
    assert values(train(at=look), "loss") == values(train(), "loss")


@pytest.mark.parametrize("network", ["cnn7", "wide_resnet"])
def test_the_other_networks_train(train, network: str) -> None:
    reader = train(network=network, data="digits")
    relus = {"cnn7": 6, "wide_resnet": 8}[network]
    assert reader.arrays("bound_width").values.shape == (8, relus)
    assert np.isfinite(values(reader, "loss")).all()


def of_ones_own(shape: tuple[int, int, int], classes: int) -> torch.nn.Module:
    """A network that a user brings; intervals can bound all of it, CROWN cannot bound its pooling."""
    channels, height, width = shape
    return torch.nn.Sequential(
        torch.nn.Conv2d(channels, 4, 3, padding=1), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Flatten(), torch.nn.Linear(4 * (height // 2) * (width // 2), classes),
    )  # fmt: skip


def without_a_rule(shape: tuple[int, int, int], classes: int) -> torch.nn.Module:
    """A network with a layer that no rule bounds."""
    last = torch.nn.Linear(shape[1] * shape[2], classes)
    return torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.GELU(), last)


def without_a_relu(shape: tuple[int, int, int], classes: int) -> torch.nn.Module:
    """A network that has nothing to show."""
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(shape[1] * shape[2], classes))


def test_ones_own_network_trains_and_what_cannot_bound_it_is_left_out_in_words(train) -> None:
    reader = train(network="own", own_network=f"{__name__}:of_ones_own", data="digits", verifier="ibp")
    assert reader.arrays("relu_active").values.shape == (8, 1)
    module = a_module(network="own", own_network=f"{__name__}:of_ones_own", data="digits", epsilon=0.2)
    module.eval()
    images, _ = module.looks.verify_set
    module.looks.verify_set = images, module.network(images).argmax(1)
    with pytest.warns(UserWarning, match="CROWN has no rule for layer MaxPool2d at position 3"):
        module.looks.verifiers()


def test_a_layer_of_ones_own_network_without_a_rule_is_named_before_training_begins() -> None:
    with pytest.raises(WorkbenchError, match="No interval rule for layer GELU at position 2"):
        a_module(network="own", own_network=f"{__name__}:without_a_rule")
    with pytest.raises(InvalidValue, match=r"has no nn\.ReLU"):
        a_module(network="own", own_network=f"{__name__}:without_a_relu")
    with pytest.raises(InvalidValue, match="nowhere:network' cannot be imported"):
        a_module(network="own", own_network="nowhere:network")
    with pytest.raises(InvalidValue, match="go together"):
        a_module(network="own")
