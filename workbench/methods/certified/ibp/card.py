"""The experiment certified/ibp: its views, arms, sizes, claims and the card."""

from __future__ import annotations

from workbench.cards import Arm, Card, Claim, Paper, Preset, Probe, Reference, Series, View
from workbench.methods.certified.ibp.knobs import IBP
from workbench.methods.certified.ibp.loss import found
from workbench.methods.certified.ibp.signals import SIGNALS

VIEWS = (
    View("errors", "What is known about the error", series=(Series("clean_err"), Series("pgd_err", dash=True),
         Series("certified_err")), bands=(("pgd_err", "certified_err"),), unit="%", range=(0, 100),
         subtitle="clean, attacked, certified at the target; shaded: unknown; verifier: IBP",
         references=(Reference(90.0, "constant guess"),), group="errors", tab="probe"),
    View("test_errors", "Errors at epoch ends", series=(Series("test_clean_err"), Series("test_certified_err")),
         unit="%", range=(0, 100), subtitle="2,000 test images; last epoch, no choice of model on the test set",
         references=(Reference(90.0, "constant guess"),), group="errors", tab="epochs"),
    View("verifiers", "What each verifier knows", series=(Series("verified_clean_err", "clean"),
         Series("verified_pgd_err", "attacked", dash=True), Series("verified_ibp_err", "IBP"),
         Series("verified_crown_ibp_err", "CROWN-IBP"), Series("verified_crown_err", "CROWN")),
         bands=(("verified_pgd_err", "verified_ibp_err"),), unit="%", range=(0, 100), group="errors", tab="verifiers",
         subtitle="on 100 test images; each verifier is asked for what the one before leaves open"),
    View("front", "Clean against certified error", kind="scatter", series=("test_clean_err", "test_certified_err"),
         unit="%", range=(0, 100), group="front", tab="IBP",
         subtitle="one dot a run: sweep a loss's coefficient; 2,000 test images at the target; verifier: IBP"),
    View("front_crown_ibp", "Clean against certified error", kind="scatter",
         series=("verified_clean_err", "verified_crown_ibp_err"), unit="%", range=(0, 100), group="front",
         tab="CROWN-IBP", subtitle="one dot a run; 100 test images at the target; verifier: IBP, then CROWN-IBP"),
    View("front_crown", "Clean against certified error", kind="scatter",
         series=("verified_clean_err", "verified_crown_err"), unit="%", range=(0, 100), group="front", tab="CROWN",
         subtitle="one dot a run; 100 test images at the target; verifier: IBP, CROWN-IBP, then CROWN"),
    View("picture", "One image and its box", kind="image", series=("picture", "picture_verdict"), per_run=True,
         subtitle="choose it by picture_image, its box by picture_eps: neither trains anything"),
    View("between", "Between attack and bounds", series=(Series("attack_ce", "attack"), Series("ibp_ce", "IBP"),
         Series("robust_loss", "loss", dash=True)), bands=(("attack_ce", "ibp_ce"),), scale="log", group="losses",
         tab="between", subtitle="probe at the target; the true worst case lies in the band, and so, once the ramp is "
         "over, does the loss: its coefficient moves it"),
    View("bound_width", "Width of bounds", series=("bound_width",), scale="log", unit="logit",
         subtitle="entering each ReLU", references=(Reference("input_width", "input"),),
         group="explosion", tab="width"),
    View("relative_width", "Width over signal", series=("relative_width",), scale="log",
         subtitle="independent of the weights' scale: the honest measure of an explosion", group="explosion",
         tab="relative", references=(Reference(1.0, "as wide as the signal"),)),
    View("signal_std", "Signal", series=("signal_std",), scale="log",
         subtitle="standard deviation of clean pre-activations over the batch", group="explosion", tab="signal"),
    View("bound_width_now", "Width of bounds, layer by layer", kind="bars", series=("bound_width",), scale="log",
         unit="logit", references=(Reference("input_width", "input"),), group="explosion", tab="bars"),
    View("relus", "What bounds say of the ReLUs", kind="area", range=(0, 1), per_run=True,
         series=(Series("relu_active", "active", color="blue"), Series("relu_unstable", "unstable", color="ink2"),
                 Series("relu_inactive", "inactive", color="orange")), subtitle="shares of one layer"),
    View("schedules", "Radius and learning rate", series=(Series("eps"), Series("eps_target", dash=True),
         Series("lr", axis="right")), unit="pixel", group="schedules", tab="radius"),
    View("coefficient", "Coefficient of the loss", series=("coefficient",), group="schedules", tab="coefficient"),
    View("losses", "Parts of the loss", series=(Series("robust_loss"), Series("clean_ce", dash=True),
         Series("reg_tightness"), Series("reg_relu")), scale="log", group="losses", tab="parts",
         references=(Reference(2.302585, "ln 10: a constant guess"),)),
    View("gradient", "Gradient norm before clipping", series=("grad_norm",), scale="log", group="losses",
         tab="gradient"),
    View("tightness_pull", "What the tightness term can still move", series=("tightness_pull",), scale="log",
         subtitle="gradient in log-width a layer; near 0: saturated", group="losses", tab="pull"),
    View("margins", "Certified margins of the probe", kind="histogram", series=("margins",), unit="logit",
         subtitle="certified right of 0; the end bins hold what lies beyond"),
    View("relative_change", "How far each layer has moved", series=("relative_change",), scale="log",
         subtitle="||W - W0|| / ||W0||: with batch norm the initialisation acts through this"),
)  # fmt: skip

OFF = {"reg_weight": 0.0}
FAST = {"init": "ibp", "batch_norm": "full", "reg_weight": 0.5}
ARMS = (
    Arm("vanilla", "no batch norm", "phenomenon", {"init": "default", "batch_norm": "none", **OFF},
        "torch's initialisation, no batch norm, no regularisers"),
    Arm("vanilla_bn", "batch norm only", "phenomenon", {"init": "default", "batch_norm": "full", **OFF},
        "torch's initialisation, batch norm on every layer, no regularisers"),
    Arm("fast", "fast IBP", "remedy", FAST,
        "IBP initialisation, batch norm on every layer, both regularisers"),
    Arm("fast_no_init", "without init", "ablation", {"init": "default", "batch_norm": "full", "reg_weight": 0.5},
        "batch norm and regularisers with torch's initialisation"),
    Arm("fast_no_bn", "without batch norm", "ablation", {"init": "ibp", "batch_norm": "none", "reg_weight": 0.5},
        "IBP initialisation and regularisers without batch norm"),
    Arm("fast_no_reg", "without regularisers", "ablation", {"init": "ibp", "batch_norm": "full", **OFF},
        "IBP initialisation and batch norm without regularisers"),
    *(
        Arm(name, loss.title, "competitor", {**FAST, "loss": name}, f"all of fast IBP, with the loss {loss.title}")
        for name, loss in found().items() if name != "ibp"
    ),
)  # fmt: skip

SMOKE = {
    "steps": 8, "width": 4, "train_images": 256, "batch_size": 64, "ramp_epochs": 1, "milestone_1": 1, "milestone_2": 2,
    "probe_images": 40, "probe_attack_steps": 5, "epoch_images": 40, "final_images": 200, "verify_images": 10,
    "verifier": "crown",
}  # fmt: skip
TOUR = {"steps": 4700, "ramp_epochs": 5, "milestone_1": 80, "milestone_2": 90}
FULL = {
    "steps": 4690, "train_images": 60_000, "width": 16, "ramp_epochs": 5, "milestone_1": 8, "milestone_2": 9,
}  # fmt: skip
PRESETS = (
    Preset("smoke", SMOKE, "eight steps, to see that everything works"),
    Preset("tour", TOUR, "6,000 images, 100 epochs; the difference shows within a minute", ("vanilla_bn", "fast")),
    Preset("full", FULL, "60,000 images, 10 epochs, width 16", ("vanilla_bn", "fast")),
)

SHORT = {"steps": 470, "ramp_epochs": 5, "milestone_1": 8, "milestone_2": 9}
CLAIMS = (
    Claim(
        "init_holds_widths",
        "IBP initialisation stabilises certified bounds at initialisation, where others explode.",
        "CNN-7 without batch norm: the gain from ReLU 1 to ReLU 6 lies within 0.5 to 2 with IBP initialisation and "
        "exceeds 10,000 with Kaiming's, for every seed.",
        metric="claims:widths_hold", direction="higher", rule="exact", seeds=(0, 1, 2, 3, 4), quick=True,
    ),
    Claim(
        "short_ramp_vs_bn",
        "With initialisation, batch norm and regularisers a short warm-up suffices.",
        "Ramp of 5 of 10 epochs, 6,000 images: certified error (IBP) of fast at least 1 point below batch norm alone.",
        figure="CIFAR-10 8/255: 65.03 % certified error in 160 epochs (abstract); other data and network",
        arms=("fast", "vanilla_bn"), metric="final_certified_err", margin=1.0, overrides=SHORT,
    ),
    Claim(
        "short_ramp_vs_vanilla",
        "With initialisation, batch norm and regularisers a short warm-up suffices.",
        "Ramp of 5 of 10 epochs, 6,000 images: certified error (IBP) of fast below that without batch norm.",
        arms=("fast", "vanilla"), metric="final_certified_err", overrides=SHORT,
    ),
    Claim(
        "relu_balance",
        "Batch norm and the regulariser balance ReLU states, of which IBP makes far too many inactive.",
        "Mean over layers of min/max of active and inactive shares is higher for fast than without batch norm. (Not "
        "compared with batch norm alone: there nearly every ReLU is unstable, so few are inactive for a bad reason.)",
        arms=("fast", "vanilla"), metric="balance", direction="higher", overrides=SHORT,
    ),
    Claim(
        "fewer_inactive",
        "Batch norm and the regulariser balance ReLU states, of which IBP makes far too many inactive.",
        "Mean share of inactive ReLUs is lower for fast than without batch norm.",
        arms=("fast", "vanilla"), metric="inactive_share", overrides=SHORT,
    ),
)  # fmt: skip

CARD = Card(
    title="Fast certified training",
    subtitle="interval bounds that do not explode",
    paper=Paper(
        "Fast Certified Robust Training with Short Warmup", "NeurIPS", 2021, "https://arxiv.org/abs/2103.17268", 3
    ),
    phenomenon="Certified bounds explode layer by layer and ReLUs go dead: training on bounds collapses to a constant.",
    remedy="IBP initialisation, batch norm on every hidden layer, and two regularisers while epsilon ramps up.",
    config=IBP,
    signals=SIGNALS,
    views=VIEWS,
    arms=ARMS,
    presets=PRESETS,
    claims=CLAIMS,
    probes=(
        Probe(
            "errors", "clean, attacked and certified error",
            "500 test images, 50 a class: interval bounds and 20 PGD steps from a random start, at the target epsilon; "
            "every 20 steps it takes a sixth to a third of the training time", every=20,
        ),
        Probe(
            "verifiers", "errors by verifier",
            "100 test images, 10 a class, at the target epsilon: PGD, IBP, and up to the control 'verifier' CROWN-IBP "
            "and CROWN for what the cheaper leave open; taken at the end of training, too",
        ),
        Probe("picture", "one image and its box", "verdict and attack for picture_image at picture_eps", every=50),
    ),
    detectors=(
        "detect:ExplodedBounds", "detect:ReluImbalance", "detect:AllUnstable", "detect:CertifiedCollapse",
        "detect:RampTooFast", "non_finite",
    ),
    data=("fashion_mnist", "digits"),
    notes=(
        (
            "Published certified errors (CIFAR-10 at 8/255: 65.03 %; TinyImageNet at 1/255: 82.36 %; MNIST at 0.4: "
            "10.98 %) are for other data, networks and 70 to 160 epochs: compare with our own arms only."
        ),
        (
            "With batch norm everywhere the initialisation does not change the bounds of the first step, and still "
            "decides the run: small weights behind batch norm move faster. See how far each layer has moved."
        ),
        (
            "Without batch norm the IBP initialisation holds the widths but the signal vanishes with them: width over "
            "signal is about the same for every initialisation."
        ),
        "The tightness term holds bounds that are near 1 to 100 times the input's; it does not rescue an explosion.",
        (
            "Every certified error names its verifier. Certified means margins above 0; a complete verifier (branch "
            "and bound) would certify more, above all for SABR, TAPS and MTL-IBP at a small coefficient, which IBP "
            "alone hardly certify at all."
        ),
        (
            "The losses follow the formulas of eth-sri/CTBench. Left out: batch norm statistics re-estimated after "
            "each epoch, averaged weights, CROWN-IBP's direct bound of the log-sum-exp, and TAPS' ramp on IBP alone. "
            "Attacks in training meet batch norm at the statistics of the clean batch and keep their step size. CTRAIN "
            "and CTBench are what to use for full tables; they need sources that are on no package index."
        ),
        (
            "Measured here, seed 0, 6,000 images, certified error on test images: after 31 epochs a ramp of 5 epochs "
            "leaves batch norm alone at a constant guess (90 %) and fast at 44 %, after 100 epochs at 90 % and 35 %; "
            "with a ramp of 20 epochs both train, to 41 % and 36 % after 31. The remedy makes the short ramp possible. "
            "Three seeds of 10 epochs: 68.2 % (deviation 2.6) for fast, 90.0 % for both vanilla arms."
        ),
        (
            "The learning curves of the papers measure the error at the current eps during the ramp, which rises with "
            "it; ours are at the target throughout, and of the last epoch, not of the best."
        ),
    ),
)  # fmt: skip
