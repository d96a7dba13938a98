"""What imbalance/kernel_balancing shows: its signals and views."""

from __future__ import annotations

from workbench.cards import Reference, Series, Signal, View
from workbench.methods.imbalance.kernel_balancing.names import PREDICTORS

SIGNALS = (
    Signal("risk_error", "how far the estimated risk of six fixed predictors is from the truth, relative, mean",
           healthy=(None, 0.05), main=True),
    Signal("risk_error_each", "the same of each predictor", shape="vector", axis="predictor", labels=PREDICTORS),
    Signal("risk_true", "squared error of each predictor over all pairs", shape="vector", axis="predictor",
           labels=PREDICTORS),
    Signal("risk_estimate", "the same as estimated from the rated pairs with the weights", shape="vector",
           axis="predictor", labels=PREDICTORS),
    Signal("max_balance_gap", "largest difference, of a balanced function, between its mean over all pairs and its "
           "weighted mean over the rated ones", healthy=(None, 0.05)),
    Signal("balance_gap", "that of every balanced function, the largest first", shape="vector", axis="function"),
    Signal("balance_gap_base", "the same with the base weights alone", shape="vector", axis="function"),
    Signal("audit_gap", "the largest gap of 256 functions on which nothing was balanced", healthy=(None, 0.05)),
    Signal("balanced", "1: every gap is within the slack; 0: no weights reach it", healthy=(1, None)),
    Signal("effective_sample_size", "(sum w)^2 / (n sum w^2): share of the ratings that carry the estimate",
           healthy=(0.2, None)),
    Signal("weights", "how many ratings have which weight", "log10", shape="histogram", edges=(-3, 2, 50)),
    Signal("auc", "of the recommender on pairs drawn evenly: a like ranks above a dislike"),
    Signal("ndcg_5", "within a person's evenly drawn films, gain of the first five"),
    Signal("recall_5", "within a person's evenly drawn films, share of the liked ones among the first five"),
    Signal("mean_bias", "mean predicted minus true share of likes over all pairs", healthy=(-0.02, 0.02)),
    Signal("loss", "weighted loss of the batch"),
    Signal("liked_share", "share of likes", "%", shape="vector", axis="among", labels=("rated pairs", "all pairs")),
    Signal("exposure", "share of the pairs that are rated", "%", shape="matrix",
           axis="people × films"),
    Signal("without_ratings", "how many have no rating at all", shape="vector", axis="kind",
           labels=("people", "films")),
    Signal("solve_seconds", "time that new weights took", "s", deterministic=False),
)  # fmt: skip

VIEWS = (
    View("risk_error", "Error of the estimated risk", series=("risk_error",), range=(0, None), group="risk",
         tab="mean", subtitle="of six fixed predictors, relative"),
    View("risk_each", "Estimated risk and truth", kind="bars", group="risk", tab="each", per_run=True,
         series=(Series("risk_true", "truth", color="ink3"), Series("risk_estimate", "estimate"))),
    View("max_gap", "What is left unbalanced", scale="log", group="gap", tab="largest",
         series=(Series("max_balance_gap", "balanced functions"), Series("audit_gap", "others", dash=True)),
         subtitle="dashed: functions on which nothing was balanced", references=(Reference(0.05, "unbalanced"),)),
    View("gaps", "Gap of each function", kind="bars", group="gap", tab="each", per_run=True,
         series=(Series("balance_gap_base", "base weight", color="ink3"), Series("balance_gap", "now")),
         subtitle="the largest first"),
    View("weights", "Weights", kind="histogram", series=("weights",), unit="log10", group="weights", tab="spread"),
    View("ess", "Share of the ratings that carry the estimate", series=("effective_sample_size",), range=(0, 1),
         group="weights", tab="effective size", references=(Reference(0.2, "few"),)),
    View("auc", "Recommender on evenly drawn pairs", series=("auc",), group="model", tab="AUC"),
    View("ranking", "First five films", group="model", tab="top five",
         series=(Series("ndcg_5", "NDCG"), Series("recall_5", "recall", dash=True)), subtitle="dashed: recall"),
    View("mean_bias", "Bias of the predicted share of likes", series=("mean_bias",), group="model", tab="bias",
         references=(Reference(0, "none"),)),
    View("exposure", "Who rates what", kind="matrix", series=("exposure",), unit="%", per_run=True, group="world",
         tab="exposure", range=(0, None), subtitle="active people and popular films first, in tiles"),
    View("liked", "Likes among rated and all pairs", kind="bars", series=("liked_share",), unit="%", range=(0, 100),
         group="world", tab="likes"),
    View("loss", "Loss", series=("loss",), group="world", tab="loss"),
)  # fmt: skip
