"""Pass rates, the band, the bound, and drawing until a batch is full."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from workbench.cards import InvalidValue
from workbench.methods.reinforcement._shared.loop import Answered, Loop
from workbench.methods.reinforcement._shared.model import Decoder
from workbench.methods.reinforcement._shared.sampling import as_rollout
from workbench.methods.reinforcement._shared.tasks import chain
from workbench.methods.reinforcement._shared.vocabulary import EOS
from workbench.methods.reinforcement.difficulty_filter import claims
from workbench.methods.reinforcement.difficulty_filter.detect import FilterTooTight
from workbench.methods.reinforcement.difficulty_filter.draws import gather, joined
from workbench.methods.reinforcement.difficulty_filter.filter import (
    EVERYTHING,
    Band,
    best_rate,
    pass_rates,
    quadratic,
    reach,
)
from workbench.methods.reinforcement.difficulty_filter.knobs import DifficultyFilter

GROUP = 8
JOURNAL = Path(__file__).parents[3] / "golden" / "journals" / "reinforcement__difficulty_filter.npz"


def answered(right: list[int], seed: int = 0) -> Answered:
    """Prompts of which so many of 8 responses are right."""
    prompts = chain.sample(np.random.default_rng(seed), len(right), reasoning=1.0).repeat(GROUP)
    responses = torch.full((len(prompts), 1), EOS)
    rewards = np.concatenate([np.arange(GROUP) < n for n in right]).astype(float)
    return Answered(prompts, as_rollout(torch.from_numpy(prompts.tokens), responses), rewards)


# -- the bound --------------------------------------------------------------------------------------------------------


def test_the_bound_is_the_kl_to_the_tilted_policy():
    p, beta = 0.3, 0.7
    start = np.array([p / 2, p / 2, 1 - p])  # two right responses, one wrong
    best = start * np.exp(np.array([1, 1, 0]) / beta)
    best /= best.sum()
    assert reach(p, beta) == pytest.approx((start * np.log(start / best)).sum(), rel=1e-12)


def test_the_variance_is_the_bound_for_large_beta():
    p = np.linspace(0.01, 0.99, 99)
    off = np.abs(reach(p, 10) / quadratic(p, 10) - 1)
    assert (off <= np.abs(1 - 2 * p) / 30 + 0.002).all()
    assert quadratic(0.5, 2) == pytest.approx(1 / 32)


@pytest.mark.parametrize(("beta", "rate"), [(100, 0.4992), (1, 0.418), (0.5, 0.343)])
def test_the_best_pass_rate_is_one_half_for_large_beta_alone(beta, rate):
    assert best_rate(beta) == pytest.approx(rate, abs=5e-4)
    p = np.linspace(0, 1, 100_001)
    assert p[reach(p, beta).argmax()] == pytest.approx(best_rate(beta), abs=2e-4)


def test_nothing_is_to_be_learned_from_what_is_always_or_never_solved():
    assert reach([0, 1], 0.1).tolist() == [0, 0]
    assert quadratic([0, 1], 0.1).tolist() == [0, 0]


@pytest.mark.parametrize("beta", [0, -1, np.inf])
def test_beta_must_be_positive(beta):
    with pytest.raises(InvalidValue, match="must be a number above 0"):
        reach(0.5, beta)


def test_pass_rates_outside_0_to_1_are_refused():
    with pytest.raises(InvalidValue, match="from 0 to 1"):
        quadratic(1.2, 1)


# -- pass rates and the band ------------------------------------------------------------------------------------------


def test_pass_rates_are_means_of_rewards():
    assert pass_rates([[0, 1, 1, 1], [0, 0, 0, 0]]).tolist() == [0.75, 0]


def test_rewards_that_are_not_binary_are_judged_by_their_variance():
    with pytest.warns(UserWarning, match="by their variance"):
        rates = pass_rates([[0, 0, 4, 4], [4, 4, 4, 4], [0, 0, 0, 0], [2, 2, 2, 3]])
    assert rates[:3].tolist() == [0.5, 1, 0]
    assert rates[3] > 0.95


@pytest.mark.parametrize(
    ("rewards", "words"),
    [([[1], [0]], "at least 2 responses"), ([0, 1], r"must be \(N, G\)"), ([[0, np.nan]], "not finite")],
)
def test_rewards_without_a_pass_rate_are_refused(rewards, words):
    with pytest.raises(InvalidValue, match=words):
        pass_rates(rewards)


def test_the_band_includes_its_ends():
    assert Band(0.3, 0.7).holds(np.array([2, 3, 5, 7, 8]) / 10).tolist() == [False, True, True, True, False]
    assert EVERYTHING.holds([0, 1]).all()


@pytest.mark.parametrize("ends", [(0.6, 0.4), (-0.1, 0.5), (0.5, 1.1)])
def test_a_band_that_is_none_is_refused(ends):
    with pytest.raises(InvalidValue, match="0 <= t_low <= t_high <= 1"):
        Band(*ends)


@pytest.mark.parametrize(
    ("knobs", "words"),
    [
        ({"group_size": 5, "t_low": 0.45, "t_high": 0.55}, "No pass rate of 5 responses"),
        ({"group_size": 4, "minibatches": 8}, "minibatches must be at most group_size"),
    ],
)
def test_settings_that_cannot_train_are_refused(knobs, words):
    with pytest.raises(InvalidValue, match=words):
        DifficultyFilter(**knobs).validate()


# -- drawing ----------------------------------------------------------------------------------------------------------


def test_the_batch_is_full_and_inside_the_band():
    rounds = [answered([0, 8, 4]), answered([2, 8, 6]), answered([4, 4, 4])]
    found = gather(rounds.__getitem__, Band(0.25, 0.75), wanted=4, rounds=9, group=GROUP)
    assert found.kept.tolist() == [0.5, 0.25, 0.75, 0.5]
    assert found.rates.tolist() == [0, 1, 0.5, 0.25, 1, 0.75, 0.5, 0.5, 0.5]
    assert found.batch.rewards.reshape(4, GROUP).mean(1).tolist() == found.kept.tolist()
    assert len(found.batch.prompts) == len(found.batch.rollout.tokens) == 4 * GROUP
    assert (found.batch.rollout.tokens[:, :7].numpy() == found.batch.prompts.tokens).all()


def test_drawing_ends_at_the_cap():
    asked = []

    def draw(number):
        asked.append(number)
        return answered([8, 8, 3 if number else 8])

    found = gather(draw, Band(0.25, 0.75), wanted=3, rounds=3, group=GROUP)
    assert asked == [0, 1, 2]
    assert found.kept.tolist() == [0.375, 0.375]


def test_nothing_may_be_inside():
    found = gather(lambda _: answered([0, 8]), Band(0.25, 0.75), wanted=2, rounds=2, group=GROUP)
    assert found.batch is None
    assert found.kept.size == 0
    assert found.rates.tolist() == [0, 1, 0, 1]


def test_without_a_filter_the_first_draw_is_the_batch():
    first = answered([0, 8, 3])
    found = gather(lambda _: first, EVERYTHING, wanted=3, rounds=4, group=GROUP)
    assert len(found.rates) == 3
    assert torch.equal(found.batch.rollout.tokens, first.rollout.tokens)
    assert (found.batch.rewards == first.rewards).all()


def test_a_batch_is_judged_as_the_laboratory_does():
    """What is kept of two draws has the numbers of a batch that was sampled whole."""
    policy, reference = (Decoder("xs", generator=torch.Generator().manual_seed(i)) for i in (1, 2))
    loop = Loop(policy, reference, chain)
    prompts = chain.sample(np.random.default_rng(0), 4, reasoning=1.0)
    batch = loop.sample(prompts, max_new=12, temperature=0.9, generator=torch.Generator().manual_seed(3))
    mine = loop.answer(prompts, max_new=12, temperature=0.9, generator=torch.Generator().manual_seed(3))
    assert torch.equal(mine.rollout.tokens, batch.rollout.tokens)
    parts = [mine.take(np.array(rows)) for rows in ([0, 1], [2, 3])]
    found = loop.judge(joined(parts), 0.9)
    assert found.seconds == pytest.approx(mine.seconds)
    for name in ("logp", "ref_logp", "entropy", "kl"):
        torch.testing.assert_close(getattr(found, name), getattr(batch, name), rtol=0, atol=0)


# -- the claims' measurements -----------------------------------------------------------------------------------------


def run(accuracy, rollouts):
    steps = 10 * np.arange(len(accuracy))
    values = {"accuracy": accuracy, "accuracy_rollouts": rollouts}
    return {name: SimpleNamespace(values=np.array(v), steps=steps) for name, v in values.items()}


def test_how_late_a_run_reaches_the_accuracy_at_which_another_ends():
    plain = run([0.1, 0.3, 0.6, 0.6, 0.6], [0, 10, 20, 30, 40])
    quick = run([0.1, 0.5, 0.7, 0.8, 0.9], [0, 40, 80, 120, 160])
    assert claims.final(plain) == pytest.approx(0.6)
    assert claims.late_steps([quick, plain]) == pytest.approx(15 - 0.7 * 20)
    assert claims.late_rollouts([quick, plain]) == pytest.approx(60 / 20 - 1)
    assert claims.late_steps([run([0.1] * 5, [0] * 5), plain]) == pytest.approx(40 - 0.7 * 20)


# -- the detector -----------------------------------------------------------------------------------------------------


def scan(filled):
    detector = FilterTooTight()
    found = [f for step, value in enumerate(filled) for f in detector.update(step, {"filled": value})]
    return [*found, *detector.finish(len(filled))]


def test_a_filter_is_too_tight_after_five_steps_at_the_cap():
    found = scan([1, 1, 0.5, 0.5, 0.5, 0.5, 0.5])
    assert found[0].id == "filter_too_tight"
    assert found[0].first == 2
    assert "50% full" in found[0].sentence
    assert not scan([0.5] * 4 + [1] + [0.5] * 4)
    assert not scan([1.0] * 50)


def test_on_recorded_runs_the_filter_gets_too_tight_once_the_prompts_are_outgrown():
    recorded = np.load(JOURNAL)
    assert not scan(recorded["none.filled"])
    found = scan(recorded["balanced.filled"])
    assert 5 <= found[-1].first <= 30
