"""Read-outs, coefficients, losses and gradients equal those of the authors' code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from workbench.methods.multimodal._shared import measures
from workbench.methods.multimodal._shared.fusion import Concat, Sum
from workbench.methods.multimodal._shared.network import Outputs
from workbench.methods.multimodal._shared.strategies import arl, mmpareto, ogm, pmr, uniform
from workbench.methods.multimodal.arl.knobs import Arl

GOLDEN = Path(__file__).parents[3] / "golden"
OGM = {name: dict(np.load(GOLDEN / f"ogm_{name}.npz")) for name in ("concat", "sum")}
ARL = dict(np.load(GOLDEN / "arl_weights.npz"))
MINNORM = dict(np.load(GOLDEN / "mmpareto_minnorm.npz"))
PMR = dict(np.load(GOLDEN / "pmr_prototype.npz"))
LAYERS = {"concat": {"out": "out"}, "sum": {"a": "x", "v": "y"}}


class Mean(nn.Module):
    """3×3 convolution, ReLU, mean over the picture: the authors' encoder in small."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.c = nn.Conv2d(channels, 5, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.c(x)).mean((2, 3))


class Network(nn.Module):
    """As `TwoModalities`, with these encoders and the parameters that were recorded."""

    def __init__(self, fusion: str, ahead: str) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict({"a": Mean(1), "v": Mean(3)})
        self.fusion = {"concat": Concat, "sum": Sum}[fusion](5, 4)
        self.double()
        g = OGM[fusion]
        with torch.no_grad():
            for name, p in self.named_parameters():
                p.copy_(torch.tensor(g[f"{ahead}_param_{theirs(fusion, name)}"]))

    def parameters_of(self, modality: str) -> list[nn.Parameter]:
        return list(self.encoders[modality].parameters())


def theirs(fusion: str, name: str) -> str:
    """The authors' name of one of our parameters."""
    first, second, *_, rest = name.split(".")
    if first == "encoders":
        return {"a": "audio", "v": "visual"}[second] + f"_net_c_{rest}"
    return f"fusion_module_fc_{LAYERS[fusion][second]}_{rest}"


@pytest.mark.parametrize("ahead", ["visual", "audio"])
@pytest.mark.parametrize("fusion", ["concat", "sum"])
def test_a_step_of_ogm_is_the_authors(fusion, ahead):
    g, network = OGM[fusion], Network(fusion, ahead)
    a, v = torch.tensor(g.get(f"{ahead}_spec", g["spec"])), torch.tensor(g.get(f"{ahead}_image", g["image"]))
    features = (network.encoders["a"](a[:, None]), network.encoders["v"](v))
    out = Outputs(features, network.fusion(*features), network.fusion.readouts(*features), torch.tensor(g["label"]))
    config = Arl()
    config.alpha = float(g["alpha"])
    strategy = ogm.Strategy(config)
    strategy.loss(out).backward()

    def compare(kind: str) -> None:
        for name, p in network.named_parameters():
            want = g[f"{ahead}_grad{kind}_{theirs(fusion, name)}"]
            np.testing.assert_allclose(p.grad.numpy(), want, rtol=1e-6, atol=1e-7, err_msg=name)

    compare("before")
    strategy.after_backward(network, out)
    compare("after")
    halves = network.fusion.halves(*features)
    close = {"rel": 1e-6}
    assert 1 / measures.discrepancy(*halves, out.y) == pytest.approx(float(g[f"{ahead}_ratio_v"]), **close)
    assert strategy.coefficients == pytest.approx([float(g[f"{ahead}_coeff_{m}"]) for m in "av"], **close)
    assert out.losses[0].item() == pytest.approx(float(g[f"{ahead}_loss"]), **close)
    for m, z in zip("av", halves, strict=True):
        assert F.cross_entropy(z, out.y).item() == pytest.approx(float(g[f"{ahead}_loss_{m}"]), **close)


@pytest.mark.parametrize("case", ["c0", "c1", "c2", "c3"])
def test_arls_coefficients_and_losses_are_the_authors(case):
    g = {name.removeprefix(f"{case}_"): torch.tensor(x) for name, x in ARL.items() if name.startswith(case)}
    fusion = Concat(5, 6).double()
    with torch.no_grad():
        fusion.out.weight.copy_(g["fc_weight"])
        fusion.out.bias.copy_(g["fc_bias"])
    features = (g["feat_a"], g["feat_v"])
    za, zv = fusion.readouts(*features)
    out = Outputs(features, fusion(*features), (za, zv), g["label"])
    for name, z in (("logits_a", za), ("logits_v", zv), ("logits", out.logits)):
        torch.testing.assert_close(z, g[name], rtol=1e-6, atol=1e-6)
    want = [float(g[f"dependence_{m}"]) for m in "av"]
    assert measures.dependence(za, zv) == pytest.approx(want, rel=1e-6)
    shares = measures.inverse_variance(measures.entropy(za), measures.entropy(zv), 0.3)
    assert shares == pytest.approx([float(g[f"inverse_variance_{m}"]) for m in "av"], rel=1e-6)
    for T, name in ((float(ARL["T"]), "coefficient"), (1.0, "coefficient_T1")):
        assert arl.coefficients(za, zv, T=T) == pytest.approx(g[name].tolist(), rel=1e-6)
    config = Arl()
    config.gamma = float(ARL["gamma"])
    strategy = uniform.Strategy(config)
    strategy.epoch = config.start_epoch + 1
    loss = strategy.loss(out)
    assert loss.item() == pytest.approx(float(g["total_loss"]), rel=1e-6)
    assert [x.item() for x in out.losses[1:]] == pytest.approx([float(g[f"loss_{m}"]) for m in "av"], rel=1e-6)
    loss.backward()
    nn.utils.clip_grad_norm_(fusion.parameters(), 40)
    torch.testing.assert_close(fusion.out.weight.grad, g["grad_fc_weight_clipped40"], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("pair", range(6))
def test_min_norm_points_are_the_authors(pair):
    g, h = (torch.tensor(MINNORM[f"g{i}_{pair}"]) for i in (1, 2))
    k = mmpareto.min_norm(g, h)
    assert k == pytest.approx(MINNORM[f"coef_{pair}"].tolist(), rel=1e-8)
    shortest = k[0] * g + k[1] * h
    assert float(shortest @ shortest) == pytest.approx(float(MINNORM[f"minnorm_{pair}"]), rel=1e-8)
    assert measures.cosine(g, h) == pytest.approx(float(MINNORM[f"cos_{pair}"]), rel=1e-8)


def test_prototypes_draw_the_weaker_modality_as_the_authors_do():
    g = {name: torch.tensor(x) for name, x in PMR.items()}
    sims = [pmr.similarities(g[f"feat_{m}"], g[f"proto_{m}"]) for m in "av"]
    for m, sim in zip("av", sims, strict=True):
        torch.testing.assert_close(sim, g[f"sim_{m}"], rtol=1e-10, atol=1e-10)
        loss = float(F.cross_entropy(sim, g["label"]))
        assert loss == pytest.approx(float(g[f"loss_proto_{m}"]), rel=1e-10)
    ratio = measures.discrepancy(*sims, g["label"])
    assert ratio == pytest.approx(float(g["ratio_a"]), rel=1e-10)
    assert pmr.coefficients(ratio, float(g["alpha"])) == (float(g["coef_a"]), float(g["coef_v"]))
    assert pmr.coefficients(1 / ratio, 0.7) == (0.7, 0.0)
