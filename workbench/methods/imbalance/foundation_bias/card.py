"""The experiment imbalance/foundation_bias: its arms, sizes, claims and the card."""

from __future__ import annotations

from workbench.cards import Arm, Card, Claim, Comparison, Paper, Preset, Probe
from workbench.methods.imbalance.foundation_bias.knobs import FoundationBias
from workbench.methods.imbalance.foundation_bias.shows import SIGNALS, VIEWS

ALONE = {f"weight_{k}": 0.0 for k in range(1, 5)}
ARMS = (
    Arm("la", "logit adjustment", "phenomenon", {"loss": "la", **ALONE},
        "one model: the downstream tail is handled, that of its pretraining is not"),
    Arm("ce", "cross-entropy", "phenomenon", {"loss": "ce", **ALONE}, "one model: both tails show"),
    Arm("backdoor", "backdoor mix", "remedy", {}, "the logits of models of different pretraining, each with logit "
        "adjustment, are added"),
    Arm("probabilities", "backdoor mix of probabilities", "ablation", {"mix": "probabilities"}, "the formula as it is "
        "written: probabilities are added"),
    Arm("ensemble", "ensemble of one pretraining", "competitor", {"tails": "same"},
        "the honest control: as many models, from the same pretraining pictures"),
    Arm("la_prior", "true prior in the loss", "competitor", {"loss": "la_prior", **ALONE},
        "one model, both log shares added in training: over-corrected, as the paper says"),
    Arm("estimated", "estimated prior at test time", "competitor", {"subtract": "estimate", **ALONE},
        "one model with logit adjustment, the log of its estimated prior taken from its logits"),
    Arm("half_pixels", "backdoor mix, half of the pixels", "ablation", {"half_pixels": True},
        "each encoder sees another half of the pixels: incomplete semantics"),
    *(
        Arm(name, label, "competitor", {"loss": name, **ALONE}, "one model with another loss for long tails")
        for name, label in (
            ("focal", "focal loss"), ("class_balanced", "class-balanced loss"), ("reweighting", "reweighting"),
            ("ldam", "LDAM margins"), ("lade", "LADE"),
        )
    ),
)  # fmt: skip

SMOKE = {
    "steps": 30, "pretrain_images": 600, "pretrain_epochs": 1, "pretrain_if": 10.0, "downstream_images": 200,
    "downstream_if": 10.0, "batch_size": 32,
}  # fmt: skip
ANIMALS = {
    "pictures": "fashion_animals", "pretrain_images": 3000, "pretrain_epochs": 12, "downstream_images": 1000,
    "batch_size": 64,
}  # fmt: skip
PRESETS = (
    Preset("smoke", SMOKE, "thirty steps, to see that everything works"),
    Preset("tour", {}, "three encoders pretrained on 12,000 pictures each (once, then kept), 100 epochs of heads",
           ("la", "backdoor", "ce")),
    Preset("animals", ANIMALS, "twenty classes: Fashion-MNIST and silhouettes of animals",
           ("la", "backdoor", "ensemble")),
    Preset("half_pixels", {"half_pixels": True}, "each encoder sees another half of the pixels",
           ("la", "backdoor", "ensemble")),
    Preset("full", {"pretrain_images": 12_000, "pretrain_epochs": 10, "n_confounders": 5, "crops": 5, "steps": 2300},
           "five encoders, ten epochs of pretraining, five looks a test picture", ("la", "backdoor", "ensemble")),
)  # fmt: skip

SEEDS = (0, 1, 2, 3, 4)
FIGURE = "+1.67 points on average over LIFT (ImageNet-LT ≥ 1.5, Places-LT ≥ 1.5, iNaturalist ≥ 2.0)"
CLAIMS = (
    Claim(
        "parameter_imbalance_stays", "Logit adjustment removes data imbalance, and parameter imbalance remains.",
        "Fashion-MNIST, both tails 50, one model: with logit adjustment the gap by pretraining is at least twice the "
        "size of the gap by downstream frequency.",
        arms=("la",), metric="claims:gap_left", direction="higher", seeds=SEEDS,
    ),
    Claim(
        "parameter_imbalance_is_there", "Classes that are rare in pretraining stay worse after logit adjustment.",
        "Other seeds: beyond what an encoder pretrained on even classes shows, each model's rarest third is behind its "
        "most frequent third, mean over three models with an order of their own.",
        arms=("la",), metric="claims:bias_left", direction="higher", seeds=(5, 6, 7, 8, 9),
    ),
    Claim(
        "prior_in_the_loss_fails", "Adding the pretraining prior to the adjustment in the loss fails.",
        "With the true log prior in the loss too, balanced accuracy is lower than with logit adjustment alone, and the "
        "gap by pretraining turns negative.",
        arms=("la", "la_prior"), metric="balanced_accuracy", direction="higher", seeds=SEEDS,
        also=(Comparison(arms=("la_prior",), metric="gap_P", direction="lower"),),
    ),
    Claim(
        "backdoor_beats_single", "The backdoor adjustment is better than a single model.",
        "Balanced accuracy of the mix of three models is at least 1.5 points above that of the best of them, and at "
        "least .5 points above three models of one pretraining: more than an ensemble.", figure=FIGURE,
        arms=("backdoor",), metric="claims:over_best_single", direction="higher", margin=1.5, seeds=SEEDS,
        also=(Comparison(arms=("backdoor", "ensemble"), metric="balanced_accuracy", margin=0.5),),
    ),
    Claim(
        "backdoor_closes_the_gap", "The backdoor adjustment mitigates parameter imbalance.",
        "The gap by model 0's pretraining is smaller in the mix than in three models of that pretraining.",
        arms=("backdoor", "ensemble"), metric="claims:size_of_gap", direction="lower", seeds=SEEDS,
    ),
)  # fmt: skip

CARD = Card(
    title="Foundation-model bias",
    subtitle="two long tails at once, one of them in the pretraining",
    paper=Paper(
        "Rethinking the Bias of Foundation Model under Long-tailed Distribution", "ICML", 2025,
        "https://arxiv.org/abs/2501.15955", 4,
    ),
    phenomenon="Logit adjustment mends the downstream tail; classes that were rare in pretraining stay bad.",
    remedy="Mix models whose pretraining differs (backdoor adjustment); an ensemble of one pretraining is its control.",
    config=FoundationBias,
    signals=SIGNALS,
    views=VIEWS,
    arms=ARMS,
    presets=PRESETS,
    claims=CLAIMS,
    probes=(
        Probe("evaluate", "test pictures", "accuracy of the mix and of each model, by both tails", every=10),
        Probe("mix_map", "every mix", "balanced accuracy of 66 mixes of three models", every=50),
    ),
    detectors=("detect:ParameterImbalance", "detect:DataImbalance", "non_finite"),
    data=("fashion_mnist",),
    reconstruction="the estimate of the pretraining prior (after GLA; the paper's text was not at hand). Losses, "
    "cosine head and mix agree with the authors' code.",
    notes=(
        "The encoders are small and pretrained here on real pictures with imposed tails, so that the prior is known.",
        ("Balanced accuracy, five seeds: logit adjustment 79.8 %, best of three models 80.8 %, their mix 80.9 %, an "
        "ensemble of one pretraining 80.4 %, the true prior in the loss 72.2 %."),
        ("Gaps differ from seed to seed by tens of points, for with ten classes they tell which are hard; the bias "
        "beyond an evenly pretrained encoder is 6.7 points by pretraining after logit adjustment, 4.6 in the mix."),
    ),
)  # fmt: skip
