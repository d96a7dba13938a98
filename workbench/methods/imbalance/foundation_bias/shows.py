"""What imbalance/foundation_bias shows: its signals and views."""

from __future__ import annotations

from workbench.cards import Reference, Series, Signal, View
from workbench.cards.classes import NAMES, class_signals, class_views

THIRDS = (("pretraining: many", "medium", "few"), ("downstream: many", "medium", "few"))
CORNERS = ("model 0", "model 1", "model 2")
SIGNALS = (
    *class_signals(),
    Signal(NAMES, "the classes from the most frequent downstream to the rarest, a JSON list", shape="text"),
    Signal("acc_by_pretraining", "accuracy of each class, from the most frequent in model 0's pretraining to the "
           "rarest", "%", shape="vector", axis="rank"),
    Signal("acc_PxD", "mean accuracy of the classes in a third of model 0's pretraining order and a third of the "
           "downstream order; flat is healthy; -1 where no class is in both", "%", shape="matrix",
           axis="pretraining × downstream", sides=THIRDS),
    Signal("gap_P", "accuracy of the third of classes most frequent in model 0's pretraining minus that of the rarest "
           "third: parameter imbalance", "points"),
    Signal("gap_D", "the same by the downstream order: data imbalance", "points"),
    Signal("bias_P", "gap_P beyond what an encoder shows that was pretrained on even classes: that some classes are "
           "harder than others is taken out", "points", healthy=(-5, 5)),
    Signal("bias_D", "gap_D beyond the same", "points", healthy=(-5, 5)),
    Signal("acc_even", "accuracy of each class under the encoder pretrained on even classes, in the order of model 0's "
           "pretraining", "%", shape="vector", axis="rank"),
    Signal("balanced_models", "balanced accuracy of each model alone", "%", shape="vector", axis="model"),
    Signal("best_single", "balanced accuracy of the model that is best on these test pictures", "%"),
    Signal("bias_P_models", "bias_P of each model alone, by its own pretraining order", "points", shape="vector",
           axis="model"),
    Signal("bias_D_models", "bias_D of each model alone", "points", shape="vector", axis="model"),
    Signal("weights", "P(c): share of each model in the mix", shape="vector", axis="model"),
    Signal("mix_map", "weights of mixes of three models, and the balanced accuracy of each", shape="matrix",
           labels=(*CORNERS, "balanced accuracy, %"), only="three models"),
    Signal("log_prior_true", "natural logarithm of each class's share in model 0's pretraining, from the most frequent "
           "to the rarest", shape="vector", axis="rank"),
    Signal("log_prior_hat", "its estimate from zero-shot logits on a class-balanced set (GLA), in the same order",
           shape="vector", axis="rank"),
    Signal("prior_error", "total variation distance of estimate and truth, of each model", "%", shape="vector",
           axis="model"),
    Signal("zero_shot", "balanced accuracy of each encoder with the head of its pretraining", "%", shape="vector",
           axis="model"),
    Signal("zero_shot_adjusted", "the same after the log of the estimated prior was taken away", "%", shape="vector",
           axis="model"),
    Signal("loss", "of the batch, mean over the models"),
    Signal("lr", "learning rate of the step: a cosine from the base rate to 0"),
    Signal("tau", "how much of the downstream log shares the loss adds"),
)  # fmt: skip

VIEWS = (
    View("bias", "Head minus tail, beyond even classes", unit="points", group="gaps", tab="beyond even",
         series=(Series("bias_P", "by pretraining"), Series("bias_D", "by downstream", dash=True)),
         references=(Reference(0, "no bias"),), subtitle="by model 0's pretraining order; dashed: downstream order"),
    View("gaps", "Head minus tail", unit="points", group="gaps", tab="as it is",
         series=(Series("gap_P", "by pretraining"), Series("gap_D", "by downstream", dash=True)),
         references=(Reference(0, "no gap"),), subtitle="the same, with how hard each class is"),
    View("bias_P_models", "Parameter imbalance of each model", unit="points", series=("bias_P_models",), group="gaps",
         tab="each model", references=(Reference(0, "no bias"),), subtitle="alone, by its own pretraining order"),
    View("tau", "tau", series=("tau",), group="gaps", tab="tau", range=(0, 2)),
    View("acc_PxD", "Accuracy by both tails", kind="matrix", unit="%", range=(0, 100), series=("acc_PxD",),
         per_run=True, group="grid", tab="grid", subtitle="rows: model 0's pretraining; flat is healthy"),
    View("mix_map", "Balanced accuracy of every mix", kind="ternary", series=("mix_map", "weights"), group="grid",
         tab="mixes", subtitle="of three models; the dot is where the run is"),
    View("acc_by_pretraining", "Accuracy by rank in pretraining", kind="bars", unit="%", range=(0, 100),
         series=("acc_by_pretraining",), group="bars", tab="by pretraining",
         subtitle="0: the class most frequent in model 0's pretraining"),
    View("acc_even", "Accuracy under even pretraining", kind="bars", unit="%", range=(0, 100), series=("acc_even",),
         group="bars", tab="even", subtitle="how hard each class is; same order as by pretraining"),
    View("acc_by_downstream", "Accuracy by rank downstream", kind="bars", unit="%", range=(0, 100),
         series=("acc_per_class",), group="bars", tab="by downstream", subtitle="0: the most frequent class"),
    View("balanced", "Balanced accuracy", unit="%", group="balanced", tab="mix",
         series=(Series("balanced_accuracy", "mix"), Series("best_single", "best single model", dash=True)),
         subtitle="of the mix; dashed: of the model that is best alone"),
    View("balanced_models", "Balanced accuracy of each model", unit="%", series=("balanced_models",), group="balanced",
         tab="each model"),
    View("prior", "The pretraining prior, estimated", kind="scatter", group="prior",
         series=("log_prior_true", "log_prior_hat"), tab="estimate", path=False,
         subtitle="model 0, one dot a class: logarithms of shares"),
    View("zero_shot", "Zero-shot, as it is and adjusted", kind="bars", unit="%", range=(0, 100), group="prior",
         tab="zero-shot", series=("zero_shot", "zero_shot_adjusted"), subtitle="balanced accuracy of each encoder"),
    *class_views(),
    View("loss", "Loss", series=("loss",), group="loss", tab="loss"),
    View("lr", "Learning rate", series=("lr",), group="loss", tab="rate"),
)  # fmt: skip
