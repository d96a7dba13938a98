"""Measures, fusions, strategies and pairs: what they keep, what they find, what they refuse."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from workbench.cards.errors import InvalidValue, MissingData, UnknownName
from workbench.cards.parts import names
from workbench.methods.multimodal._shared import measures, pairs, spoken
from workbench.methods.multimodal._shared.encoders import encoder
from workbench.methods.multimodal._shared.fusion import FUSIONS
from workbench.methods.multimodal._shared.knobs import PAIRS, STRATEGIES, MultimodalConfig
from workbench.methods.multimodal._shared.network import TwoModalities, check_batch, flat_gradient
from workbench.methods.multimodal._shared.strategies import arl, gblend, mmpareto, ogm_ge
from workbench.methods.multimodal._shared.strategy import InForce, Lookout, Scale
from workbench.methods.multimodal.arl.knobs import Arl

HERE = shutil.which("espeak-ng") is not None


def seeded(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def network() -> TwoModalities:
    torch.manual_seed(0)
    return TwoModalities(((6,), (4,)), 3, width=5, fusion="concat")


@pytest.mark.parametrize("name", FUSIONS)
def test_a_read_out_is_the_fusion_with_the_other_modality_silent(name):
    torch.manual_seed(0)
    fusion, a, v = FUSIONS[name](5, 3), seeded(7, 5), seeded(7, 5, seed=1)
    za, zv = fusion.readouts(a, v)
    if name == "sum":  # each head by itself: the other's bias is left out
        za, zv = za + fusion.v.bias, zv + fusion.a.bias
    torch.testing.assert_close(za, fusion(a, torch.zeros_like(v)))
    torch.testing.assert_close(zv, fusion(torch.zeros_like(a), v))
    if name != "gated":
        torch.testing.assert_close(sum(fusion.halves(a, v)), fusion(a, v))


def test_the_ratio_is_one_for_equal_logits_and_turns_over_when_they_are_exchanged():
    za, zv, y = seeded(9, 4), seeded(9, 4, seed=1), torch.arange(9) % 4
    assert measures.discrepancy(za, za, y) == pytest.approx(1)
    assert measures.discrepancy(za, zv, y) == pytest.approx(1 / measures.discrepancy(zv, za, y))


def test_targets_are_inverse_to_the_entropies_and_the_clip_bounds_them():
    assert measures.inverse_variance(1.0, 3.0) == pytest.approx((0.75, 0.25))
    assert measures.inverse_variance(1.0, 99.0, clip=0.3) == pytest.approx((0.99 / 1.29, 0.3 / 1.29))
    assert measures.mismatch(0.75, measures.inverse_variance(1.0, 3.0)[0]) == pytest.approx(0)
    assert measures.mismatch(0.8, 0.5) == pytest.approx(np.log(4))


def test_two_read_outs_that_are_certain_or_silent_share_evenly_and_nothing_is_divided_by_zero():
    assert measures.inverse_variance(0.0, 0.0, clip=0.3) == (0.5, 0.5)
    assert measures.dependence(torch.zeros(3, 2), torch.zeros(3, 2)) == (0.5, 0.5)
    sure = 1000 * torch.eye(3)
    assert arl.coefficients(sure, sure) == pytest.approx((0.5, 0.5))


def test_the_less_used_and_less_variable_modality_gets_more_and_reversed_less():
    za, zv = 3 * seeded(50, 4), seeded(50, 4, seed=1)
    c = arl.chosen("arl", za, zv, T=8, clip=0.3)
    assert sum(c) == pytest.approx(1)
    assert arl.chosen("reversed", za, zv, T=8, clip=0.3) == c[::-1]
    assert arl.chosen("arl", za, zv, T=0, clip=0.3) == arl.chosen("constant", za, zv, T=8, clip=0.3) == (0.5, 0.5)
    assert arl.chosen("off", za, zv, T=8, clip=0.3) == (0, 0)


def test_shapley_values_sum_to_the_accuracy_of_both():
    a, v = measures.shapley(90, 70, 40)
    assert (a + v, a - v) == (90, 30)


def test_scaling_features_changes_their_gradient_alone():
    x = seeded(4, 3).requires_grad_()
    y = Scale.apply(x, 1.7)
    assert torch.equal(y, x)
    y.square().sum().backward()
    torch.testing.assert_close(x.grad, 1.7 * 2 * x.detach())


def test_gradients_that_agree_are_added_and_the_mixture_of_others_harms_neither():
    g = seeded(20)
    torch.testing.assert_close(mmpareto.mixed(g, 2 * g), 1.5 * 3 * g)
    h = -0.5 * g + 0.3 * seeded(20, seed=1)
    assert measures.cosine(g, h) < 0
    found = mmpareto.mixed(g, h)
    assert float(found @ g) > 0
    assert float(found @ h) > 0
    assert float(found.norm()) >= 1.5 * float((g + h).norm()) * (1 - 1e-6)


def test_mmpareto_leaves_the_head_alone(network):
    a, v, y = seeded(8, 6), seeded(8, 4, seed=1), torch.arange(8) % 3
    out = network.outputs(network.features(a, v), y)
    strategy = mmpareto.Strategy(MultimodalConfig())
    loss = strategy.loss(out)
    strategy.before_backward(network, out)
    expected = {m: strategy.gradients[m].clone() for m in "av"}
    loss.backward()
    head = network.fusion.out.weight.grad.clone()
    strategy.after_backward(network, out)
    assert torch.equal(network.fusion.out.weight.grad, head)
    for m in "av":
        found = torch.cat([p.grad.flatten() for p in network.parameters_of(m)])
        torch.testing.assert_close(found, expected[m])


def test_the_gradient_of_a_loss_that_does_not_meet_an_encoder_is_zero(network):
    a, v, y = seeded(8, 6), seeded(8, 4, seed=1), torch.arange(8) % 3
    out = network.outputs(network.features(a, v), y)
    assert not flat_gradient(out.losses[2], network.parameters_of("a")).any()
    assert flat_gradient(out.losses[0], network.parameters_of("a")).any()


def test_the_noise_of_ogm_ge_is_as_wide_as_the_unscaled_gradient():
    strategy = ogm_ge.Strategy(MultimodalConfig())
    strategy.generator.manual_seed(0)
    gradient = 3 * seeded(200, 200)
    added = strategy.changed(gradient, 0.0)
    assert float(added.std()) == pytest.approx(float(gradient.std()), rel=0.02)


def test_blending_weighs_by_generalisation_over_overfitting_squared():
    assert gblend.blend([1.0, 1.0, 2.0], [1.0, 2.0, -1.0]) == pytest.approx((4 / 13, 1 / 13, 8 / 13))
    assert gblend.blend([0.0, 0.0, 0.0], [1.0, 1.0, 1.0]) == pytest.approx((1 / 3,) * 3)
    assert sum(gblend.blend([1.0, 0.1, 0.1], [0.0, 1.0, 1.0])) == pytest.approx(1)


def lookout() -> Lookout:
    torch.manual_seed(0)
    network = TwoModalities(((64,), (6,)), 10, width=8, fusion="concat")
    pair = pairs.load("kar_mor", 100, 50, np.random.default_rng(0))

    def rng(*keys: int | str) -> np.random.Generator:
        return np.random.default_rng([k for k in keys if isinstance(k, int)])

    return Lookout(network, pair, lambda parameters: torch.optim.SGD(parameters, 0.1), rng)


def gradient(strategy: InForce, around: Lookout) -> torch.Tensor:
    """Of all parameters, on the first 32 training samples, as the strategy leaves it."""
    now, network, rows = strategy.now, around.network, torch.arange(32)
    features = network.features(*around.pair.train.inputs(now.config, rows))
    out = network.outputs(now.scale_features(network, features), around.pair.train.y[rows])
    loss = now.loss(out)
    now.before_backward(network, out)
    network.zero_grad()
    loss.backward()
    now.after_backward(network, out)
    return torch.cat([p.grad.flatten() for p in network.parameters()])


@pytest.mark.parametrize("name", names(STRATEGIES))
def test_a_strategy_goes_on_from_its_state_to_the_bit(name):
    around, config = lookout(), Arl(method=name)
    first, second = InForce(config), InForce(config)
    first.begin(name, 0, around)
    gradient(first, around)
    kept = io.BytesIO()
    torch.save(first.state_dict(), kept)
    kept.seek(0)
    second.load_state_dict(torch.load(kept))
    if name != "ogm_ge":  # whose noise begins anew with the epoch
        first.begin(name, 1, around)
        second.begin(name, 1, around)
    assert torch.equal(gradient(first, around), gradient(second, around))
    assert first.now.weights == second.now.weights
    assert first.now.coefficients == second.now.coefficients


def test_arl_is_the_regularisers_without_coefficients_and_one_and_a_half_times_them_while_it_warms_up():
    around = lookout()
    uniform, off, warm = (InForce(c) for c in (Arl(method="uniform"), Arl(coefficients="off"), Arl()))
    plain = gradient(uniform, around)
    assert torch.equal(gradient(off, around), plain)
    encoders = sum(p.numel() for p in around.network.encoders.parameters())
    scaled = gradient(warm, around)
    torch.testing.assert_close(scaled[:encoders], 1.5 * plain[:encoders])
    torch.testing.assert_close(scaled[encoders:], plain[encoders:])
    warm.now.epoch = 6
    parted = gradient(warm, around)
    assert warm.now.coefficients[0] != warm.now.coefficients[1]
    assert not torch.equal(parted, scaled)


def test_an_unknown_strategy_suggests_the_nearest():
    with pytest.raises(UnknownName, match="Did you mean 'mmpareto'"):
        InForce(Arl(method="mmparetto"))


OWN = """
from workbench.methods.multimodal._shared import strategy

class Strategy(strategy.Strategy):
    def loss(self, out):
        self.weights = (1.0, 0.0, 2.0)
        return super().loss(out)
"""
ASK = """
from workbench.cards import card
from workbench.methods.multimodal._shared.strategy import InForce
from workbench.methods.multimodal.arl.knobs import Arl

assert "second" in card("multimodal/arl").controls["method"].choices
print(InForce(Arl(method="second")).now.__module__)
"""


def test_a_strategy_of_ones_own_is_one_file_in_another_package(tmp_path, monkeypatch):
    (tmp_path / "own_strategy.py").write_text(OWN)
    info = tmp_path / "own_strategy-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-strategy\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[{STRATEGIES}]\nsecond = own_strategy\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "own_strategy", done.stderr


@pytest.mark.parametrize(
    ("a", "v", "y", "words"),
    [
        ((3, 2), (2, 2), 3, "must have the same number of samples; got 3, 2 and 3"),
        ((1, 2), (1, 2), 1, "needs at least 2 samples; got 1"),
    ],
)
def test_batches_that_cannot_be_are_refused(a, v, y, words):
    with pytest.raises(InvalidValue, match=words):
        check_batch(torch.zeros(a), torch.zeros(v), torch.zeros(y))


def test_a_sample_that_lacks_a_modality_is_named():
    a, v, y = torch.zeros(4, 2), torch.zeros(4, 3), torch.zeros(4, dtype=torch.int64)
    v[2] = float("nan")
    with pytest.raises(InvalidValue, match=r"Sample 2 has no modality v: its input is not finite \(1 such\)"):
        pairs.Part(a, v, y, a, v)
    with pytest.raises(InvalidValue, match="the same samples; got 4 of a, 3 of v and 4 labels"):
        pairs.Part(a, v[:3], y, a, v)


@pytest.mark.parametrize("name", [p for p in PAIRS if p != "synthetic_av_digits"])
def test_parts_share_no_sample_and_the_training_part_is_standard(name):
    pair = pairs.load(name, 120, 100, np.random.default_rng(0))
    assert (len(pair.train), len(pair.valid), len(pair.test)) == (120, 100, 1000)
    grains = [{row.numpy().tobytes() for row in part.grain_a} for part in (pair.train, pair.valid, pair.test)]
    assert len(set.union(*grains)) == 1220  # a sample's own grain is its mark
    axes = (0, 2) if pair.train.a.ndim == 3 else 0
    mean, deviation = pair.train.a.mean(axes), pair.train.a.std(axes, correction=0)
    torch.testing.assert_close(mean, torch.zeros_like(mean), atol=1e-4, rtol=0)
    torch.testing.assert_close(deviation, (deviation > 0).to(deviation), atol=1e-3, rtol=0)
    again = pairs.load(name, 120, 100, np.random.default_rng(0))
    assert torch.equal(again.test.grain_v, pair.test.grain_v)


def test_every_pair_that_is_offered_can_be_loaded():
    assert set(PAIRS) == set(pairs.LOADERS)
    with pytest.raises(UnknownName, match="Did you mean 'pix_fou'"):
        pairs.load("pix_four", 1, 1, np.random.default_rng(0))
    with pytest.raises(InvalidValue, match=r"n_train must be at most \d+ with these data; got 100000"):
        pairs.load("watch", 100_000, 1, np.random.default_rng(0))


def test_inputs_get_noise_then_a_gain():
    part = pairs.Part(seeded(3, 2), seeded(3, 2), torch.zeros(3), torch.ones(3, 2), torch.ones(3, 2))
    config = MultimodalConfig()
    config.noise_a, config.gain_a, config.gain_v = 2.0, 0.5, 0.0
    a, v = part.inputs(config)
    torch.testing.assert_close(a, 0.5 * (part.a + 2))
    assert not v.any()


def test_an_encoder_takes_features_or_a_series_and_refuses_what_is_neither():
    assert encoder((7,), 5)(torch.zeros(2, 7)).shape == encoder((3, 100), 5)(torch.zeros(2, 3, 100)).shape == (2, 5)
    for shape in ((3, 20), (1, 28, 28)):
        with pytest.raises(InvalidValue, match="Flatten it"):
            encoder(shape, 5)


def test_without_the_synthesiser_its_package_is_named(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(MissingData, match="apt-get install espeak-ng"):
        pairs.load("synthetic_av_digits", 100, 100, np.random.default_rng(0))


def test_mel_filters_cover_the_range_and_a_tone_rings_in_its_band():
    filters = spoken.mel_filters(22050)
    assert filters.shape == (spoken.MELS, spoken.WINDOW // 2 + 1)
    assert (filters.max(1) > 0).all()
    t = np.arange(22050, dtype=np.float32) / 22050
    bands = [spoken.features(np.sin(2 * np.pi * f * t), 22050).reshape(spoken.MELS, -1).mean(1).argmax()
             for f in (200, 1000, 4000)]  # fmt: skip
    assert bands == sorted(set(bands))


@pytest.mark.skipif(not HERE, reason="espeak-ng is not on this machine (apt-get install espeak-ng)")
def test_spoken_digits_of_new_voices_are_understood_and_say_the_written_digit(monkeypatch):
    few = {"ACCENTS": ("en-us",), "SPEAKERS": spoken.SPEAKERS[:6], "SPEEDS": (160,), "PITCHES": (50,)}
    for name, value in few.items():
        monkeypatch.setattr(spoken, name, value)
    word, rate = spoken.say("seven", "en-us+m1", 160, 50)
    assert rate == 22050
    assert len(word) > 5000
    x = [spoken.features(*spoken.say(w, f"en-us+{who}", 160, 50)) for who in ("m1", "f2") for w in ("two", "six")]
    assert np.linalg.norm(x[0] - x[2]) < np.linalg.norm(x[0] - x[1])
    pair = pairs.load("synthetic_av_digits", 200, 50, np.random.default_rng(0))
    head = nn.Linear(pair.train.v.shape[1], 10)
    optimizer = torch.optim.Adam(head.parameters(), 1e-2)
    for _ in range(60):
        loss = nn.functional.cross_entropy(head(pair.train.v), pair.train.y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert measures.accuracy(head(pair.test.v).detach(), pair.test.y) > 60
