"""The stages of experts/top_p, what its mixture is made of, each control, the detectors, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import workbench
from workbench.cards import InvalidValue, card
from workbench.data.domains import CHUNK, load_domains
from workbench.detectors import scan
from workbench.methods.experts.top_p import claims
from workbench.methods.experts.top_p.detect import CapacitySaturated, NegativeSynergy, NullSink
from workbench.methods.experts.top_p.module import Experiment
from workbench.methods.experts.top_p.plan import Plan
from workbench.methods.experts.top_p.uneven import thinned, unequal
from workbench.runs import Store, launch

FOUND = card("experts/top_p")
SMALL = {**FOUND.preset("smoke").overrides, "eval_every": 100}
GATE, EVERYTHING = 10, 12  # first steps of the last two stages


def config(**values):
    made = FOUND.config()
    for name, value in {**SMALL, **values}.items():
        setattr(made, name, value)
    made.validate()
    return made


def train(between=None, seed=0, **values):
    """A short run in this process: the experiment, and the run. `between` is called behind each step."""
    made = config(**values)
    with workbench.session(made, experiment="tests/top_p", seed=seed, mlflow=False) as session:
        experiment = Experiment(made, session)
        for step in session.steps(made.steps):
            experiment.step()
            if between is not None:
                between(step, made, experiment)
    return experiment, workbench.run(session.rundir.path.name)


def state(network):
    return {n: t.clone() for n, t in network.state_dict().items()}


def changed(one, other):
    return {n for n in one if not torch.equal(one[n], other[n])}


def test_stages_follow_one_another_and_specialists_start_from_the_base():
    seen = {}

    def look(step, made, experiment):
        seen[step] = (experiment.stage, state(experiment.dense["base"]), state(experiment.dense["cpp"]))

    experiment, run = train(look)
    names = [seen[s][0] for s in range(14)]
    assert names == [n for n in (*experiment.order(), "gate", "everything") for _ in range(2)]
    assert not changed(seen[1][1], seen[13][1])  # the base stands still behind its stage
    assert not changed(seen[3][2], seen[0][2])  # a specialist, before its stage
    assert changed(seen[4][2], seen[1][1])
    assert not changed(seen[5][2], seen[13][2])
    assert run["stage"].values.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]


def test_lengths_changed_between_stages_move_those_to_come_alone():
    made = config(steps=100, base_steps=10, specialist_steps=5, gate_steps=4)
    plan = Plan(made)
    assert plan.borders == (10, 15, 20, 25, 30, 34)
    plan.began += [10, 15]
    made.base_steps, made.specialist_steps, made.gate_steps = 50, 8, 2
    assert plan.borders == (10, 15, 23, 31, 39, 41)
    assert (plan.next, plan.mixed) == (23, 39)
    again = Plan(made)
    again.load_state_dict(plan.state_dict())
    assert again.borders == plan.borders


def test_the_rate_warms_up_and_falls_in_each_dense_stage_and_once_for_the_mixture():
    plan = Plan(config(steps=200, base_steps=40, specialist_steps=20, gate_steps=10, warmup=5))
    rates = [plan.pace(step) for step in range(200)]
    for start in (0, 40, 60, 80, 100, 120):
        assert rates[start] == pytest.approx(1 / 5)
        assert rates[start + 5] == pytest.approx(1)
    assert all(rates[end] < 0.2 for end in (39, 59, 79, 99, 119, 199))
    assert rates[129] == pytest.approx(rates[130], abs=0.01)  # the gate's end is no border of the rate


@pytest.mark.parametrize("recipe", ["curriculum", "joint"])
def test_a_specialists_length_waits_for_the_next_one_and_the_bases_acts_at_once(recipe, tmp_path):
    rules = [
        {"when": {"step": 2}, "then": {"base_steps": 3}},
        {"when": {"step": 5}, "then": {"specialist_steps": 2}},
    ]
    overrides = {"recipe": recipe, "steps": 24, "base_steps": 4, "specialist_steps": 4, "rules": rules}
    run = launch(
        "experts/top_p", preset="smoke", store=Store(tmp_path / "store"), overrides={"tracking": "off", **overrides}
    )
    assert run.wait(120) == "finished", run.message
    stages = [e.step for e in run.reader.events(["stage"])]
    assert stages[:5] == [0, 3, 7, 9, 11]
    assert stages[5:] == ([13, 15] if recipe == "curriculum" else [])


def test_the_mixture_is_made_of_the_specialists_and_their_mean():
    experiment, _ = train(gate_steps=2, experts=8, n_shared=2)
    experiment.compose()
    mixture, specialists = experiment.networks["everything"], [experiment.dense[n] for n in experiment.order()[1:]]
    for at, block in enumerate(mixture.blocks):
        own = [s.blocks[at].moe.experts.up[0] for s in specialists]
        assert all(torch.equal(block.moe.experts.up[e], own[e % 4]) for e in range(8))
        torch.testing.assert_close(block.moe.shared.up[1], torch.stack(own).mean(0))
    mean = torch.stack([s.embedding.weight for s in specialists]).mean(0)
    torch.testing.assert_close(mixture.embedding.weight, mean)


@pytest.mark.parametrize("frozen", [True, False])
def test_in_the_gates_stage_gate_and_shared_experts_alone_learn_unless_told_otherwise(frozen):
    at = {}

    def look(step, made, experiment):
        at[step] = state(experiment.networks["everything"])

    train(look, freeze_experts_in_warmup=frozen)
    moved = changed(at[GATE], at[GATE + 1])
    assert {n for n in at[0] if ".router." in n or ".shared." in n} <= moved
    assert (moved == {n for n in at[0] if ".router." in n or ".shared." in n}) == frozen
    assert any("embedding" in n for n in changed(at[EVERYTHING - 1], at[EVERYTHING + 1]))


def test_specialists_beside_a_joint_mixture_are_those_of_the_curriculum():
    """The same seed, so the same reference."""
    one, other = train()[0], train(recipe="joint", top_p=0.0)[0]
    for name in one.order():
        assert not changed(state(one.dense[name]), state(other.dense[name]))
    assert list(other.networks) == ["everything"]


def test_a_joint_run_that_goes_on_from_a_specialists_stage_ends_with_the_same_bits(tmp_path):
    run = launch(
        "experts/top_p", arm="joint", preset="smoke", store=Store(tmp_path / "store"),
        overrides={"tracking": "off", "run.checkpoint_every": 3},
    )  # fmt: skip
    assert run.wait(120) == "finished", run.message
    child = run.fork(5)
    assert child.wait(120) == "finished", child.message
    compared = run.identical_to(child)
    assert compared, str(compared)


def test_operations_count_routed_experts_that_ran_and_no_null_ones():
    """One expert of 32 hidden units, width 32: 2 · 32² weights a layer, 6 operations each for 16 · 16 bytes."""
    spent, expert = {}, 2 * 6 * 16 * 16 * 2 * 32 * 32

    def look(step, made, experiment):
        spent[step] = (experiment.cost(), experiment.routed)

    train(look)
    (gate, ran), (dense, _) = spent[GATE], spent[0]
    router = 6 * 16 * 16 * 2 * 6 * 32  # rows: 4 routed, 1 null, 1 shared
    assert 1 <= ran <= 4
    assert gate - dense == pytest.approx((ran + 1 - 1) * expert + router)


def test_synergy_is_the_specialists_loss_minus_the_mixtures():
    run = train(eval_every=12)[1]
    at = run["synergy"]
    assert at.steps[0] == 12
    bits = run["specialist_bpb"].values[0] - run["bpb"].values[list(run["bpb"].steps).index(12)]
    np.testing.assert_allclose(at.values[0], bits * np.log(2), atol=1e-5)
    assert run["worst_synergy"].values[0] == pytest.approx(at.values[0].min())


def test_numbers_by_domain_are_shares_and_follow_top_p_live():
    def greedy(step, made, experiment):
        made.top_p = 1.0 if step >= EVERYTHING - 1 else 0.05

    _, run = train(greedy, eval_every=12, top_p=0.05)
    numbers, mean = run["numbers"].values, run["domain_number"].values
    np.testing.assert_allclose(numbers.sum(-1), 1, atol=1e-6)
    np.testing.assert_allclose((numbers * np.arange(1, 6)).sum(-1), mean, atol=1e-5)
    assert (mean[-1] > 4.9).all()
    assert run["number"].values[0] == pytest.approx(1)
    assert (run["active"].values <= run["number"].values + 1 + 1e-6).all()


def test_a_fixed_number_of_experts_is_top_k():
    def fewer(step, made, experiment):
        made.top_k = 1 if step >= 5 else 3

    run = train(fewer, recipe="balanced", top_p=0.0, top_k=3)[1]
    assert run["number"].values.tolist() == [3.0] * 6 + [1.0] * 8


def test_texts_are_as_unequal_as_asked_and_joint_batches_follow_them():
    found = unequal(load_domains(), 12.0)
    sizes = [len(d.train) for d in found]
    assert sizes[0] / sizes[-1] == pytest.approx(12, rel=0.05)
    assert sizes == sorted(sizes, reverse=True)
    assert len(unequal(load_domains(), 1.0)[0].train) == sizes[0]
    experiment = train(recipe="joint", top_p=0.0, batch_size=256, imbalance=12.0)[0]
    drawn = np.bincount(experiment.draw(0).domain, minlength=4) / 256
    np.testing.assert_allclose(drawn, np.array(sizes) / sum(sizes), atol=0.1)
    small = load_domains(size=50_000)
    with pytest.raises(InvalidValue, match="leaves the domain tables with 900 bytes; at least 4096 are needed: lower"):
        unequal(small, len(small[0].train) / 900)


def test_what_is_left_of_a_domain_comes_from_all_over_it():
    text = np.repeat(np.arange(100, dtype=np.uint8), CHUNK)
    left = thinned(text, 5 * CHUNK)
    assert np.unique(left).tolist() == [0, 24, 49, 74, 99]
    assert thinned(text, len(text)) is text


def test_the_gate_sees_equally_many_sequences_from_as_many_bytes_of_each_domain():
    experiment, _ = train()
    small, all_of_it = (experiment.text(3, balanced=True, small=s) for s in (True, False))
    assert np.bincount(small.domain).tolist() == [4, 4, 4, 4]
    assert not torch.equal(small.tokens, all_of_it.tokens)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"experts": 6}, "experts must be a multiple of the 4 domains"),
        ({"top_p": 0.0, "top_k": 5}, "top_k must not exceed experts; got 5 of 4"),
        ({"steps": 12}, r"must be more than base_steps, .* together \(12\); got 12"),
        ({"domains": ("python",)}, "at least two"),
    ],
)
def test_impossible_settings_are_refused(values, words):
    with pytest.raises(InvalidValue, match=words):
        config(**values)


@pytest.mark.parametrize(("name", "value"), [("top_p", 1.1), ("experts", 0), ("n_null", -1), ("jitter", 0.5)])
def test_controls_refuse_what_is_out_of_range(name, value):
    with pytest.raises(InvalidValue, match=name):
        FOUND.controls[name].check(value)


def columns(**values):
    return {n: (np.arange(len(v)), np.asarray(v, float)) for n, v in values.items()}


def test_a_number_that_is_constant_and_choices_that_flee_to_null_experts_are_told():
    for number, fires in ((4.5, True), (1.05, True), (2.5, False)):
        assert bool(list(scan(columns(number=np.full(110, number)), [CapacitySaturated()]))) == fires
    fixed = columns(number=np.full(110, 1.0), top_p=np.zeros(110))
    assert not list(scan(fixed, [CapacitySaturated()]))
    assert list(scan(columns(null_share=np.full(110, 0.7)), [NullSink()]))
    assert not list(scan(columns(null_share=np.full(110, 0.5)), [NullSink()]))


def test_a_domain_that_is_served_worse_than_by_its_specialist_is_named():
    synergy = np.tile([0.3, 0.2, 0.1, -0.2], (5, 1))
    synergy[-1, -1] = 0.1
    (found,) = scan(columns(worst_synergy=synergy.min(1), synergy=synergy), [NegativeSynergy()])
    assert "the domain tables worse than a network of its own would, by 0.20 nats a byte" in found.sentence
    assert (found.first, found.last) == (0, 3)
    assert not list(scan(columns(worst_synergy=np.full(9, -0.04)), [NegativeSynergy()]))
    assert not list(scan(columns(worst_synergy=np.full(3, -0.2)), [NegativeSynergy()]))


class Recorded(dict):
    """What a claim's function reads of a run."""

    def __getitem__(self, name):
        return type("Series", (), {"values": np.array(super().__getitem__(name))})


def test_the_claims_read_the_ends_of_runs():
    good = Recorded(synergy=[[9.0, -9.0], [0.3, 0.01]], domain_number=[[9.0, 1.0], [2.5, 3.0]])
    bad = Recorded(synergy=[[9.0, 9.0], [0.3, -0.06]])
    assert claims.smallest(good) == 0.01
    assert claims.rescued([good, bad])
    assert not claims.rescued([bad, bad])
    assert not claims.rescued([good, good])
    assert claims.spread(good) == 0.5
