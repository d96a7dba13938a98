"""Recipes make the same bits again, what is shipped is what they make, and the models are as good as said."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from workbench.cards.errors import InvalidValue, StoreError, UnknownName
from workbench.data.artifacts import artifacts_home
from workbench.methods.reinforcement._shared import stages
from workbench.methods.reinforcement._shared.make_weights import MADE, judgement, quality, write
from workbench.methods.reinforcement._shared.model import Critic, Decoder
from workbench.methods.reinforcement._shared.stages import BASE, DISTILLED, INSTRUCT, REWARD_MODEL, SHIPPED
from workbench.methods.reinforcement._shared.vocabulary import EOS, NEWLINE, PAD, REASON

TINY = {"steps": 3, "batch": 4, "size": "xs"}


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


# -- making -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", [BASE, INSTRUCT, DISTILLED, REWARD_MODEL], ids=lambda r: r.stage)
def test_a_recipe_makes_the_same_bits_again_and_draws_from_its_seed_alone(recipe, monkeypatch, tmp_path):
    tiny = recipe.everywhere(**TINY)
    state = torch.random.get_rng_state()
    made = []
    for attempt, threads in enumerate((1, 2)):
        monkeypatch.setenv("WORKBENCH_ARTIFACTS", str(tmp_path / str(attempt)))
        torch.set_num_threads(threads)
        try:
            made.append(stages.weights(tiny, 1))
            assert torch.get_num_threads() == threads
        finally:
            torch.set_num_threads(1)
    assert equal(*made)
    assert (torch.random.get_rng_state() == state).all()
    assert not equal(made[0], stages.weights(tiny, 2))
    (Critic if recipe is REWARD_MODEL else Decoder)("xs").load_state_dict(made[0])
    assert all(torch.isfinite(t).all() and t.dtype == torch.float32 for t in made[0].values())


def test_what_was_made_is_kept_and_made_once(monkeypatch):
    tiny, said = INSTRUCT.everywhere(**TINY), []
    first = stages.weights(tiny, 1, say=said.append)
    assert said == [
        "Training the base model of seed 1: step 0 of 3",
        "Training the instruct model of seed 1: step 0 of 3",
    ]
    monkeypatch.setattr(stages, "make", lambda *_, **__: pytest.fail("made again"))
    again = stages.weights(tiny, 1, say=said.append)
    assert equal(first, again)
    assert len(said) == 2
    first["head.bias"].fill_(7)  # the caller's own
    assert equal(again, stages.weights(tiny, 1))


def test_a_damaged_file_is_named():
    tiny = BASE.everywhere(**TINY)
    stages.weights(tiny, 1)
    (path,) = artifacts_home().glob("*/weights.safetensors")
    path.write_bytes(b"no")
    with pytest.raises(StoreError, match=r"weights.safetensors cannot be read .* Delete their folder"):
        stages.weights(tiny, 1)


def test_every_part_of_a_recipe_and_the_seed_tell_weights_apart():
    prints = {stages.fingerprint(r, s) for r, s in MADE}
    assert len(prints) == len(MADE)
    assert stages.fingerprint(INSTRUCT, 1) != stages.fingerprint(INSTRUCT.everywhere(steps=999), 1)
    longer = INSTRUCT.everywhere()
    assert stages.fingerprint(longer, 1) == stages.fingerprint(INSTRUCT, 1)


def test_rates_warm_up_and_fall():
    pace = [stages._pace(BASE, step) for step in range(BASE.steps)]
    assert pace[0] == pytest.approx(1 / BASE.warmup)
    assert max(pace) == pace[BASE.warmup] == 1
    assert pace[-1] == pytest.approx(BASE.decay, abs=1e-4)
    assert {stages._pace(DISTILLED, step) for step in range(600)} == {1.0}


def test_larger_worlds_have_room():
    world = BASE.everywhere(**TINY, sizes=(1, 8), slots=8, context=72)
    assert stages.packed(world, np.random.default_rng(0)).shape == (4, 73)
    Decoder("xs", context=72).load_state_dict(stages.weights(world, 0))


# -- what they read ---------------------------------------------------------------------------------------------------


def test_packed_rows_start_with_a_document_and_a_third_of_them_ends():
    rows = stages.packed(BASE.everywhere(batch=400), np.random.default_rng(0))
    assert rows.shape == (400, 49)
    assert (rows[:, 0] >= REASON).all()
    assert not (rows == PAD).any()
    ends, lines = (rows == EOS).sum(), (rows == NEWLINE).sum()
    assert ends / (ends + lines) == pytest.approx(0.3, abs=0.04)


def test_the_mix_is_as_told():
    found = stages.documents(INSTRUCT, np.random.default_rng(0), 2000)
    assert np.mean([prompt[0] == REASON for prompt, _ in found]) == pytest.approx(0.5, abs=0.04)
    assert all(response[-1] == EOS for _, response in found)
    assert {prompt[0] for prompt, _ in stages.documents(DISTILLED, np.random.default_rng(0), 50)} == {REASON}


# -- what is shipped --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("recipe", "seed"), MADE, ids=lambda v: getattr(v, "stage", v))
def test_shipped_weights_are_those_of_the_recipe_and_load(recipe, seed, monkeypatch):
    name = f"{recipe.stage}-{seed}"
    assert stages.shipped()[name]["key"] == stages.fingerprint(recipe, seed)
    assert (SHIPPED / f"{name}.safetensors").stat().st_size < 450_000
    monkeypatch.setattr(stages, "make", lambda *_, **__: pytest.fail("made, though shipped"))
    reward = recipe is REWARD_MODEL
    state = stages.reward_model(seed) if reward else stages.policy(recipe.stage, seed)
    (Critic() if reward else Decoder()).load_state_dict(state)


def test_nothing_else_is_shipped():
    assert {p.name for p in SHIPPED.iterdir()} == {"weights.json", *(f"{r.stage}-{s}.safetensors" for r, s in MADE)}
    assert stages.shipped().keys() == {f"{r.stage}-{s}" for r, s in MADE}


def test_the_index_of_what_is_shipped_is_written_beside_it(monkeypatch, tmp_path):
    monkeypatch.setenv("WORKBENCH_ARTIFACTS", str(tmp_path / "kept"))
    tiny = {**TINY, "size": "s"}
    write(((BASE.everywhere(**tiny), 5), (INSTRUCT.everywhere(**tiny), 5)), tmp_path, prompts=16)
    monkeypatch.setattr(stages, "SHIPPED", tmp_path)
    stages.shipped.cache_clear()
    try:
        found = stages.shipped()
        assert found["instruct-5"]["key"] == stages.fingerprint(INSTRUCT.everywhere(**tiny), 5)
        assert 0 <= found["base-5"]["accuracy_R"] <= 1
        monkeypatch.setattr(stages, "make", lambda *_, **__: pytest.fail("made, though shipped"))
        stages.weights(BASE.everywhere(**tiny), 5)
    finally:
        stages.shipped.cache_clear()


@pytest.mark.parametrize("stage", ["base", "instruct", "distilled"])
def test_shipped_policies_are_as_good_as_measured(stage):
    found, told = quality(stages.policy(stage, 1), prompts=256, seed=5), stages.shipped()[f"{stage}-1"]
    for name in ("accuracy_R", "accuracy_C"):
        assert found[name] == pytest.approx(told[name], abs=0.13)  # four standard errors of 256
    for name in ("length_R", "length_C"):
        assert found[name] == pytest.approx(told[name], rel=0.1)


def test_the_distilled_model_thinks_long_and_is_not_certain_the_instructed_one_short():
    distilled, instruct = (stages.shipped()[f"{stage}-1"] for stage in ("distilled", "instruct"))
    assert distilled["accuracy_R"] > instruct["accuracy_R"] + 0.1
    assert distilled["length_R"] > 2 * instruct["length_R"]
    assert distilled["entropy_R"] > 0.15  # below 0.05 nats reinforcement has nothing to move
    assert distilled["accuracy_C"] < 0.05 < instruct["accuracy_C"]


def test_the_reward_model_tells_right_from_wrong_better_than_a_constant():
    found = judgement(stages.reward_model(1), stages.policy("instruct", 1), seed=5)
    assert found["mse"] < 0.8 * found["mse_of_mean"]


# -- bad requests -----------------------------------------------------------------------------------------------------


def test_bad_requests_get_a_sentence():
    with pytest.raises(UnknownName, match=r"no stage 'destilled'\. Did you mean 'distilled'"):
        stages.policy("destilled", 1)
    with pytest.raises(UnknownName, match="no model size 'xl'"):
        stages.policy("base", 1, size="xl")
    with pytest.raises(InvalidValue, match="seed of a model must be at least 0; got -1"):
        stages.policy("base", -1)
    with pytest.raises(InvalidValue, match="at least 1 step and a batch of 1; got 0 and 64"):
        stages.make(BASE.everywhere(steps=0), 1)
