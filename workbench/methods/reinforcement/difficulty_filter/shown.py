"""What the experiment shows: its signals and its charts."""

from __future__ import annotations

from dataclasses import replace

from workbench.cards import Reference, Series, Signal, View
from workbench.methods.reinforcement._shared import shown

DIGITS = 8
BINS = (-1 / 32, 33 / 32, 17)  # around sixteenths
GRID = tuple(k / 16 for k in range(17))
RATES = tuple(f"{p:.2g}" for p in GRID)
SIZES = tuple(str(n) for n in range(1, DIGITS + 1))


def _by_rate(name: str, meaning: str) -> Signal:
    return Signal(name, meaning, shape="vector", axis="pass rate", labels=RATES)


SIGNALS = (
    Signal("accuracy", "share of right sums on fixed prompts, equally many of 1 to 8 digits, temperature 1", main=True),
    Signal("accuracy_by_size", "the same by number of digits", shape="vector", axis="digits", labels=SIZES),
    Signal("accuracy_rollouts", "responses sampled for training before the accuracy was taken", "responses"),
    Signal("accuracy_seconds", "seconds of training before the accuracy was taken", "s", deterministic=False),
    Signal("pass_rate", "share of right responses to the prompts drawn in a step, kept or not"),
    Signal("pass_rate_kept", "the same to the kept ones"),
    Signal("pass_rate_hist", "how many drawn prompts have a pass rate", shape="histogram", edges=BINS),
    _by_rate("drawn_share", "share of the drawn prompts, by pass rate"),
    _by_rate("kept_share", "share of the kept prompts, by pass rate"),
    _by_rate("reach_curve", "KL from the policy to the best one under 'beta', by pass rate, over its maximum"),
    _by_rate("quadratic_curve", "p (1 - p) / (2 beta²), over the maximum of the exact KL"),
    Signal("reach_kept", "KL from the policy to the best one under 'beta', mean over kept prompts", "nats"),
    Signal("spread_drawn", "p (1 - p), mean over drawn prompts; at most .25"),
    Signal("spread_kept", "p (1 - p), mean over kept prompts; at most .25", healthy=(0.12, None)),
    Signal("inside", "share of drawn prompts inside the band"),
    Signal("t_low_now", "lower end of the band; 0 without a filter"),
    Signal("t_high_now", "upper end of the band; 1 without a filter"),
    Signal("filled", "prompts kept over prompts wanted; below 1 where drawing ended at its cap", healthy=(1, None)),
    Signal("effective_batch", "prompts with a pass rate between 0 and 1 over prompts wanted", healthy=(0.6, None)),
    replace(shown.GROUPS, meaning="share of kept prompts whose rewards are all the same, so that they teach nothing"),
    Signal("rollouts", "responses sampled for training so far, thrown away or not", "responses"),
    Signal("rollouts_per_kept", "responses sampled for a kept prompt", "responses"),
    Signal("seconds", "of training so far, looks aside", "s", deterministic=False),
    Signal("rate_error", "distance of pass rates to those from 64 other responses, mean of 24 prompts"),
    Signal("true_inside", "share of prompts found inside the band whose pass rate from 64 others is inside, too"),
    *shown.signals("kept response", "the start"),
    Signal("grad_norm", "norm of the policy's gradient before clipping"),
    Signal("policy_loss", "what the policy minimises, mean over the step's updates"),
)  # fmt: skip

VIEWS = (
    View("accuracy", "Accuracy, by steps", series=("accuracy",), range=(0, 1), group="accuracy", tab="steps",
         subtitle="fixed prompts of 1 to 8 digits"),
    View("accuracy_by_rollouts", "Accuracy, by rollouts", kind="scatter", series=("accuracy_rollouts", "accuracy"),
         range=(0, 1), group="accuracy", tab="rollouts", subtitle="what is thrown away was sampled, too"),
    View("accuracy_by_seconds", "Accuracy, by seconds", kind="scatter", series=("accuracy_seconds", "accuracy"),
         range=(0, 1), group="accuracy", tab="seconds", subtitle="of training on this machine, looks aside"),
    View("accuracy_by_size", "Accuracy by number of digits", kind="heatmap", series=("accuracy_by_size",),
         range=(0, 1), per_run=True, group="accuracy", tab="digits"),
    View("band", "Pass rates and the band", series=(Series("pass_rate"), Series("pass_rate_kept", dash=True)),
         bands=(("t_low_now", "t_high_now"),), range=(0, 1), group="rates", tab="band",
         subtitle="mean of drawn prompts; dashed: of kept ones; shaded: the band"),
    View("pass_rate_hist", "Pass rates over time", kind="heatmap", series=("pass_rate_hist",), per_run=True,
         group="rates", tab="over time", subtitle="of drawn prompts"),
    View("shares", "Pass rates of a step", kind="bars", group="rates", tab="step", per_run=True,
         series=(Series("drawn_share", "drawn"), Series("kept_share", "kept", color="blue"))),
    View("bound", "What a prompt can teach", kind="bars", group="bound", tab="by pass rate", per_run=True,
         series=(Series("reach_curve", "exact KL"), Series("quadratic_curve", "p (1 - p)", color="blue")),
         subtitle="KL to the best policy under 'beta', over its maximum: one half is best where beta is large"),
    View("spread", "p (1 - p) of prompts", series=(Series("spread_kept"), Series("spread_drawn", dash=True)),
         range=(0, 0.25), group="bound", tab="p (1 - p)", references=(Reference(0.12, "healthy above"),),
         subtitle="mean of kept prompts; dashed: of drawn ones"),
    View("reach_kept", "KL to the best policy", series=("reach_kept",), unit="nats", group="bound", tab="KL",
         subtitle="mean of kept prompts, under 'beta'"),
    View("effective_batch", "Effective batch", series=("effective_batch",), range=(0, 1), group="batch",
         tab="effective", references=(Reference(0.3, "starved below"),),
         subtitle="prompts whose rewards differ, of those wanted"),
    View("filled", "Batch filled", series=("filled",), range=(0, 1), group="batch", tab="filled",
         subtitle="below 1 drawing ended at its cap"),
    View("inside", "Drawn prompts inside the band", series=("inside",), range=(0, 1), group="batch", tab="inside"),
    View("cost", "Rollouts a kept prompt", series=("rollouts_per_kept",), group="batch", tab="cost",
         unit="responses"),
    View("rate_error", "Are the pass rates right?", series=(Series("rate_error"), Series("true_inside", dash=True)),
         range=(0, 1), group="batch", tab="truth",
         subtitle="error against 64 other responses; dashed: of prompts found inside the band, those truly inside"),
    shown.answers("kept response"),
    *shown.ENTROPY,
    shown.distance("the start"),
    shown.estimates(),
    shown.RATIO,
    shown.GRADIENT,
)  # fmt: skip
