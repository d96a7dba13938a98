"""GRPO by TRL on the models that are made here: what they are, what is rewarded, and what answers while it trains."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import workbench
from workbench.cards import InvalidValue, MissingData, NotAllowed, card
from workbench.methods.reinforcement._shared import stages
from workbench.methods.reinforcement._shared.model import Decoder
from workbench.methods.reinforcement._shared.tasks import Prompts, task
from workbench.methods.reinforcement._shared.vocabulary import AGAIN, ANSWER, EOS, FILLER, SIZE, TOKENS, parse
from workbench.methods.reinforcement.trl import models
from workbench.methods.reinforcement.trl.rewards import Rewards, words
from workbench.runs import Store, compose, launch

EXPERIMENT = "reinforcement/trl"
SMALL = {"tracking": "off", "run.checkpoint_every": 3}
pytestmark = pytest.mark.filterwarnings("ignore")  # transformers and its relatives deprecate much, none of it ours


# -- models -----------------------------------------------------------------------------------------------------------


def test_the_laboratorys_model_computes_the_same_in_gpt2s_format():
    weights = stages.policy("instruct", 1)
    ours, theirs = Decoder("s"), models.gpt2(weights)
    ours.load_state_dict(weights)
    tokens = torch.randint(0, SIZE, (4, 40), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(theirs(tokens).logits, ours(tokens), rtol=1e-5, atol=2e-5)


def test_a_model_is_made_once_and_the_seed_determines_it():
    first, again = models.folder("random", 1), models.folder("random", 1)
    assert first == again != models.folder("random", 2)
    one, tokenizer = models.load(first)
    other, _ = models.load(models.folder("random", 2))
    kept = torch.random.get_rng_state()
    same = models._random(1)
    assert torch.equal(torch.random.get_rng_state(), kept)
    state = one.state_dict()
    assert all(torch.equal(state[n], t) for n, t in same.state_dict().items())
    assert not torch.equal(state["lm_head.weight"], other.state_dict()["lm_head.weight"])
    assert tokenizer("R 3 4 5 _ _ =")["input_ids"] == parse("R 3 4 5 _ _ =")
    assert tokenizer.decode(list(range(SIZE))).split() == ["\\n" if t == "\n" else t for t in TOKENS]


def test_a_folder_without_a_model_is_refused_and_nothing_is_fetched(tmp_path):
    with pytest.raises(MissingData, match=r"no model in .*Qwen/Qwen3-0.6B .*Nothing is downloaded"):
        models.folder(str(tmp_path / "Qwen/Qwen3-0.6B"), 1)


# -- rewards ----------------------------------------------------------------------------------------------------------


def test_text_of_any_tokenizer_is_read_in_the_laboratorys_words():
    assert words("3 7 V 3 7 A 7", True) == [3, 7, AGAIN, 3, 7, ANSWER, 7, EOS]
    assert words("Adding up gives 12.\nA 2.", False) == [FILLER, FILLER, FILLER, 1, 2, ANSWER, 2]


def test_rewards_are_for_the_answer_for_its_form_and_against_length():
    made = card(EXPERIMENT).config()
    drawn = task("chain").sample(np.random.default_rng(0), 1, reasoning=1.0)
    asked = Prompts(drawn.tokens, ((7,),), drawn.kinds, drawn.sizes)
    given = Rewards(made, task("chain"), asked, [EOS])
    said = ["3 7 A 7", "A 8", "A 7", "3 7"]
    ids = [[*parse(said[0]), EOS], [*parse(said[1]), EOS], parse(said[2]), [*parse(said[3]), EOS]]
    options = {"completions": said, "completion_ids": ids, "row": [0] * 4}
    assert [f.__name__ for f in given.functions()] == ["accuracy", "form", "length_penalty"]
    assert given.accuracy(**options) == [1, 0, 0, 0]  # the third was cut off
    assert given.form(**options) == pytest.approx([0.1, 0.1, 0, 0])
    assert given.length_penalty(**options) == [0, 0, 0, 0]
    made.form, made.length_penalty = 0.5, 0.01
    assert given.form(**options) == pytest.approx([0.5, 0.5, 0, 0])
    assert given.length_penalty(**options) == pytest.approx([-0.05, -0.03, -0.02, -0.03])


# -- runs -------------------------------------------------------------------------------------------------------------


def finished(run):
    assert run.wait(240) == "finished", f"{run.message}\n{run.dir.log.read_text()[-3000:]}"
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Eight steps on the random model, in which every live control moves."""
    store = Store(tmp_path_factory.mktemp("trl") / "store")
    moves = {
        2: {"length_penalty": 0.05}, 3: {"epsilon": 0.05, "epsilon_high": 0.4}, 4: {"temperature": 0.2},
        5: {"beta": 0.5, "optimizer.lr": 1e-5},
    }  # fmt: skip
    rules = [workbench.when(step=step, then=workbench.set(values)) for step, values in moves.items()]
    overrides = {**SMALL, "steps": 8, "beta": 0.0, "rules": rules}
    return finished(launch(EXPERIMENT, arm="bold", preset="smoke", store=store, overrides=overrides))


def test_beta_epsilon_temperature_penalty_and_rate_answer_while_it_trains(run):
    assert [(i.step, i.outcome, set(i.new)) for i in run.interventions] == [
        (2, "applied", {"length_penalty"}), (3, "applied", {"epsilon", "epsilon_high"}),
        (4, "applied", {"temperature"}), (5, "applied", {"beta", "optimizer.lr"}),
    ]  # fmt: skip
    penalty, length = run["rewards/length_penalty/mean"], run["length"]
    assert length.steps.tolist() == [0, 2, 4, 6]  # a batch of rollouts serves two steps
    assert penalty.values == pytest.approx(-0.05 * length.values * [0, 1, 1, 1])
    assert run["learning_rate"].values == pytest.approx([3e-3] * 5 + [1e-5] * 3)
    # beta rose while rollouts without the reference's log-probabilities were in hand, so it waited for the next
    assert run["kl"].steps.tolist() == [6, 7]


def test_a_fork_from_a_checkpoint_between_two_uses_of_a_batch_goes_on_to_the_same_bits(run):
    assert {c.step for c in run.checkpoints} >= {3, 6}
    child = finished(run.fork(5))  # begins at 3, with a batch in hand that was used once
    assert run.identical_to(child), str(run.identical_to(child))


def test_lora_trains_and_keeps_its_own_weights_alone(tmp_path):
    overrides = {**SMALL, "steps": 4, "lora_rank": 2}
    found = finished(launch(EXPERIMENT, preset="smoke", store=Store(tmp_path / "lora"), overrides=overrides))
    hashed = found.reader.meta["weights"]
    assert hashed
    assert all("lora_" in name for name in hashed)
    child = finished(found.fork(3))
    assert found.identical_to(child), str(found.identical_to(child))


def test_what_is_decided_at_launch_cannot_move(run):
    with pytest.raises(NotAllowed):
        run.set(lora_rank=4)


@pytest.mark.parametrize(
    ("changes", "words_"),
    [
        ({"group_size": 3}, "group_size must divide batch_size; got 3 and 8"),
        ({"epsilon": 1.5}, "epsilon must lie between 0 and 1"),
    ],
)
def test_bad_settings_are_refused_before_anything_starts(changes, words_):
    with pytest.raises(InvalidValue, match=words_):
        compose(EXPERIMENT, preset="smoke", overrides=changes)


def test_a_response_longer_than_the_model_has_room_for_fails_in_words(tmp_path):
    store = Store(tmp_path / "long")
    failed = launch(EXPERIMENT, preset="smoke", store=store, overrides={**SMALL, "max_new": 100})
    assert failed.wait(240) == "failed"
    assert "max_new must be at most 57 with this model" in failed.message
