"""The whole experiment: exact inside a task, arms on the same data, what is refused, what is shown."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from workbench.cards import card
from workbench.cards.errors import InvalidValue, MissingData
from workbench.cards.parts import names
from workbench.methods.continual._shared.parts import STRATEGIES
from workbench.methods.continual.adab2n import claims
from workbench.methods.continual.adab2n.card import AdaB2NConfig
from workbench.methods.continual.adab2n.module import Experiment, train
from workbench.runs import Store, compose, launch
from workbench.signals import listen
from workbench.steering.randomness import Streams, unnoticed

SMALL = {
    "steps": 10, "steps_per_task": 2, "images_per_task": 40, "width": 4, "groups": 4, "buffer_size": 50,
    "probe_images": 20, "statistics_images": 8, "test_images": 20,
}  # fmt: skip


class Bare:
    """A session without a run: steps one after another, random streams of a seed."""

    def __init__(self, seed: int = 0) -> None:
        self.seed, self.step, self.stages = seed, 0, []
        self._streams = Streams(seed)
        self.rng, self.torch_rng = self._streams.numpy, self._streams.torch
        self.probes = {}
        self.registered = {}

    def steps(self, total):
        for self.step in range(total):
            yield self.step

    def stage(self, name, index):
        self.stages.append((self.step, name, index))

    def register(self, **objects):
        self.registered.update(objects)

    def probe(self, name, run):
        self.probes[name] = run

    def isolated(self):
        return unnoticed(self.seed, self.step, (self.registered["model"],))


@pytest.fixture
def emitted():
    """Signal → values, of everything emitted in the test."""
    found: dict[str, list] = {}

    def keep(name, value):
        plain = value.detach().numpy() if isinstance(value, torch.Tensor) else value
        found.setdefault(name, []).append(np.array(plain))

    listen(keep)
    yield found
    listen(None)


def config(**changes) -> AdaB2NConfig:
    made = AdaB2NConfig(**{**SMALL, **changes})
    made.validate()
    return made


@pytest.mark.parametrize("strategy", names(STRATEGIES))
@pytest.mark.parametrize("norm", ["bn", "adab2n"])
def test_every_strategy_trains_with_batch_norm_and_with_adab2n(strategy, norm, emitted):
    train(config(strategy=strategy, norm=norm), Bare())
    assert len(emitted["loss"]) == 10
    assert np.isfinite(emitted["loss"]).all()
    assert [m.shape for m in emitted["accuracy_matrix"]] == [(t, 5) for t in range(1, 6)]
    assert [int(t) for t in emitted["task"]] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert ("bn_gap" in emitted) == (norm == "adab2n")


def test_the_stages_are_the_tasks_borders():
    session = Bare()
    train(config(norm="gn"), session)
    assert session.stages == [(2 * k, "task", k) for k in range(5)]


def test_a_stream_shortened_at_a_border_ends_the_run_early(emitted):
    now, session = config(), Bare()
    plain = session.stage

    def stage(name, index):
        plain(name, index)
        if index == 3:
            now.steps_per_task = 1

    session.stage = stage
    train(now, session)
    assert len(emitted["loss"]) == 8
    assert len(emitted["accuracy_matrix"]) == 5


def test_arms_of_a_seed_begin_with_the_same_weights_and_keep_the_same_images_in_the_buffer():
    buffers, weights = [], []
    for norm, strategy in (("bn", "er_ace"), ("adab2n", "derpp")):
        session = Bare(3)
        experiment = Experiment(config(norm=norm, strategy=strategy, buffer_size=50), session)
        weights.append(experiment.network[0].weight.detach().clone())
        for step in range(10):
            experiment.step(step)
        buffers.append(experiment.buffer.state_dict()["images"].clone())
    assert torch.equal(*weights)
    assert torch.equal(*buffers)


def test_looking_changes_nothing(emitted):
    ends = []
    for look in (False, True):
        session = Bare()
        experiment = Experiment(config(), session)
        for step in range(6):
            session.step = step
            if look:
                for probe in session.probes.values():
                    with session.isolated():
                        probe()
            experiment.step(step)
        ends.append({k: v.clone() for k, v in experiment.network.state_dict().items()})
    assert all(torch.equal(ends[0][k], ends[1][k]) for k in ends[0])


def test_the_newest_task_weighs_more_with_separate_forwards_than_with_a_joint_one():
    """Whole runs of the real thing, 30 steps a task: the order of arms in the picture of recency bias."""
    newest = {}
    for norm in ("bn", "adab2n"):
        experiment = Experiment(config(norm=norm, steps_per_task=30, steps=150, kappa=1.0), Bare())
        for step in range(150):
            experiment.step(step)
        newest[norm] = float(experiment.learner.window.mass[-1])
    assert newest["adab2n"] < newest["bn"] - 0.03


@pytest.mark.parametrize("claim", [c for c in card("continual/adab2n").claims if c.quick], ids=lambda c: c.id)
def test_the_mechanism_of_the_window(claim):
    for seed in claim.seeds:
        assert getattr(claims, claim.metric.partition(":")[2])(seed) is True


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with checkpoints inside its tasks, of the strategy with the most state."""
    store = Store(tmp_path_factory.mktemp("adab2n") / "store")
    made = launch(
        "continual/adab2n", preset="smoke", store=store,
        overrides={"strategy": "derpp", "run.checkpoint_every": 7, "tracking": "off"},
    )  # fmt: skip
    assert made.wait(240) == "finished", made.message
    return made


def test_a_fork_inside_a_task_goes_on_to_the_same_bits(run):
    child = run.fork(7)  # tasks are 3 steps long: the second step of the third task
    assert child.wait(240) == "finished", child.message
    assert run.identical_to(child), str(run.identical_to(child))


def test_a_kappa_moved_inside_a_task_shortens_the_windows_steps_from_there_on(run):
    child = run.fork(7, kappa=0.0)
    assert child.wait(240) == "finished", child.message
    mine, theirs = (r.reader.scalars("bn_eta").values for r in (run, child))
    assert len(theirs) == 15 - 7
    assert (theirs < mine[7:]).all()


# -- refused ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kappa": 1.2}, "kappa must lie between 0 and 1"),
        ({"gap_weight": -0.1}, "gap_weight must lie between 1e-05 and 10"),
        ({"bn_momentum": 0}, r"bn_momentum must lie between 0\.01 and 0\.5"),
        ({"replay_batch": 64, "buffer_size": 50}, "replay_batch must not exceed buffer_size; got 64 and 50"),
        ({"norm": "cn", "width": 4, "groups": 8}, "groups must divide width"),
        ({"batch_size": 40, "images_per_task": 20}, "batch_size must not exceed images_per_task"),
        ({"norm": "adabn"}, "norm must be one of adab2n"),
        ({"strategy": "icarl"}, "strategy must be one of er_ace"),
    ],
)
def test_bad_settings_are_refused_before_the_first_step(changes, words):
    with pytest.raises(InvalidValue, match=words):
        compose("continual/adab2n", preset="smoke", overrides=changes)


def test_a_run_too_short_for_its_stream_is_warned_of():
    with pytest.warns(UserWarning, match="stream takes 10 steps"):
        config(steps=7)


def test_a_stream_that_is_not_here_is_refused_with_its_file(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    with pytest.raises(MissingData, match=r"cifar-10-binary\.tar\.gz"):
        Experiment(config(stream="split_cifar10"), Bare())
