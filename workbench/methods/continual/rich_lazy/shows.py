"""What continual/rich_lazy shows: its signals and views."""

from __future__ import annotations

from workbench.cards import Reference, Series, Signal, View

RANKS = ("stable", "entropy", "participation")
SIGNALS = (
    Signal("ntk_alignment", "cosine of the tangent kernel now and at step 0: near 1 lazy, low rich. Compare at equal "
           "loss alone", healthy=(None, None), main=True),
    Signal("rep_alignment", "cosine of the Gram matrices of hidden states at the last step, now and at step 0"),
    Signal("sign_similarity", "share of hidden activities whose sign (0 is one) is that of step 0"),
    Signal("delta_w", "Frobenius norm of the change of the recurrent (linear: first) matrix since step 0"),
    Signal("delta_w_relative", "the same over the norm at step 0"),
    Signal("effective_rank", "rank of the matrix now, measured in three ways that disagree", shape="vector",
           axis="measure", labels=RANKS),
    Signal("effective_rank_start", "the same at step 0", shape="vector", axis="measure", labels=RANKS),
    Signal("singular_values", "of the matrix now", shape="vector", axis="order"),
    Signal("singular_values_start", "of the matrix at step 0", shape="vector", axis="order"),
    Signal("kernel", "tangent kernel now: of outputs on the probe by the matrix", shape="matrix", axis="output"),
    Signal("kernel_start", "tangent kernel at step 0", shape="matrix", axis="output"),
    Signal("kernel_share", "share of the time so far that kernels took", deterministic=False),
    Signal("dead", "1 where a kernel is all zeros, so that there is no alignment: nothing gets through the network",
           healthy=(None, 0)),
    Signal("plane_x_now", "hidden states of the probe on the first principal direction of now and step 0 together",
           shape="vector", axis="input"),
    Signal("plane_y_now", "on the second", shape="vector", axis="input"),
    Signal("plane_x_start", "hidden states at step 0 on the first of these directions", shape="vector", axis="input"),
    Signal("plane_y_start", "on the second", shape="vector", axis="input"),
    Signal("answers", "the right answer to each probe input (linear: the teacher's)", shape="vector", axis="input"),
    Signal("accuracy", "on the probe, by the rule that is being learned", "%"),
    Signal("first_rule_accuracy", "on the probe, by the first rule: what remains of it", "%"),
    Signal("rule", "the rule being learned; every odd one swaps the two answers"),
    Signal("tasks", "how many rules this run learns one after another"),
    Signal("steps_to_loss", "steps that each rule took to the loss where it is to stop; 0: not there yet", "steps",
           shape="vector", axis="rule"),
    Signal("loss", "of the batch (linear: of the population)"),
    Signal("smoothed_loss", "its running mean, decay .98, by which a rule's end is told (linear: the loss itself)"),
    Signal("grad_norm", "norm of the gradient before it is clipped"),
)  # fmt: skip

MEASURES = (("ntk_alignment", "Kernel alignment"), ("rep_alignment", "Representation alignment"),
            ("delta_w", "Change of the weights"))  # fmt: skip
VIEWS = (
    *(
        View(name, title, series=(name,), group=name, tab="step", range=(0, None),
             subtitle="one line a run; 1: unchanged since step 0" if "alignment" in name else "since step 0")
        for name, title in MEASURES
    ),
    *(
        View(f"{name}_by_loss", f"{title} at equal loss", kind="scatter", series=("smoothed_loss", name), group=name,
             tab="loss", subtitle="one dot a run: compare dots above each other alone")
        for name, title in MEASURES
    ),
    View("loss", "Loss", series=(Series("smoothed_loss"), Series("loss", dash=True)), scale="log", group="loss",
         tab="loss", subtitle="dashed: of the batch"),
    View("accuracy", "What remains of the first rule", unit="%", range=(0, 100), group="loss", tab="accuracy",
         series=(Series("first_rule_accuracy"), Series("accuracy", dash=True)),
         subtitle="dashed: by the rule being learned"),
    View("steps_to_loss", "Steps each rule took", kind="bars", series=("steps_to_loss",), unit="steps", group="loss",
         tab="steps"),
    View("singular_values", "Singular values", kind="bars", scale="log", group="spectrum", tab="now",
         series=("singular_values",)),
    View("singular_values_start", "Singular values at step 0", kind="bars", scale="log", group="spectrum",
         tab="step 0", series=("singular_values_start",)),
    View("effective_rank", "Effective rank", series=("effective_rank",), group="spectrum", tab="rank",
         subtitle="three measures of the same matrix"),
    View("kernel", "Tangent kernel now", kind="matrix", series=("kernel",), per_run=True, group="kernel", tab="now"),
    View("kernel_start", "Tangent kernel at step 0", kind="matrix", series=("kernel_start",), per_run=True,
         group="kernel", tab="step 0"),
    View("plane", "Hidden states", kind="scatter", series=("plane_x_now", "plane_y_now"), per_run=True, group="plane",
         tab="now", subtitle="the probe on two principal directions"),
    View("plane_start", "Hidden states at step 0", kind="scatter", series=("plane_x_start", "plane_y_start"),
         per_run=True, group="plane", tab="step 0"),
    View("signs", "Signs kept", series=("sign_similarity",), range=(0, 1), group="more", tab="signs",
         references=(Reference(1.0, "unchanged"),)),
    View("delta_w_relative", "Change relative to step 0", series=("delta_w_relative",), group="more", tab="relative"),
    View("kernel_share", "Time spent on kernels", series=("kernel_share",), range=(0, 1), group="more", tab="cost"),
)  # fmt: skip
