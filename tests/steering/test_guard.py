"""The guard: what it skips, what it leaves as it was, what comes again, and that a replay does all of it again."""

from __future__ import annotations

import math
import re
import runpy
from dataclasses import dataclass, field
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch

import workbench
from workbench.cards import SGD, Adam, Config, Guard, InvalidValue, NotAllowed, control
from workbench.cards.controls import controls_of
from workbench.runs import Store
from workbench.steering.guards import LossGuard
from workbench.steering.guards.judge import FEWEST, WINDOW, Judge
from workbench.steering.training import Training

BAD = 40  # the batch whose loss stands out


@dataclass
class Knobs(Config):
    guard: Guard = field(default_factory=Guard)
    optimizer: Adam = field(default_factory=lambda: Adam(lr=0.01))


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 1))

    def forward(self, batch):
        return (self.layers(batch["x"]).squeeze(1) - batch["y"]).square().mean()


def batch_of(step: int, bad: tuple[int, ...] = (BAD,)) -> dict:
    generator = torch.Generator().manual_seed(step)
    x = torch.randn(16, 3, generator=generator)
    return {"number": step, "x": x, "y": torch.randn(16, generator=generator) + (50.0 if step in bad else 0.0)}


@dataclass
class Seen:
    trained: list[int] = field(default_factory=list)
    passed: list[bool] = field(default_factory=list)
    states: list[dict] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)


def loop(session, config, steps=100, bad=(BAD,), until=None) -> Seen:
    """Train `Net`; what each step trained on, whether it passed, weights and buffers behind it, and the rate used."""
    net = Net()
    optimizer = torch.optim.Adam(net.parameters(), lr=config.optimizer.lr)
    session.register(model=net, optimizer=optimizer)
    session.desk.beside["run.checkpoint_every"] = 1 if until else 0
    guard, seen = session.guard(), Seen()
    for step in session.steps(steps):
        if step == until:
            raise ZeroDivisionError("as good as a crash")
        batch = guard.batch(batch_of(step, bad))
        loss = net(batch)
        passed = guard.passes(loss)
        seen.rates.append(optimizer.param_groups[0]["lr"])
        if passed:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        seen.trained.append(batch["number"])
        seen.passed.append(passed)
        moments = {f"{i}.{k}": v for i, s in optimizer.state_dict()["state"].items() for k, v in s.items()}
        seen.states.append({k: v.clone() for k, v in {**net.state_dict(), **moments}.items()})
    return seen


def run(bad=(BAD,), steps=100, **knobs):
    """A run of the loop with these knobs of the guard, and what it emitted."""
    config = Knobs(guard=Guard(**knobs))
    with workbench.session(config, experiment="my/guarded", mlflow=False, detectors=()) as session:
        seen = loop(session, config, steps, bad)
    return seen, Store.find().run(session.rundir.id).reader


def same(a: dict, b: dict) -> bool:
    return all(torch.equal(a[k], b[k]) for k in a)


def test_off_it_hands_every_batch_through_passes_every_loss_and_records_nothing():
    seen, reader = run()
    assert seen.trained == list(range(100))
    assert all(seen.passed)
    assert not [n for n in reader.names() if n.startswith("guard")]


def test_watching_it_tells_the_spike_and_changes_no_bit():
    off, _ = run()
    watched, reader = run(handler="watch")
    assert same(off.states[-1], watched.states[-1])
    scores = reader.scalars("guard_z").values
    assert scores.argmax() == BAD
    assert scores[BAD] > 6 > sorted(scores)[-2]


def test_a_skipped_batch_leaves_weights_optimizer_and_running_statistics_as_they_were():
    seen, reader = run(handler="skip")
    assert [i for i, passed in enumerate(seen.passed) if not passed] == [BAD]
    assert same(seen.states[BAD - 1], seen.states[BAD])
    assert not same(seen.states[BAD], seen.states[BAD + 1])
    assert seen.trained == list(range(100))
    assert reader.scalars("guard_skipped").values.sum() == 1


def test_a_loss_that_is_not_finite_is_skipped_from_the_first_step_on():
    training = Training()
    guard = LossGuard(training, Guard(handler="skip"), lambda: 0, lambda step: None, own=True)
    assert not guard.passes(math.nan)
    assert guard.passes(1e9)


def test_a_skipped_batch_comes_again_once_within_the_delay_in_place_of_another():
    seen, reader = run(handler="skip_retry", retry_delay=10)
    again = [i for i, number in enumerate(seen.trained) if number == BAD]
    assert len(again) == 2
    assert 1 <= again[1] - BAD <= 10
    assert again[1] not in seen.trained  # that step's own batch
    assert not seen.passed[again[1]]  # it stands out still, and does not come a third time
    assert reader.scalars("guard_retried").values.nonzero()[0].tolist() == [again[1]]
    assert reader.scalars("guard_waiting").values.max() == 1


def test_a_batch_that_stands_out_again_is_learned_at_a_lower_rate_for_that_step_alone():
    seen, _ = run(handler="skip_retry_lr", lr_backoff=0.25)
    again = [i for i, number in enumerate(seen.trained) if number == BAD][1]
    assert seen.passed[again]
    assert seen.rates[again] == pytest.approx(0.0025)
    assert {r for i, r in enumerate(seen.rates) if i != again} == {0.01}


def test_rolling_back_takes_back_the_update_before_the_spike():
    seen, reader = run(handler="skip", rollback=True)
    expected = seen.states[BAD - 2]
    # Running statistics too: they were moved by the forward pass of the update that is taken back.
    assert same(expected, seen.states[BAD])
    assert reader.scalars("guard_rolled_back").values.nonzero()[0].tolist() == [BAD]


def test_a_run_that_skips_too_much_stops_in_words():
    with pytest.raises(NotAllowed, match=r"11 % of batches are being skipped .*allows 10 %.*guard\.spike_z"):
        run(handler="skip", bad=tuple(range(40, 60)))


def test_a_lasting_new_level_is_accepted_when_it_fills_half_of_the_window():
    judge = Judge()
    for i in range(WINDOW):
        judge.score(1.0 + 0.01 * (i % 5))
    scores = [judge.score(3.0) for _ in range(WINDOW)]
    assert scores[0] > 6
    assert scores[WINDOW // 2] < 1


def test_nothing_is_judged_before_there_is_enough_to_judge_by():
    judge = Judge()
    assert [judge.score(10.0**i) for i in range(FEWEST)] == [0.0] * FEWEST


def test_a_loss_that_stands_still_has_a_scatter_of_one_per_cent():
    judge = Judge()
    for _ in range(WINDOW):
        judge.score(2.0)
    assert judge.score(2.1) == pytest.approx(5.0)


@pytest.mark.parametrize("at", [BAD + 1, BAD + 12])
def test_a_run_that_crashed_ends_as_if_nothing_had_happened(at):
    knobs = {"handler": "skip_retry_lr", "retry_delay": 10, "rollback": True}
    whole, _ = run(steps=60, **knobs)
    config = Knobs(guard=Guard(**knobs))
    with pytest.raises(ZeroDivisionError), workbench.session(config, experiment="my/guarded", mlflow=False) as session:
        loop(session, config, 60, until=at)
    # What follows the newest checkpoint goes on from it alone: a new process has no other memory.
    again = Knobs(guard=Guard(**knobs))
    with workbench.session(again, experiment="my/guarded", mlflow=False, resume=session.rundir.id) as session:
        first = session.beginning.first
        rest = loop(session, again, 60)
    assert first > BAD - 5
    assert rest.trained == whole.trained[first:]
    assert same(rest.states[-1], whole.states[-1])


def test_its_knobs_are_live_also_where_no_configuration_holds_them():
    @dataclass
    class Plain(Config):
        scale: float = control(1.0, min=0, max=10)
        optimizer: SGD = field(default_factory=lambda: SGD(lr=0.01))

    config = Plain()
    with workbench.session(config, experiment="my/plain", mlflow=False) as session:
        net = Net()
        session.register(model=net, optimizer=torch.optim.SGD(net.parameters(), lr=0.01))
        guard = session.guard()
        knobs = {n: c for n, c in session.desk.controls.items() if n.startswith("guard.")}
        assert {c.when for c in knobs.values()} == {"live"}
        assert {c.group for c in knobs.values()} == {"Guard"}
        passed = []
        for step in session.steps(60):
            if step == 30:
                session._put("guard.handler", "skip", "off")
            guard.batch(step)
            passed.append(guard.passes(100.0 if step in (25, 55) else 1.0 + step % 3))
    assert [i for i, p in enumerate(passed) if not p] == [55]


def test_asking_for_it_inside_the_loop_is_refused():
    late = workbench.session(experiment="my/late", mlflow=False)
    with pytest.raises(NotAllowed, match="before the first step"), late as session:
        for _ in session.steps(3):
            session.guard()


def test_what_it_cannot_do_with_what_is_registered_is_refused():
    guard = LossGuard(Training(), Guard(), lambda: 0, lambda step: None, own=True)
    assert "No optimizer is registered" in guard.veto("guard.handler", "skip_retry_lr")
    assert "No module is registered" in guard.veto("guard.rollback", True)
    assert guard.veto("guard.handler", "skip") is None


@pytest.mark.parametrize(("name", "value", "said"), [
    ("spike_z", 1, "guard.spike_z must lie between 3 and 20"),
    ("handler", "ignore", "guard.handler must be one of off, watch"),
    ("retry_delay", 0, "guard.retry_delay must lie between 5 and 100"),
    ("lr_backoff", 0, "guard.lr_backoff must lie between 0.1 and 1"),
    ("most_skipped", 2, "guard.most_skipped must lie between 0.01 and 1"),
])  # fmt: skip
def test_a_knob_out_of_range_is_refused(name, value, said):
    with pytest.raises(InvalidValue, match=said):
        controls_of(Knobs)[f"guard.{name}"].check(value)


class Lit(pl.LightningModule):
    def __init__(self, kind="adam"):
        super().__init__()
        self.net, self.kind, self.seen = Net(), kind, []

    def training_step(self, batch, batch_idx):
        self.seen.append(int(batch["number"]))
        return self.net(batch)

    def on_train_batch_end(self, outputs, batch, batch_idx):
        optimizer = self.optimizers().optimizer
        counted = [int(s["step"]) for s in optimizer.state.values()]
        self.last = {k: v.clone() for k, v in self.net.state_dict().items()}
        self.history = [*getattr(self, "history", []), (self.last, counted[0] if counted else 0)]

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.01)

    def train_dataloader(self):
        return torch.utils.data.DataLoader([batch_of(i) for i in range(60)], batch_size=None)


@pytest.mark.filterwarnings("ignore")
def test_in_lightning_the_callback_brings_it_and_the_module_stays_as_it_is():
    config, module = Knobs(guard=Guard(handler="skip_retry", retry_delay=5)), Lit()
    steering = workbench.Steering(config, mlflow=False)
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    pl.Trainer(max_epochs=1, callbacks=[steering], logger=False, accelerator="cpu", **quiet).fit(module)
    (before, steps_before), (after, steps_after) = module.history[BAD - 1], module.history[BAD]
    assert same(before, after)
    assert steps_before == steps_after
    again = [i for i, number in enumerate(module.seen) if number == BAD]
    assert len(again) == 2
    assert again[0] == BAD
    assert "training_step" not in module.__dict__


def test_the_page_of_the_documentation_runs_and_names_every_knob(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "guard.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    program = tmp_path / "guarded.py"
    program.write_text(code)
    runpy.run_path(str(program))
    reader = Store.find().runs()[0].reader
    skipped = reader.scalars("guard_skipped").values.nonzero()[0].tolist()
    assert skipped[0] == 50
    assert len(skipped) == 2  # once more when it is tried again
    assert set(re.findall(r"^\| `(guard\.\w+)`", page, re.MULTILINE)) == {f"guard.{n}" for n in controls_of(Guard)}
