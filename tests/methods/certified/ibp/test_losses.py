"""The losses between attack and bounds: golden vectors, and what must hold for every one of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.methods.certified.ibp.test_golden import GOLDEN, TIGHT, load
from tests.methods.certified.ibp.test_interval import a_network, images_of
from workbench.methods.certified.ibp import crown, latent
from workbench.methods.certified.ibp.attack import strongest
from workbench.methods.certified.ibp.graph import NoBoundRuleError
from workbench.methods.certified.ibp.interval import margins_of
from workbench.methods.certified.ibp.loss import Loss, found
from workbench.methods.certified.ibp.scene import Scene

LOSSES = found()
#: Coefficients at which a loss is IBP, and those at which it is adversarial training.
AS_IBP = {
    "ibp": {}, "mtl_ibp": {"alpha": 1.0}, "cc_ibp": {"alpha": 1.0}, "exp_ibp": {"alpha": 1.0}, "sabr": {"shrink": 1.0},
    "crown_ibp": {"beta_start": 0.0, "beta_end": 0.0},
}  # fmt: skip
AS_ATTACK = {"mtl_ibp": {"alpha": 0.0}, "cc_ibp": {"alpha": 0.0}, "exp_ibp": {"alpha": 0.0}, "sabr": {"shrink": 0.0}}
MIDDLE = {"mtl_ibp": {"alpha": 0.4}, "cc_ibp": {"alpha": 0.4}, "exp_ibp": {"alpha": 0.4}, "sabr": {"shrink": 0.4}}


def a_scene(kind: str = "full", seed: int = 0, eps: float = 0.05, target: float = 0.1, **options: object) -> Scene:
    """A batch of 6 small images and a network of that kind, in train mode, with attacks that repeat themselves."""
    images, labels = images_of(seed)
    return Scene(
        a_network(kind, seed), images, labels, eps, target,
        generator=lambda: torch.Generator().manual_seed(seed), **options,
    )  # fmt: skip


def step(loss: Loss, scene: Scene) -> tuple[Tensor, list[Tensor]]:
    """The loss and its gradient to every weight."""
    value = loss.value(scene)
    return value.detach(), list(torch.autograd.grad(value, list(scene.network.parameters()), allow_unused=True))


# -- golden vectors ----------------------------------------------------------------------------------------------------

EXPRESSIVE = dict(np.load(GOLDEN / "certified_expressive.npz"))


def golden_scene() -> Scene:
    golden = load(str(EXPRESSIVE["source"]).removeprefix("certified_").removesuffix(".npz"))
    eps = float(EXPRESSIVE["eps"])
    given = torch.tensor(EXPRESSIVE["x_adv"])
    return Scene(golden.network.eval(), golden.images, golden.labels, eps, eps, attacker=lambda *_: given)


@pytest.mark.parametrize("name", ["mtl_ibp", "cc_ibp", "exp_ibp"])
def test_mixed_losses_are_those_of_the_published_formulas(name: str) -> None:
    for alpha, want in zip(EXPRESSIVE["coefficients"], EXPRESSIVE[name], strict=True):
        got = LOSSES[name](alpha=float(alpha)).value(golden_scene())
        np.testing.assert_allclose(got.item(), want, err_msg=f"alpha {alpha}", **TIGHT)


def test_the_small_box_its_margins_and_its_loss_are_those_of_the_published_formulas() -> None:
    for k, shrink in enumerate(EXPRESSIVE["shrinks"]):
        scene = golden_scene()
        got = LOSSES["sabr"](shrink=float(shrink)).value(scene)
        np.testing.assert_allclose(got.item(), EXPRESSIVE["sabr_loss"][k], **TIGHT)
        np.testing.assert_allclose(scene.bounds.input.lower.numpy(), EXPRESSIVE[f"sabr{k}_lower"], **TIGHT)
        np.testing.assert_allclose(scene.bounds.input.upper.numpy(), EXPRESSIVE[f"sabr{k}_upper"], **TIGHT)
        np.testing.assert_allclose(scene.bounds.others().detach().numpy(), EXPRESSIVE[f"sabr{k}_margin_lb"], **TIGHT)


def test_attacked_logits_and_both_ends_of_the_losses_are_those_of_the_file() -> None:
    scene = golden_scene()
    points = scene.attack(steps=1)
    np.testing.assert_allclose(scene.bounds.at(points).detach().numpy(), EXPRESSIVE["adv_logits"], **TIGHT)
    np.testing.assert_allclose(scene.frozen(points).numpy(), EXPRESSIVE["adv_logits"], **TIGHT)
    attacked = scene.margins_at(points)
    np.testing.assert_allclose(scene.cross_entropy(attacked).item(), EXPRESSIVE["loss_adv"], **TIGHT)
    np.testing.assert_allclose(scene.bounds.robust_loss().item(), EXPRESSIVE["loss_ibp"], **TIGHT)
    np.testing.assert_allclose(scene.bounds.others().detach().numpy(), EXPRESSIVE["ibp_margin_lb"], **TIGHT)


# -- invariants --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["none", "full", "residual"])
@pytest.mark.parametrize("name", AS_IBP)
def test_at_one_end_every_loss_is_ibp_to_the_bit_and_so_is_its_gradient(name: str, kind: str) -> None:
    want, wanted = step(LOSSES["ibp"](), a_scene(kind))
    got, given = step(LOSSES[name](**AS_IBP[name]), a_scene(kind))
    assert torch.equal(got, want)
    assert all(torch.equal(a, b) for a, b in zip(given, wanted, strict=True))


@pytest.mark.parametrize("kind", ["none", "full", "residual"])
@pytest.mark.parametrize("name", AS_ATTACK)
def test_at_the_other_end_every_loss_is_adversarial_training_with_its_gradient(name: str, kind: str) -> None:
    scene = a_scene(kind)
    got, given = step(LOSSES[name](**AS_ATTACK[name]), scene)
    again = a_scene(kind)
    points = again.attack(steps=LOSSES[name]().attack_steps)
    # batch norm by the statistics of the clean batch, which is a function of the weights, too
    clean_first = torch.cat((again.images, points))
    logits = _by_clean_statistics(again.network, clean_first, len(again.images))[len(again.images) :]
    want = F.cross_entropy(logits, again.labels)
    wanted = torch.autograd.grad(want, list(again.network.parameters()))
    torch.testing.assert_close(got, want.detach(), rtol=1e-9, atol=1e-10)
    for a, b in zip(given, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-9)


def _by_clean_statistics(layer: nn.Module, x: Tensor, clean: int) -> Tensor:
    """The network written out once more: the first `clean` rows set batch norm's statistics for all of them."""
    if isinstance(layer, nn.Sequential):
        for inner in layer:
            x = _by_clean_statistics(inner, x, clean)
        return x
    if hasattr(layer, "shortcut"):
        return _by_clean_statistics(layer.body, x, clean) + _by_clean_statistics(layer.shortcut, x, clean)
    if not isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
        return layer(x)
    dims = [d for d in range(x.dim()) if d != 1]
    shape = [1, -1] + [1] * (x.dim() - 2)
    mean, variance = x[:clean].mean(dims), x[:clean].var(dims, unbiased=False)
    normed = (x - mean.view(shape)) / (variance.view(shape) + layer.eps).sqrt()
    return normed * layer.weight.view(shape) + layer.bias.view(shape)


def two_pixels(seed: int) -> tuple[nn.Sequential, Tensor, Tensor]:
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Flatten(), nn.Linear(2, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 3)
    ).double()
    with torch.no_grad():
        for layer in network[1::2]:
            layer.weight.mul_(2.5)
    return network, torch.rand(4, 1, 1, 2).double(), torch.tensor([0, 1, 2, 0])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("eps", [0.02, 0.15])
def test_attack_true_worst_case_and_bounds_stand_in_order_on_a_box_of_two_pixels(seed: int, eps: float) -> None:
    network, images, labels = two_pixels(seed)

    def scene() -> Scene:
        return Scene(network, images, labels, eps, eps, generator=lambda: torch.Generator().manual_seed(seed))

    here = scene()
    side = torch.linspace(-1, 1, 301, dtype=torch.float64)
    offsets = torch.cartesian_prod(side, side).view(-1, 1, 1, 1, 2)
    grid = here.box.centre + offsets * here.box.radius  # (301^2, B, 1, 1, 2)
    with torch.no_grad():
        values = F.cross_entropy(network(grid.flatten(0, 1)), labels.repeat(len(offsets)), reduction="none").view(
            len(offsets), -1
        )
    worst = values.amax(0).mean()
    attack = here.cross_entropy(here.margins_at(here.attack(steps=10, restarts=3)))
    upper = here.bounds.robust_loss()
    backward = here.cross_entropy(crown.margins(here.bounds))
    full = here.cross_entropy(crown.crown_margins(here.bounds))
    assert attack >= 0
    assert attack <= worst + 1e-3, "the grid knows the worst case to a fraction of its spacing"
    assert worst <= upper + 1e-12
    assert worst <= backward + 1e-12
    assert worst <= full + 1e-12
    assert attack > 0.8 * worst, "and the attack comes near it"
    for name, coefficients in MIDDLE.items():
        between = LOSSES[name](attack_steps=10, **coefficients).value(scene())
        assert attack - 1e-3 - 0.05 * worst <= between <= upper + 1e-12, name


@pytest.mark.parametrize("shrink", [0.0, 0.1, 0.7, 1.0])
def test_the_small_box_lies_inside_the_full_one_and_holds_the_point_nearest_to_the_attacks(shrink: float) -> None:
    scene = a_scene(eps=0.3)
    full, points = scene.box, scene.attack(steps=3, restarts=2)
    small = full.around(points, shrink)
    assert (small.lower >= full.lower - 1e-6).all()
    assert (small.upper <= full.upper + 1e-6).all()
    torch.testing.assert_close(small.radius, shrink * full.radius)
    room = full.radius - small.radius
    wanted = torch.minimum(torch.maximum(points, full.centre - room), full.centre + room)
    torch.testing.assert_close(small.centre, wanted)
    assert small.clean is full.clean, "batch norm keeps the statistics of the clean images"


def test_an_attack_stays_in_its_box_gains_with_steps_and_leaves_running_values_and_weights_alone() -> None:
    scene = a_scene(eps=0.2)
    before = {k: v.clone() for k, v in scene.network.state_dict().items()}
    points = scene.attack(steps=8, restarts=2)
    assert (points >= scene.box.lower - 1e-12).all()
    assert (points <= scene.box.upper + 1e-12).all()
    assert all(torch.equal(v, before[k]) for k, v in scene.network.state_dict().items())
    assert all(p.grad is None for p in scene.network.parameters())

    def gain(x: Tensor) -> Tensor:
        return F.cross_entropy(scene.frozen(x), scene.labels, reduction="none")

    start = strongest(gain, scene.box, steps=0, generator=torch.Generator().manual_seed(0))
    assert (gain(points).mean() - gain(start).mean()) > 0.1 * gain(start).mean()
    assert torch.equal(points, a_scene(eps=0.2).attack(steps=8, restarts=2)), "and it repeats itself"


@pytest.mark.parametrize("name", list(LOSSES))
def test_running_values_move_once_a_batch_and_by_the_clean_images_whatever_the_loss(name: str) -> None:
    scene, plain = a_scene(), a_scene()
    LOSSES[name]().value(scene)
    plain.network(plain.images)
    for key, value in plain.network.state_dict().items():
        torch.testing.assert_close(scene.network.state_dict()[key], value, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", list(LOSSES))
@pytest.mark.parametrize("kind", ["full", "wide"])
def test_every_loss_has_a_finite_gradient_for_every_weight(name: str, kind: str) -> None:
    loss = LOSSES[name](split=99) if name == "taps" else LOSSES[name]()
    value, gradients = step(loss, a_scene(kind))
    assert value.isfinite()
    assert all(g is not None and g.isfinite().all() for g in gradients)


@pytest.mark.parametrize("kind", ["none", "full", "residual"])
def test_points_pass_in_train_mode_by_the_statistics_of_the_clean_batch(kind: str) -> None:
    scene = a_scene(kind)
    torch.testing.assert_close(scene.bounds.at(scene.images), scene.bounds.logits, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(scene.bounds.at(scene.images[:1]), scene.bounds.logits[:1], rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(scene.frozen(scene.images[:2]), scene.bounds.logits[:2], rtol=1e-9, atol=1e-10)


# -- CROWN-IBP ---------------------------------------------------------------------------------------------------------


def test_crown_ibp_fades_from_its_own_bounds_at_the_start_of_the_ramp_to_those_of_intervals_at_its_end() -> None:
    start, middle, end = (a_scene(eps=e, target=0.1) for e in (1e-9, 0.05, 0.1))
    loss = LOSSES["crown_ibp"]()
    for scene, beta in ((start, 1.0), (middle, 0.5), (end, 0.0)):
        mixed = beta * crown.margins(scene.bounds) + (1 - beta) * scene.bounds.margin
        torch.testing.assert_close(loss.value(scene), scene.cross_entropy(mixed), rtol=1e-6, atol=1e-9)


# -- TAPS --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["none", "full"])
def test_attacked_margins_are_never_below_the_bounds_and_equal_them_where_one_linear_layer_is_left(kind: str) -> None:
    scene = a_scene(kind)
    for split in range(1, 7):
        margin = latent.attacked_margins(scene, split=split, link=0.5, steps=6, generator=scene.generator())
        assert (margin >= scene.bounds.margin - 1e-9).all(), split
        assert (margin.gather(1, scene.labels[:, None]) == 0).all()
    torch.testing.assert_close(margin, scene.bounds.margin, rtol=1e-6, atol=1e-9)
    with torch.no_grad():
        clean = margins_of(scene.bounds.logits, scene.labels)
    early = latent.attacked_margins(scene, split=1, link=0.5, steps=6, generator=scene.generator())
    assert early.sum() < clean.sum(), "the attack worsens the margins"


def test_the_link_hands_a_points_gradient_to_the_end_it_lies_near() -> None:
    low = torch.zeros(1, 5, dtype=torch.float64, requires_grad=True)
    high = torch.ones(1, 5, dtype=torch.float64, requires_grad=True)
    points = torch.tensor([[[0.0, 0.25, 0.5, 0.9, 1.0]]], dtype=torch.float64)
    linked = latent._Link.apply(low, high, points, 0.5)
    assert torch.equal(linked, points)
    linked.sum().backward()
    torch.testing.assert_close(low.grad[0], torch.tensor([1.0, 0.5, 0.0, 0.0, 0.0]).double(), rtol=0, atol=1e-4)
    torch.testing.assert_close(high.grad[0], torch.tensor([0.0, 0.0, 0.0, 0.8, 1.0]).double(), rtol=0, atol=1e-4)


def test_taps_is_the_product_of_both_losses_and_its_scale_weighs_the_gradient_of_the_attack_alone() -> None:
    def gradients(scale: float) -> tuple[Tensor, list[Tensor]]:
        return step(LOSSES["taps"](split=5, scale=scale), a_scene())

    value, one = gradients(1.0)
    same, three = gradients(3.0)
    scene = a_scene()
    margin = latent.attacked_margins(scene, split=5, link=0.5, steps=3, generator=scene.generator())
    attacked, bound = scene.cross_entropy(margin), scene.bounds.robust_loss()
    torch.testing.assert_close(value, (attacked * bound).detach())
    assert torch.equal(value, same)
    parameters = list(scene.network.parameters())
    of_attack = torch.autograd.grad(attacked, parameters, retain_graph=True)
    for a, b, g in zip(one, three, of_attack, strict=True):
        torch.testing.assert_close(b - a, 2 * bound.detach() * g, rtol=1e-6, atol=1e-6)


def test_a_cut_inside_a_residual_block_is_refused_with_the_position_of_the_shortcut() -> None:
    scene = a_scene("residual")
    with pytest.raises(NoBoundRuleError, match="Cut outside of residual blocks"):
        latent.attacked_margins(scene, split=2, link=0.5, steps=1)


# -- one's own ---------------------------------------------------------------------------------------------------------


def test_a_loss_is_added_by_one_file_of_another_package_through_its_entry_point(tmp_path: Path) -> None:
    import subprocess
    import sys

    losses = tmp_path / "theirs" / "losses"
    losses.mkdir(parents=True)
    (tmp_path / "theirs" / "__init__.py").write_text("")
    (losses / "__init__.py").write_text("")
    (losses / "halfway.py").write_text(
        "from dataclasses import dataclass\n"
        "from typing import ClassVar\n"
        "from workbench.methods.certified.ibp.loss import Loss, portion\n"
        "@dataclass\n"
        "class Halfway(Loss):\n"
        "    title: ClassVar[str] = 'halfway'\n"
        "    moved_by: ClassVar[str] = 'share'\n"
        "    share: float = portion(0.5, 'halfway', 'share of the bounds')\n"
        "    def value(self, scene):\n"
        "        clean = scene.margins_at(scene.images)\n"
        "        return scene.cross_entropy(self.share * scene.bounds.margin + (1 - self.share) * clean)\n"
        "LOSS = Halfway\n"
    )
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[workbench.certified_losses]\ntheirs = theirs.losses\n")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from workbench.cards import card\n"
        "found = card('certified/ibp')\n"
        "assert 'torch' not in sys.modules\n"
        "assert 'halfway' in found.controls['loss'].choices and 'halfway' in [a.name for a in found.arms]\n"
        "assert found.controls['losses.halfway.share'].when == 'live'\n"
        "from workbench.journal import Reader\n"
        "from workbench.runs.compose import compose\n"
        "from workbench.runs.store import Store\n"
        "from workbench.steering import worker\n"
        "overrides = {'tracking': 'off', 'losses.halfway.share': 0.25}\n"
        "tree = compose('certified/ibp', arm='halfway', preset='smoke', overrides=overrides)\n"
        "made = Store.find().create(tree)\n"
        "assert worker.main(str(made.dir.path)) == 0\n"
        "reader = Reader(made.dir); reader.refresh()\n"
        "print(reader.state, set(reader.scalars('coefficient').values.tolist()))\n"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=240)
    assert done.stdout.strip().endswith("finished {0.25}"), done.stderr
