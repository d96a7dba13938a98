"""Signals and charts of experts/anomalies."""

from __future__ import annotations

from workbench.cards import Reference, Series, Signal, View
from workbench.methods.experts._shared import shown

EDGES = (0.0, 8.0, 40)  # of the head's column norms
_ON = "the guard is on"

SIGNALS = (
    *shown.SIGNALS,
    Signal("text_ce", "cross-entropy of the training batch where that is text, not injected noise", "nats/byte",
           only="the batch is text"),
    Signal("injected", "what was injected: 1 noise, 2 one of six noises, 3 second moments, 4 gradient; 0 nothing"),
    Signal("drawn_for", "the step for which the batch was drawn; another than this one: it is tried again", "step"),
    Signal("guard_z", "how far the loss stands above the median of the 50 before it", "robust deviations",
           healthy=(None, 6.0), only=_ON),
    Signal("spike_limit", "above it a loss is a spike", "robust deviations"),
    Signal("guard_width", "losses in a row that are spikes", "steps", healthy=(None, 3), only=_ON),
    Signal("guard_skipped", "1: no update by this batch", only=_ON),
    Signal("guard_retried", "1: the batch was skipped before and is tried again", only=_ON),
    Signal("guard_rolled_back", "1: the update before was taken back", only=_ON),
    Signal("guard_waiting", "batches that wait to be tried again", "batches", only=_ON),
    Signal("guard_lr_scale", "factor on the learning rate of this step", only=_ON),
    Signal("param_drift", "how far the step moved the weights, over their norm"),
    Signal("head_norm", "norm of a column of the head over the vocabulary, mean over columns"),
    Signal("head_norm_max", "the largest of them"),
    Signal("head_norms", "all of them", shape="histogram", edges=EDGES),
)  # fmt: skip

VIEWS = (
    View("ce", "Loss", series=("ce",), unit="nats/byte", group="loss", tab="every batch",
         subtitle="findings mark narrow and wide spikes; anomalies are injected on purpose"),
    View("text_ce", "Loss on text", series=("text_ce",), unit="nats/byte", group="loss", tab="text alone",
         subtitle="without the noisy batches themselves: what they leave behind"),
    View("valid_ce", "Loss on validation text", series=("valid_ce",), unit="nats/byte", group="loss", tab="validation"),
    View("z", "How far the loss stands out", series=("guard_z",),
         references=(Reference("spike_limit", "spike"),), group="score", tab="score",
         subtitle="robust deviations above the median of 50"),
    View("width", "Losses in a row that stand out", series=("guard_width",), group="score", tab="width",
         references=(Reference(3.0, "narrow up to here"),)),
    View("violation", "Imbalance", series=("worst_violation",), references=(Reference(1.0, "twice an even share"),),
         group="balance", tab="worst layer", subtitle="largest load over an even share, minus 1"),
    View("violation_layer", "Imbalance by layer", series=("max_violation",), per_run=True, group="balance",
         tab="by layer"),
    View("dead", "Dead experts", series=("dead_experts",), group="balance", tab="dead"),
    View("strip", "What was injected, and what the guard did", per_run=True, group="guard", tab="events",
         series=(Series("injected", "injected (kind)", color="ink2"), Series("guard_skipped", "skipped", color="blue"),
                 Series("guard_retried", "tried again", dash=True), Series("guard_rolled_back", "back", dash=True))),
    View("waiting", "Batches that wait to be tried again", series=("guard_waiting",), group="guard", tab="waiting"),
    View("rate", "Factor on the learning rate", series=("guard_lr_scale",), range=(0, 1.05), group="guard", tab="rate"),
    View("drift", "How far a step moves the weights", series=("param_drift",), scale="log", group="moves",
         tab="weights", subtitle="over their norm; skipped steps move nothing"),
    View("grad_norm", "Gradient", series=("grad_norm",), scale="log", group="moves", tab="gradient"),
    View("head", "Norm of the head's columns", series=("head_norm", Series("head_norm_max", dash=True)), group="head",
         tab="mean and largest"),
    View("head_norms", "All columns of the head", kind="histogram", series=("head_norms",), per_run=True, group="head",
         tab="histogram"),
    *(v for v in shown.ROUTING_VIEWS if v.id in ("load", "domains", "text", "router_logits")),
)  # fmt: skip
