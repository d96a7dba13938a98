"""Signals and charts that every experiment with two modalities shows."""

from __future__ import annotations

from workbench.cards import Reference, Series, Signal, View

NAMES = ("fused", "a", "v")

LOSSES = (
    Signal("loss", "what is minimised", "nats"),
    Signal("loss_fused", "cross-entropy of the fused logits, training batch", "nats"),
    Signal("loss_a", "cross-entropy of the read-out of a: the fusion layer with the features of v at 0", "nats"),
    Signal("loss_v", "the same of v", "nats"),
    Signal("loss_weights", "weights of the fused loss and of the read-outs' losses", shape="vector", axis="loss",
           labels=NAMES),
    Signal("prototype_ratio", "how much nearer a is to its prototypes than v", only="method pmr"),
    Signal("epoch", "passes over the training samples, from 0"),
    Signal("modalities", "what a and v are", shape="text"),
)  # fmt: skip

LEARNING = (
    Signal("rho", "discrepancy ratio: probability of the right class by the part of the logits that comes from a, over "
           "that by the part of v; 1: both learn alike", healthy=(0.7, 1.4)),
    Signal("confidence_a", "mean probability that the read-out of a gives to the right class, training batch"),
    Signal("confidence_v", "the same of v"),
    Signal("entropy_a", "mean entropy of the predictions of the read-out of a, training batch; stands for its variance",
           "nats"),
    Signal("entropy_v", "the same of v", "nats"),
    Signal("grad_norm_a", "norm of the loss's gradient by the encoder of a"),
    Signal("grad_norm_v", "the same of v: near 0 it does not learn"),
    Signal("coefficient_a", "by what the gradient of the encoder of a is multiplied"),
    Signal("coefficient_v", "the same of v"),
    Signal("cos_joint_uni_a", "cosine of the joint and the unimodal loss's gradients by the encoder of a; below 0 they "
           "conflict", healthy=(0, None)),
    Signal("cos_joint_uni_v", "the same of v", healthy=(0, None)),
    Signal("dependence_a", "share of a in the read-outs' logits by size, training batch"),
    Signal("dependence_v", "the rest, v's"),
    Signal("target_a", "the share of a that would be inverse to the variances, entropies in their place, training "
           "batch"),
)  # fmt: skip

ACCURACY = (
    Signal("acc_fused", "test accuracy, both modalities", "%", main=True),
    Signal("acc_a", "test accuracy of the read-out of a", "%"),
    Signal("acc_v", "test accuracy of the read-out of v", "%"),
    Signal("solo_a", "test accuracy of a trained alone beside this run: same first encoder, batches, noise, steps",
           "%"),
    Signal("solo_v", "the same of v", "%"),
    Signal("underuse_a", "how far the read-out of a stays behind a trained alone", "points", healthy=(None, 3)),
    Signal("underuse_v", "the same of v", "points", healthy=(None, 3)),
    Signal("test_dependence_a", "share of a in the read-outs' logits by size, test samples"),
    Signal("test_target_a", "the share of a that would be inverse to the variances, entropies in their place, test "
           "samples"),
    Signal("arl_mismatch", "log odds of the two: 0 as ARL asks for, above 0 too much of a", healthy=(-0.7, 0.7)),
    Signal("missing", "test accuracy with one modality missing: its features at 0, or its input at the training mean",
           "%", shape="matrix", axis="what is there × filled with",
           sides=(("both", "a alone", "v alone"), ("zero features", "mean input"))),
    Signal("shapley_a", "what a adds to the accuracy, ½ [v(a) + v(both) − v(v)] with the other at its mean", "points"),
    Signal("shapley_v", "the same of v", "points"),
)  # fmt: skip

SIGNALS = (*ACCURACY, *LOSSES, *LEARNING)

A, V = "blue", "orange"
VIEWS = (
    View("accuracy", "Fused accuracy", series=("acc_fused",), unit="%", range=(0, 100), group="accuracy", tab="fused",
         subtitle="test samples"),
    View("modalities", "Each modality, and what it could do", unit="%", range=(0, 100), per_run=True, group="accuracy",
         tab="each", subtitle="read-outs; dashed: trained alone beside the run",
         series=(Series("acc_fused", "fused", color="ink"), Series("acc_a", "a", color=A),
                 Series("acc_v", "v", color=V), Series("solo_a", "a alone", dash=True, color=A),
                 Series("solo_v", "v alone", dash=True, color=V))),
    View("what", "What a and v are", kind="text", series=("modalities",), per_run=True, group="accuracy", tab="what"),
    View("rho", "Who learns faster", series=("rho",), scale="log", references=(Reference(1.0, "alike"),), group="rho",
         tab="ratio", subtitle="discrepancy ratio: above 1 modality a is ahead"),
    View("confidence", "Confidence of the read-outs", per_run=True, range=(0, 1), group="rho", tab="confidence",
         series=(Series("confidence_a", "a", color=A), Series("confidence_v", "v", color=V))),
    View("entropy", "Entropy of the read-outs", per_run=True, unit="nats", range=(0, None), group="rho", tab="entropy",
         series=(Series("entropy_a", "a", color=A), Series("entropy_v", "v", color=V))),
    View("underuse_v", "Underuse of v", series=("underuse_v",), unit="points", group="underuse", tab="v",
         references=(Reference(0.0, "as good as alone"),), subtitle="accuracy alone less accuracy of the read-out"),
    View("underuse_a", "Underuse of a", series=("underuse_a",), unit="points", group="underuse", tab="a",
         references=(Reference(0.0, "as good as alone"),), subtitle="accuracy alone less accuracy of the read-out"),
    View("gradients", "Encoders' gradients", scale="log", per_run=True, group="gradient", tab="norm",
         series=(Series("grad_norm_a", "a", color=A), Series("grad_norm_v", "v", color=V))),
    View("cosine", "Do joint and unimodal gradients agree?", per_run=True, range=(-1, 1), group="gradient",
         tab="cosine", references=(Reference(0.0, "conflict below"),),
         series=(Series("cos_joint_uni_a", "a", color=A), Series("cos_joint_uni_v", "v", color=V))),
    View("coefficients", "Factor on each encoder's gradient", per_run=True, group="gradient", tab="factor",
         series=(Series("coefficient_a", "a", color=A), Series("coefficient_v", "v", color=V)),
         references=(Reference(1.0, "as it is"),)),
    View("dependence", "Dependence", kind="area", per_run=True, range=(0, 1), group="dependence",
         tab="batch", series=(Series("dependence_a", "a", color=A), Series("dependence_v", "v", color=V)),
         references=(Reference("target_a", "inverse to the variances"),),
         subtitle="training batch; the line: where ARL would have the border"),
    View("target", "Dependence on a, and where it should be", per_run=True, range=(0, 1), group="dependence",
         tab="test", series=(Series("test_dependence_a", "dependence", color=A),
                             Series("test_target_a", "inverse to the variances", dash=True)),
         subtitle="test samples"),
    View("simplex", "Dependence against target", kind="scatter", series=("test_target_a", "test_dependence_a"),
         group="dependence", tab="plane", range=(0, 1),
         subtitle="share of a, test samples; ARL asks for the diagonal"),
    View("mismatch", "Dependence against variances", series=("arl_mismatch",), group="dependence", tab="mismatch",
         references=(Reference(0.0, "inverse to the variances"),), subtitle="log odds, test samples"),
    View("missing", "With a modality missing", kind="matrix", series=("missing",), per_run=True, unit="%",
         range=(0, 100), group="missing", tab="accuracy"),
    View("shapley", "What each adds", per_run=True, unit="points", group="missing", tab="each",
         series=(Series("shapley_a", "a", color=A), Series("shapley_v", "v", color=V)),
         subtitle="Shapley value of the accuracy, the other at its mean"),
    View("loss", "Losses", scale="log", per_run=True, unit="nats", group="loss", tab="each",
         series=(Series("loss_fused", "fused", color="ink"), Series("loss_a", "a", color=A),
                 Series("loss_v", "v", color=V)), subtitle="cross-entropy, training batch"),
    View("loss_weights", "Weights of the losses", series=("loss_weights",), per_run=True, group="loss", tab="weights"),
    View("total", "What is minimised", series=("loss",), unit="nats", scale="log", group="loss", tab="total"),
)  # fmt: skip
