"""The callback in a transformers Trainer of the user's own, and in TRL's GRPOTrainer."""

from __future__ import annotations

import re
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from transformers import Trainer, TrainerCallback, TrainingArguments

import workbench
from workbench.cards import MissingData, NotAllowed, UnknownName
from workbench.steering import LengthPenalty, Stopped
from workbench.steering.transformers import TransformersSteering

pytestmark = pytest.mark.filterwarnings("ignore")  # transformers, accelerate and trl deprecate much, none of it ours


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 1)
        with torch.no_grad():
            self.layer.weight.fill_(0.5)
            self.layer.bias.zero_()

    def forward(self, x, labels=None):
        return {"loss": (self.layer(x) - labels).square().mean()}


def data():
    g = torch.Generator().manual_seed(0)
    return [{"x": torch.randn(4, generator=g), "labels": torch.randn(1, generator=g)} for _ in range(24)]


def steered(tmp_path, *callbacks, steps=10, net=Net, seed=3, **options):
    """A Trainer of two epochs, shuffled, whose learning rate falls to 0 along a line."""
    arguments = TrainingArguments(
        output_dir=str(tmp_path / "out"), max_steps=steps, per_device_train_batch_size=4, learning_rate=0.01, seed=seed,
        logging_steps=1, report_to=[], save_strategy="no", disable_tqdm=True, use_cpu=True, lr_scheduler_type="linear",
    )  # fmt: skip
    trainer = Trainer(net(), arguments, train_dataset=data(), callbacks=list(callbacks))
    trainer.add_callback(workbench.TransformersSteering(trainer, mlflow=False, **options))
    return trainer


class Hook(TrainerCallback):
    """Does something where a step begins (before the steering's boundary), and keeps the rate of each step."""

    def __init__(self, **at):
        self.at = {int(name.removeprefix("step")): do for name, do in at.items()}
        self.rates = []

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step in self.at:
            self.at[state.global_step]()

    def on_step_end(self, args, state, control, **kwargs):
        time.sleep(0.025)  # a session looks for commands every 20 ms

    def on_pre_optimizer_step(self, args, state, control, optimizer=None, **kwargs):
        self.rates.append(optimizer.param_groups[0]["lr"])


def test_what_is_logged_is_recorded_at_its_step_and_a_moved_rate_moves_the_schedule(tmp_path):
    hook = Hook(step1=lambda: workbench.run().set(lr=0.02, at_step=4))
    steered(tmp_path, hook).train()
    run = workbench.run()
    assert (run.experiment, run.state, run.steps, run.seed) == ("my/trainer", "finished", 10, 3)
    assert hook.rates == pytest.approx([0.01, 0.009, 0.008, 0.007, 0.012, 0.01, 0.008, 0.006, 0.004, 0.002])
    assert run["learning_rate"].steps.tolist() == list(range(10))
    assert run["learning_rate"].values == pytest.approx(hook.rates)
    assert set(run.reader.names()) == {"loss", "grad_norm", "learning_rate"}
    assert [(i.step, i.outcome, i.new) for i in run.interventions] == [(4, "applied", {"optimizer.lr": 0.02})]
    assert run.reader.meta["exact"]["ok"]
    assert set(run.reader.meta["weights"]) == {"model.layer.weight", "model.layer.bias"}


def test_a_control_that_the_trainer_lacks_is_refused_in_words(tmp_path):
    said = []

    def ask():
        for values in ({"nonsense": 1}, {"beta": 0.1}, {"lr": 0}):
            with pytest.raises(workbench.WorkbenchError) as refused:
                workbench.run().set(values)
            said.append((type(refused.value), str(refused.value)))

    steered(tmp_path, Hook(step2=ask), steps=4).train()
    assert said[0][0] is said[1][0] is UnknownName
    assert "There is no control 'nonsense'" in said[0][1]
    assert "optimizer.weight_decay" in said[0][1]
    assert "above 0" in said[2][1]


def test_a_paused_training_stands_before_its_step_until_it_is_resumed(tmp_path):
    seen = []

    def steer():
        run = workbench.run()

        def at(state, step):
            deadline = time.monotonic() + 20
            while (run.state, trainer.state.global_step) != (state, step) and time.monotonic() < deadline:
                time.sleep(0.01)
            seen.append((run.state, trainer.state.global_step))

        at("paused", 3)
        run.do_steps(2)
        at("paused", 5)
        run.resume()

    thread = threading.Thread(target=steer)

    def pause():
        workbench.run().pause()
        thread.start()

    trainer = steered(tmp_path, Hook(step3=pause))
    trainer.train()
    thread.join()
    assert seen == [("paused", 3), ("paused", 5)]
    assert workbench.run().state == "finished"
    assert len(workbench.run()["loss"]) == 10


def test_a_stopped_training_goes_on_to_the_bits_of_one_that_was_not_stopped(tmp_path):
    """In the second epoch of shuffled data, so position, order, optimizer and schedule must all be right."""
    whole = steered(tmp_path)
    whole.train()
    uninterrupted = workbench.run()
    with pytest.raises(Stopped):
        steered(tmp_path, Hook(step0=lambda: workbench.run().stop(at_step=8))).train()
    stopped = workbench.run()
    assert (stopped.state, stopped["loss"].steps.tolist()) == ("stopped", list(range(8)))
    again = steered(tmp_path, resume=stopped.id)
    again.train()
    resumed = workbench.run(stopped.id)
    assert resumed.state == "finished"
    assert resumed["loss"].steps.tolist() == list(range(10))
    assert uninterrupted.identical_to(resumed), str(uninterrupted.identical_to(resumed))


def test_a_model_that_raises_leaves_a_failed_run(tmp_path):
    class Broken(Net):
        def forward(self, x, labels=None):
            raise RuntimeError("the labels are gone")

    with pytest.raises(RuntimeError):
        steered(tmp_path, net=Broken).train()
    assert (workbench.run().state, workbench.run().message) == ("failed", "RuntimeError: the labels are gone")


def test_several_processes_are_not_steered(tmp_path, monkeypatch):
    trainer = steered(tmp_path)
    monkeypatch.setattr(TrainingArguments, "world_size", property(lambda self: 2))
    with pytest.raises(NotAllowed, match="where one process trains; this Trainer has 2"):
        trainer.train()


def test_without_the_packages_one_sentence_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    monkeypatch.delitem(sys.modules, "workbench.steering.transformers")
    monkeypatch.delattr("workbench.steering.transformers")
    with pytest.raises(MissingData, match=r"not installed: pip install 'balance-workbench\[rl\]'\.$"):
        _ = workbench.steering.TransformersSteering


# -- TRL's GRPOTrainer ------------------------------------------------------------------------------------------------


class Kept(TrainerCallback):
    """What the trainer had of each control when a step was trained, and what its fused head divides by."""

    def __init__(self):
        self.trainer, self.had = None, []

    def on_pre_optimizer_step(self, args, state, control, **kwargs):
        t = self.trainer
        cells = dict(
            zip(t.model.forward.__func__.__code__.co_freevars, t.model.forward.__func__.__closure__, strict=True)
        )
        self.had.append({
            "beta": t.beta, "epsilon": t.epsilon_low, "epsilon_high": t.epsilon_high,
            "temperature": (t.temperature, t.generation_config.temperature, cells["temperature"].cell_contents),
        })  # fmt: skip


def brevity(completion_ids, **kwargs):
    """Something to be rewarded for beside the penalty: an even number of tokens."""
    return [float(len(ids) % 2 == 0) for ids in completion_ids]


@pytest.fixture(scope="module")
def grpo(tmp_path_factory):
    """Ten steps, two for each batch of rollouts, moved about as they go; what was had, and the run."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    from workbench.methods.reinforcement.trl import models

    home = tmp_path_factory.mktemp("grpo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_ARTIFACTS", str(home / "artifacts"))
        patch.setenv("WORKBENCH_HOME", str(home / "store"))
        model, tokenizer = models.load(models.folder("random", 1))
        kept = Kept()

        def ask():
            run = workbench.run()
            run.set(temperature=0.5, at_step=3)
            run.set(epsilon=0.1, epsilon_high=0.3, at_step=3)
            run.set(length_penalty=0.25, at_step=6)
            run.set(beta=0.3, at_step=5)
            run.set(beta=0.0, at_step=7)

        kept.trainer = trainer = GRPOTrainer(
            model=model, reward_funcs=[brevity, LengthPenalty()], processing_class=tokenizer,
            train_dataset=Dataset.from_dict({"prompt": ["R 3 4 5 _ _ =", "R 1 2 3 4 _ ="] * 10}),
            args=GRPOConfig(
                output_dir=str(home / "out"), max_steps=10, per_device_train_batch_size=8, num_generations=4,
                gradient_accumulation_steps=1, steps_per_generation=1, num_iterations=2, max_completion_length=8,
                beta=0.1, logging_steps=1, save_strategy="no", report_to="none", disable_tqdm=True, use_cpu=True,
                bf16=False, gradient_checkpointing=False, learning_rate=1e-3,
            ),
            callbacks=[kept, Hook(step0=ask)],
        )  # fmt: skip
        trainer.add_callback(TransformersSteering(trainer, mlflow=False))
        trainer.train()
        return kept.had, workbench.run()


def test_grpo_has_live_controls_of_its_own(grpo):
    had, run = grpo
    assert run.experiment == "my/grpo_trainer"
    assert {"beta", "epsilon", "epsilon_high", "temperature", "length_penalty"} <= set(run.controls)
    assert run.controls["beta"].default == 0.1
    assert [i.outcome for i in run.interventions] == ["applied"] * 5
    assert [h["epsilon"] for h in had] == [0.2] * 3 + [0.1] * 7
    assert [h["epsilon_high"] for h in had] == [0.2] * 3 + [0.3] * 7
    assert [h["beta"] for h in had] == [0.1] * 5 + [0.3] * 2 + [0.0] * 3


def test_a_temperature_waits_for_the_next_rollouts(grpo):
    had, _ = grpo
    assert [h["temperature"] for h in had] == [(1.0,) * 3] * 4 + [(0.5,) * 3] * 6


def test_a_length_penalty_is_taken_from_the_reward(grpo):
    _, run = grpo
    length, penalty = run["length"], run["rewards/length_penalty/mean"]
    assert length.steps.tolist() == penalty.steps.tolist() == [0, 2, 4, 6, 8]
    assert penalty.values == pytest.approx([0, 0, 0, -0.25 * length.values[3], -0.25 * length.values[4]])
    total = run["rewards/brevity/mean"].values + penalty.values
    assert run["reward"].values == pytest.approx(total)


def test_trl_is_recorded_under_the_names_that_detectors_know(grpo):
    _, run = grpo
    names = set(run.reader.names())
    assert {"reward", "length", "length_p10", "length_p90", "truncated", "entropy", "kl", "clipped_low", "clipped_high",
            "group_zero_std", "grad_norm", "loss", "learning_rate", "responses"} <= names  # fmt: skip
    assert not any(name.startswith("completions/") or name in ("epoch", "step_time") for name in names)
    assert run["length_p10"].values[0] <= run["length"].values[0] <= run["length_p90"].values[0]


def test_a_beta_without_a_reference_and_a_temperature_of_vllm_are_refused():
    from types import SimpleNamespace

    from workbench.steering.grpo import GRPO

    bare = SimpleNamespace(
        ref_model=None,
        use_vllm=True,
        reward_funcs=[],
        _generate_and_score_completions=None,
        model=torch.nn.Linear(1, 1),
    )
    found = GRPO(bare, lambda batch: None)
    assert "holds no reference; start with a beta above 0" in found.veto("beta", 0.1)
    assert found.veto("beta", 0.0) is None
    assert "vLLM samples here" in found.veto("temperature", 0.5)


def test_the_page_in_the_documentation_runs_as_it_stands(tmp_path, monkeypatch):
    """But for the folders, the length, and what a machine without a GPU needs."""
    from datasets import Dataset

    from workbench.methods.reinforcement.trl import models

    page = (Path(__file__).parents[2] / "docs" / "transformers.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    rows = {"prompt": ["R 3 4 5 _ _ =", "R 1 2 3 _ _ ="] * 4, "answer": [2, 6] * 4}
    Dataset.from_dict(rows).save_to_disk(tmp_path / "data")
    small = "max_steps=2, max_completion_length=6, use_cpu=True, bf16=False, disable_tqdm=True, report_to='none'"
    for before, after in (
        ("/models/Qwen3-0.6B", str(models.folder("random", 1))), ("/data/sums", str(tmp_path / "data")),
        ("max_steps=200", small),
    ):  # fmt: skip
        assert before in code
        code = code.replace(before, after)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "docs/transformers.md", "exec"), {})
    run = workbench.run()
    assert (run.experiment, run.state, run.steps) == ("my/sums", "finished", 2)
    assert {"reward", "kl", "rewards/right/mean", "rewards/length_penalty/mean"} <= set(run.reader.names())
