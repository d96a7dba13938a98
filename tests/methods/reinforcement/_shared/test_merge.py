"""Merges equal mergekit's and plain arithmetic; files are merged as state dicts are, in little memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from workbench.cards.errors import InvalidValue, MissingData, UnknownName
from workbench.methods.reinforcement._shared import merge as merging
from workbench.methods.reinforcement._shared.merge import (
    Checkpoint,
    balanced,
    balanced_files,
    dare,
    linear,
    linearity,
    linearly_connected,
    merge,
    merge_files,
    slerp,
    ties,
)

GOLDEN = Path(__file__).parents[3] / "golden"
TIGHT = {"rtol": 1e-10, "atol": 1e-10}
FLOAT32 = {"rtol": 1e-6, "atol": 1e-6}  # in which mergekit drops


def weights(seed: int, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    """A small state dict; those of other seeds are near it."""
    start, own = torch.Generator().manual_seed(0), torch.Generator().manual_seed(seed)
    shapes = {"w": (6, 5), "norm": (5,), "scale": ()}
    state = {n: torch.randn(s, generator=start) + 0.1 * torch.randn(s, generator=own) for n, s in shapes.items()}
    return {n: t.to(dtype) for n, t in state.items()} | {"steps": torch.tensor([seed, 7])}


def generator(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# -- rules ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["merge_a", "merge_b"])
def test_every_rule_is_mergekits_or_the_papers(name):
    a = {k: torch.from_numpy(v) for k, v in np.load(GOLDEN / f"{name}.npz").items()}
    w, density, strength = a["weights"].tolist(), a["density"].tolist(), float(a["lambda"])
    t, ratios = float(a["t"]), {"a": float(a["a"]), "b": float(a["b"])}
    compared = {"weights", "density", "lambda", "t", "a", "b"}
    for k in range(sum(key.endswith("_base") for key in a)):
        base, inst, dist, third = (a[f"t{k}_{n}"] for n in ("base", "inst", "dist", "third"))
        models, masks = (inst, dist, third), a[f"t{k}_dare_masks"]
        compared |= {f"t{k}_{n}" for n in ("base", "inst", "dist", "third", "dare_masks")}

        def dropped(base=base, models=models, masks=masks, **how):  # recorded with lambda 1
            return dare(base, models, w, density, masks=masks, **how)

        found = {
            "linear_norm": linear(models, w, normalize=True),
            "linear_raw": linear(models, w),
            "bai_stage1": linear((inst, dist), (1 - ratios["a"], ratios["a"])),
            "bai_stage2": balanced({"x": base}, {"x": inst}, {"x": dist}, **ratios)["x"],
            "slerp": slerp(inst, dist, t),
            "slerp_collinear": slerp(inst, 2 * inst, t),
            "task_arithmetic": dropped(masks=torch.ones_like(masks), rescale="off", strength=strength),
            "ties": ties(base, models, w, density, strength=strength),
            "ties_unnormalized": ties(base, models, w, density, normalize=False, strength=strength),
            "dare_linear_l1": dropped(rescale="l1"),
            "dare_ties_l1": dropped(rescale="l1", elect=True),
            "dare_linear_norescale": dropped(rescale="off"),
            "dare_linear_paper": dropped(),
        }
        for key, value in found.items():
            tolerance = FLOAT32 if key.startswith("dare") and key != "dare_linear_paper" else TIGHT
            torch.testing.assert_close(value, a[f"t{k}_{key}"], **tolerance, msg=lambda m, key=key: f"{key}: {m}")
            compared.add(f"t{k}_{key}")
    assert compared == set(a)


def test_slerp_keeps_the_angle_and_ends_at_the_models():
    one, other = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    half = slerp(one, other, 0.5)
    torch.testing.assert_close(half, torch.full((2,), 0.5**0.5))
    assert torch.equal(slerp(one, other, 0.0), one)
    assert torch.equal(slerp(one, other, 1.0), other)
    torch.testing.assert_close(slerp(torch.zeros(2), other, 0.25), 0.25 * other)  # no angle: straight


def test_ties_keeps_at_least_one_element_and_counts_a_zero_sum_as_positive():
    base = torch.zeros(3)
    found = ties(base, [torch.tensor([1.0, 2.0, 3.0])], [1.0], 0.01)
    torch.testing.assert_close(found, torch.tensor([0.0, 0.0, 3.0]))
    found = ties(base, [torch.tensor([1.0, 0.0, 0.0]), torch.tensor([-1.0, 0.0, 0.0])], [0.5, 0.5], 1.0)
    torch.testing.assert_close(found, torch.tensor([1.0, 0.0, 0.0]))


def test_dare_keeps_the_mean_and_the_share():
    base, model = torch.zeros(20_000), torch.ones(20_000)
    found = dare(base, [model], [1.0], 0.25, generator=generator())
    assert set(found.unique().tolist()) == {0.0, 4.0}
    assert found.mean().item() == pytest.approx(1, abs=0.05)
    same = dare(base, [model], [1.0], 0.25, generator=generator())
    assert torch.equal(found, same)
    with pytest.raises(UnknownName, match="no way of rescaling 'l2'"):
        dare(base, [model], [1.0], 0.5, rescale="l2")


# -- state dicts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("rule", ["linear", "slerp"])
def test_all_of_the_distilled_model_is_the_distilled_model_bit_by_bit(dtype, rule):
    base, instruct, distilled = (weights(i, dtype) for i in range(3))
    distilled["norm"][0] = -0.0
    instruct["w"][0, 0] = float("inf")  # of which no share is taken
    found = balanced(base, instruct, distilled, a=1.0, b=1.0, rule=rule)
    assert list(found) == list(base)
    for name in ("w", "norm", "scale"):
        assert found[name].dtype == dtype
        assert torch.equal(*(m[name].reshape(-1).view(torch.uint8) for m in (found, distilled)))
    assert torch.equal(found["steps"], base["steps"])  # no number to be averaged


def test_the_ends_of_the_two_stages():
    base, instruct, distilled = (weights(i) for i in range(3))
    ends = {(0.0, 1.0): instruct, (1.0, 1.0): distilled, (0.3, 0.0): base}
    for (a, b), model in ends.items():
        found = balanced(base, instruct, distilled, a=a, b=b)
        assert all(torch.equal(found[n], model[n]) for n in ("w", "norm", "scale"))
    by_hand = 0.9 * (0.5 * instruct["w"] + 0.5 * distilled["w"]) + 0.1 * base["w"]
    torch.testing.assert_close(balanced(base, instruct, distilled)["w"], by_hand)


@pytest.mark.parametrize("rule", merging.RULES)
def test_the_first_stage_takes_any_rule_and_nothing_it_is_given_is_touched(rule):
    models = [weights(i) for i in range(3)]
    before = [{n: t.clone() for n, t in m.items()} for m in models]
    found = balanced(*models, a=0.4, b=0.8, rule=rule, generator=generator())
    extra = {"base": models[0]} if rule in ("ties", "dare") else {}
    middle = merge(models[1:], rule, weights=(0.6, 0.4), generator=generator(), **extra)
    for name in ("w", "norm", "scale"):
        torch.testing.assert_close(found[name], 0.8 * middle[name] + 0.2 * models[0][name])
        assert found[name].data_ptr() not in {m[name].data_ptr() for m in models}
    assert all(torch.equal(b[n], m[n]) for b, m in zip(before, models, strict=True) for n in b)


def test_draws_do_not_depend_on_the_order_of_the_tensors():
    base, model = weights(0), weights(1)
    turned = [dict(reversed(m.items())) for m in (base, model)]
    one = merge([model], "dare", base=base, generator=generator())
    other = merge([turned[1]], "dare", base=turned[0], generator=generator())
    assert list(other) == list(turned[0])
    assert all(torch.equal(one[n], other[n]) for n in one)


def test_short_dtypes_are_merged_in_float32():
    one, other = ({"w": torch.full((3,), v, dtype=torch.float16)} for v in (60000.0, 60000.0))
    found = merge([one, other])["w"]  # their sum is no float16
    assert found.tolist() == [60000.0] * 3


def test_models_that_differ_are_refused_by_the_first_tensor():
    one, other = weights(0), weights(1)
    with pytest.raises(InvalidValue, match="model 2 has a tensor extra, model 1 has none"):
        merge([one, other | {"extra": torch.zeros(1)}])
    with pytest.raises(InvalidValue, match="base has a tensor norm, distilled has none"):
        balanced(one, other, {n: t for n, t in other.items() if n != "norm"})
    with pytest.raises(InvalidValue, match=r"the shape of w is \(6, 5\) in base and \(5, 6\) in distilled"):
        balanced(one, other, other | {"w": other["w"].T})
    with pytest.raises(InvalidValue, match="the dtype of norm is float32 in base and float64 in instruct"):
        linearity(one, other | {"norm": other["norm"].double()}, other)


def test_ratios_and_weights_out_of_range_are_refused():
    one, other = weights(0), weights(1)
    for ratio in (-0.1, 1.1, float("nan")):
        for name in "ab":
            with pytest.raises(InvalidValue, match=rf"{name} must lie in \[0, 1\]"):
                balanced(one, other, other, **{name: ratio})
        with pytest.raises(InvalidValue, match=r"A weight must lie in \[0, 1\]"):
            merge([one, other], weights=(ratio, 1 - ratio))
    with pytest.raises(InvalidValue, match=r"must sum to 1; 0.5, 0.6 sum to 1.1"):
        merge([one, other], weights=(0.5, 0.6))
    with pytest.raises(InvalidValue, match="2 models to be weighted, but 1 weights"):
        merge([one, other], weights=(1.0,))
    for density in (0.0, 1.5):
        with pytest.raises(InvalidValue, match=r"density must lie in \(0, 1\]"):
            merge([one], "ties", base=other, density=density)
    with pytest.raises(InvalidValue, match="by ties needs the model they were fine-tuned from"):
        merge([one, other], "ties")
    with pytest.raises(InvalidValue, match="by linear has no use for a base"):
        merge([one, other], base=one)
    with pytest.raises(InvalidValue, match="by slerp needs exactly 2 models"):
        merge([one, other, other], "slerp")
    with pytest.raises(InvalidValue, match="nothing to merge"):
        merge([])
    with pytest.raises(UnknownName, match="no merge rule 'mean'"):
        merge([one, other], "mean")


def test_nan_is_refused_by_the_tensor_it_is_in():
    broken = weights(2)
    broken["norm"][1] = float("nan")
    with pytest.raises(InvalidValue, match="NaN in the tensor norm"):
        balanced(weights(0), weights(1), broken)
    with pytest.raises(InvalidValue, match="tensor w has 8 bits a number"):
        merge([{"w": torch.zeros(2).to(torch.float8_e4m3fn)}])


def test_how_far_apart_two_models_are_from_what_they_share():
    base, near = weights(0), weights(1)
    assert linearity(base, near, near) == 0
    assert linearity(base, base, near) == pytest.approx(1)
    assert linearity(base, base, base) == 0
    assert linearity(base, near, base) == float("inf")
    ratio, warning = linearly_connected(base, weights(1), weights(2))
    assert warning is None
    assert ratio < merging.GARBAGE
    far = {n: t + 5 if t.is_floating_point() else t for n, t in base.items()}
    ratio, warning = linearly_connected(base, far, near)
    assert f"{ratio:.1f} times" in warning
    assert "likely garbage" in warning


# -- files ------------------------------------------------------------------------------------------------------------


def saved(folder: Path, state: dict[str, torch.Tensor], shards: int = 1) -> Path:
    """A checkpoint in a folder, in one file or in several with their index."""
    folder.mkdir()
    if shards == 1:
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        return folder
    where = {name: f"model-{i % shards + 1:05}-of-{shards:05}.safetensors" for i, name in enumerate(state)}
    for part in set(where.values()):
        save_file({n: state[n] for n in state if where[n] == part}, folder / part, metadata={"format": "pt"})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    return folder


def odd(seed: int) -> dict[str, torch.Tensor]:
    """Dtypes of several widths, and numbers of elements that are no multiples of them."""
    return weights(seed) | {
        "half": weights(seed, torch.bfloat16)["w"].clone(), "double": weights(seed, torch.float64)["norm"].clone(),
        "flags": torch.tensor([True, False, True]), "empty": torch.zeros(0, 3),
    }  # fmt: skip


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("rule", merging.RULES)
def test_files_are_merged_as_state_dicts_are(tmp_path, rule, shards):
    states = [odd(i) for i in range(3)]
    paths = [saved(tmp_path / str(i), s, shards) for i, s in enumerate(states)]
    chosen = {"weights": (0.25, 0.75), "density": 0.6}
    based = rule in ("ties", "dare")
    expected = merge(states[1:], rule, base=states[0] if based else None, generator=generator(), **chosen)
    for out in (tmp_path / "out.safetensors", tmp_path / "out"):
        made = merge_files(paths[1:], out, rule, base=paths[0] if based else None, generator=generator(), **chosen)
        assert made == out
        read = Checkpoint(out)
        assert set(read) == set(expected)
        assert all(torch.equal(read[n], t) and read[n].dtype == t.dtype for n, t in expected.items())
    assert torch.equal(load_file(tmp_path / "out.safetensors")["half"], expected["half"])  # by safetensors' own reader
    assert Checkpoint(tmp_path / "out").metadata == {"format": "pt"}
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(p.name for p in paths[0].iterdir())
    if shards > 1:
        index = json.loads((tmp_path / "out" / "model.safetensors.index.json").read_text())
        assert index["metadata"]["total_size"] == sum(t.nbytes for t in expected.values())
        assert index["weight_map"] == dict(sorted(json.loads((paths[0] / "model.safetensors.index.json").read_text())
                                                  ["weight_map"].items()))  # fmt: skip


def test_two_stages_in_files_with_different_shards(tmp_path):
    states = [odd(i) for i in range(3)]
    paths = [saved(tmp_path / str(i), s, shards) for i, (s, shards) in enumerate(zip(states, (2, 1, 3), strict=True))]
    balanced_files(*paths, tmp_path / "new" / "out.safetensors", a=0.3, b=0.7)
    expected, found = balanced(*states, a=0.3, b=0.7), load_file(tmp_path / "new" / "out.safetensors")
    assert all(torch.equal(found[n], t) for n, t in expected.items())
    index = paths[0] / "model.safetensors.index.json"
    assert linearity(*(Checkpoint(p) for p in (index, *paths[1:]))) == linearity(*states)


def test_nothing_is_left_behind_where_a_merge_fails(tmp_path):
    broken = weights(1)
    broken["w"][0, 0] = float("nan")
    paths = [saved(tmp_path / "a", weights(0), 2), saved(tmp_path / "b", broken)]
    out = tmp_path / "out.safetensors"
    out.write_bytes(b"before")
    with pytest.raises(InvalidValue, match="NaN in the tensor w"):
        merge_files(paths, out)
    assert out.read_bytes() == b"before"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b", "out.safetensors"]
    with pytest.raises(InvalidValue, match="would overwrite"):
        merge_files(paths, paths[0] / "model-00001-of-00002.safetensors")
    with pytest.raises(InvalidValue, match="would overwrite"):
        merge_files(paths, paths[0])
    smaller = saved(tmp_path / "c", {n: t for n, t in weights(0).items() if n != "norm"})
    with pytest.raises(InvalidValue, match=r"a has a tensor norm, .*c has none"):
        merge_files([paths[0], smaller], out)


def test_checkpoints_that_cannot_be_read_are_refused(tmp_path):
    whole = saved(tmp_path / "whole", weights(0), 2)
    index = whole / "model.safetensors.index.json"
    with pytest.raises(MissingData, match="no safetensors checkpoint at"):
        Checkpoint(tmp_path)
    with pytest.raises(MissingData, match="no safetensors checkpoint at"):
        Checkpoint(tmp_path / "none.safetensors")
    (tmp_path / "text.safetensors").write_text("this is no checkpoint at all")
    with pytest.raises(InvalidValue, match="cannot be read as safetensors"):
        Checkpoint(tmp_path / "text.safetensors")
    where = json.loads(index.read_text())["weight_map"]
    for wrong, sentence in (
        ("[]", "no index of a checkpoint"),
        (json.dumps({"weight_map": where | {"w": "../elsewhere.safetensors"}}), "stand beside its index"),
        (json.dumps({"weight_map": where | {"new": where["w"]}}), "puts the tensor new into"),
    ):
        index.write_text(wrong)
        with pytest.raises(InvalidValue, match=sentence):
            Checkpoint(whole)
    index.write_text(json.dumps({"weight_map": where}))
    (whole / where["w"]).unlink()
    with pytest.raises(MissingData, match=f"lacks its part {where['w']}"):
        Checkpoint(whole)


# The peak of this process alone: ru_maxrss would begin with the parent's. Pages of mapped files count too.
MEASURE = """
import sys
import torch
from pathlib import Path
from workbench.methods.reinforcement._shared.merge import balanced_files
def peak():
    return next(int(l.split()[1]) for l in Path("/proc/self/status").read_text().splitlines() if l.startswith("VmHWM"))
import safetensors.torch
torch.ones(9) * 2 + 1
before = peak()
balanced_files(*sys.argv[1:5], a=0.4, b=0.8, rule=sys.argv[5])
print(peak() - before)
"""


EACH = 8  # MB of a tensor


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> list[Path]:
    """Three checkpoints of 200 MB."""
    folder, g = tmp_path_factory.mktemp("large"), generator()
    paths = [folder / f"{name}.safetensors" for name in ("base", "instruct", "distilled")]
    for path in paths:
        save_file({f"layer.{k}": torch.randn(EACH << 18, generator=g) for k in range(25)}, path)
    return paths


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("rule", ["linear", "ties"])
def test_memory_stays_at_a_few_tensors(large, tmp_path, rule):
    out = tmp_path / "out.safetensors"
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *map(str, large), str(out), rule], capture_output=True, text=True,
        env=os.environ | {"MALLOC_MMAP_THRESHOLD_": "1048576"},  # so that what is freed is given back
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    grown = int(done.stdout) / 1024
    assert EACH < grown < 20 * EACH, f"{grown:.0f} MB"  # of the 800 in the four files
    found, base, instruct, distilled = (Checkpoint(path)["layer.7"] for path in (out, *large))
    if rule == "linear":
        torch.testing.assert_close(found, 0.8 * (0.6 * instruct + 0.4 * distilled) + 0.2 * base)


def test_mergekit_is_used_only_when_asked_for(tmp_path, monkeypatch):
    paths = [saved(tmp_path / str(i), weights(i)) for i in range(3)]
    monkeypatch.setitem(sys.modules, "mergekit", None)
    merge_files(paths[:2], tmp_path / "out")
    with pytest.raises(MissingData, match="Merging with mergekit needs the package mergekit, which is not installed"):
        merge_files(paths[:2], tmp_path / "other", using="mergekit")
    with pytest.raises(InvalidValue, match=r"mergekit reads and writes whole folders.*out\.safetensors is a file"):
        merge_files(paths[:2], tmp_path / "out.safetensors", using="mergekit")
    with pytest.raises(UnknownName, match="no package that merges 'kit'"):
        merge_files(paths[:2], tmp_path / "other", using="kit")


def test_mergekit_is_given_the_same_merge(tmp_path, monkeypatch):
    paths = [tmp_path / n for n in ("base", "instruct", "distilled")]
    asked = []
    fakes = {
        "config": {"MergeConfiguration": types.SimpleNamespace(model_validate=lambda recipe: recipe)},
        "merge": {"run_merge": lambda recipe, out, options: asked.append((recipe, out, options))},
        "options": {"MergeOptions": lambda **options: options},
    }
    monkeypatch.setitem(sys.modules, "mergekit", types.ModuleType("mergekit"))
    for name, content in fakes.items():
        module = types.ModuleType(f"mergekit.{name}")
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, f"mergekit.{name}", module)
    out = tmp_path / "out"
    assert balanced_files(*paths, out, a=0.25, b=0.5, using="mergekit") == out
    merge_files(paths[1:], out, "slerp", weights=(0.6, 0.4), using="mergekit")
    merge_files(paths[1:], out, "dare", base=paths[0], density=0.3, generator=generator(5), using="mergekit")
    (two, _, _), (arc, _, _), (dropped, where, options) = asked
    assert [m["parameters"]["weight"] for m in two["models"]] == [0.5, 0.375, 0.125]
    assert two["parameters"] == {"normalize": False}
    assert (arc["merge_method"], arc["base_model"], arc["parameters"]) == ("slerp", str(paths[1]), {"t": 0.4})
    assert (dropped["merge_method"], dropped["base_model"]) == ("dare_linear", str(paths[0]))
    assert dropped["models"][0]["parameters"] == {"weight": 0.5, "density": 0.3}
    assert (where, options["random_seed"]) == (str(out), 5)
    with pytest.raises(InvalidValue, match="by linear alone"):
        balanced_files(*paths, out, rule="ties", using="mergekit")
