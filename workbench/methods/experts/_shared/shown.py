"""Signals and charts that every experiment on the byte-level mixture of experts shows."""

from __future__ import annotations

from workbench.cards import Reference, Series, Signal, View
from workbench.methods.experts._shared.knobs import DOMAINS

LOSSES = (
    Signal("ce", "cross-entropy of the next byte, training batch", "nats/byte", main=True),
    Signal("loss", "what is minimised: ce and what the router is asked for beside it", "nats/byte"),
    Signal("valid_ce", "cross-entropy on validation text, mean over domains", "nats/byte"),
    Signal("bpb", "the same by domain", "bits/byte", shape="vector", axis="domain", labels=DOMAINS),
    Signal("lr", "learning rate in force"),
    Signal("grad_norm", "norm of the gradient before clipping"),
)  # fmt: skip

ROUTING = (
    Signal("load", "share of the routed slots that each expert gets, training batch", shape="matrix",
           axis="layer × expert"),
    Signal("load_domain", "the same within each domain", shape="matrix", axis="layer × domain × expert",
           sides=((), DOMAINS, ())),
    Signal("max_violation", "largest load over an even share, minus 1", shape="vector", axis="layer",
           healthy=(None, 1.0)),
    Signal("worst_violation", "the largest over layers", healthy=(None, 1.0)),
    Signal("dead", "experts with less than 5 % of an even share over the last 50 steps", shape="vector", axis="layer",
           healthy=(None, 0)),
    Signal("dead_experts", "the same, sum over layers", healthy=(None, 0)),
    Signal("load_entropy", "entropy of the loads over its largest value", shape="vector", axis="layer",
           healthy=(0.9, None)),
    Signal("router_entropy", "entropy of a byte's probabilities over its largest value, mean over bytes",
           shape="vector", axis="layer"),
    Signal("specialisation", "how much the expert says of the domain: mutual information over its largest value",
           shape="vector", axis="layer"),
    Signal("mean_specialisation", "the same, mean over layers"),
    Signal("coactivation", "of the bytes that chose an expert, the share that chose the other too; 0 for itself",
           shape="matrix", axis="layer × expert × expert"),
    Signal("router_logit_max", "largest logit of the router, by size", shape="vector", axis="layer"),
    Signal("z_loss", "mean squared log-sum-exp of the router's logits", shape="vector", axis="layer"),
    Signal("lbl", "load-balancing loss of the whole batch, mean over layers; 1 is balanced"),
)  # fmt: skip

LOOKS = (
    Signal("valid_load_domain", "loads within each domain, validation text", shape="matrix",
           axis="layer × domain × expert",
           sides=((), DOMAINS, ())),
    Signal("valid_specialisation", "specialisation on validation text, mean over layers"),
    Signal("text", "validation text and the expert each byte went to first", shape="tokens", axis="layer"),
    Signal("found", "the text there was, with its SHA-256", shape="text"),
)  # fmt: skip

SIGNALS = (*LOSSES, *ROUTING, *LOOKS)

LOSS_VIEWS = (
    View("valid_ce", "Loss on validation text", series=("valid_ce",), unit="nats/byte", group="loss", tab="validation",
         subtitle="mean over the domains"),
    View("ce", "Loss", series=("ce",), unit="nats/byte", group="loss", tab="training"),
    View("bpb", "Bits a byte, by domain", series=("bpb",), unit="bits/byte", group="loss", tab="by domain"),
)  # fmt: skip

ROUTING_VIEWS = (
    View("specialisation", "Specialisation", series=("mean_specialisation",), group="specialisation", tab="mean",
         subtitle="how much the chosen expert says of the domain, 0 to 1, mean over layers"),
    View("specialisation_layer", "Specialisation by layer", series=("specialisation",), per_run=True,
         group="specialisation", tab="by layer"),
    View("domains", "Which expert serves which text", kind="matrix", series=("load_domain",), per_run=True,
         group="heat", tab="domain", subtitle="share of a domain's bytes; blocks are specialists"),
    View("load", "Load of the experts", kind="matrix", series=("load",), per_run=True, group="heat", tab="layer"),
    View("text", "Where each byte goes", kind="tokens", series=("text",), per_run=True,
         subtitle="validation text, coloured by the expert that each byte goes to first"),
    View("violation", "Imbalance", series=("worst_violation",), references=(Reference(1.0, "twice an even share"),),
         group="balance", tab="worst layer", subtitle="largest load over an even share, minus 1"),
    View("violation_layer", "Imbalance by layer", series=("max_violation",), per_run=True, group="balance",
         tab="by layer"),
    View("dead", "Dead experts", series=("dead_experts",), group="balance", tab="dead",
         subtitle="under 5 % of an even share over 50 steps, all layers"),
    View("coactivation", "Chosen together", kind="matrix", series=("coactivation",), per_run=True, group="together",
         tab="pairs", subtitle="row: a byte's expert; column: the other one"),
    View("trade", "Specialisation against loss", kind="scatter", series=("valid_specialisation", "valid_ce"),
         group="together", tab="trade-off"),
    View("router_entropy", "How undecided the router is", series=("router_entropy",), per_run=True, group="router",
         tab="entropy", range=(0, 1)),
    View("router_logits", "Largest router logit", series=("router_logit_max",), per_run=True, group="router",
         tab="logits"),
    View("lbl", "Load-balancing loss", series=("lbl",), references=(Reference(1.0, "balanced"),), group="router",
         tab="balance loss", subtitle="of the whole batch, whatever is minimised"),
    View("grad_norm", "Gradient", series=(Series("grad_norm"),), scale="log", group="router", tab="gradient"),
)  # fmt: skip

VIEWS = (*LOSS_VIEWS, *ROUTING_VIEWS)

# Of experiments whose networks train one after the other.
STAGED = (
    Signal("stage", "which network trains, from 0"),
    Signal(
        "flops",
        "spent before this step: 6 a weight and byte, of experts the chosen ones; computed, not measured",
        "operations",
    ),
    Signal("border_ce", "cross-entropy of the training batch, within 50 steps of a hand-over", "nats/byte"),
)
COST = View("cost", "Loss against operations", kind="scatter", series=("flops", "valid_ce"), group="loss",
            tab="operations", subtitle="validation text; computed from sizes")  # fmt: skip
BORDER = View("border", "Loss around the hand-over", series=("border_ce",), unit="nats/byte", group="border",
              tab="loss", subtitle="training batch, 50 steps to either side")  # fmt: skip
