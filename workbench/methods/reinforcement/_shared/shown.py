"""What `loop.Loop.show` emits, declared once, and charts that methods have in common. Light: cards compose from it.

Methods differ in what they call a response (a ``rollout``, where others answer fixed prompts) and in what the KL is
measured to. `policy_loss` and `grad_norm` are each method's own to explain.
"""

from __future__ import annotations

from dataclasses import replace

from workbench.cards import Reference, Series, Signal, View

LENGTHS = (0, 41, 41)  # edges of histograms of lengths: no method's responses are longer than 40 tokens


def signals(what: str = "response", reference: str = "the reference", *, only: str = "") -> tuple[Signal, ...]:
    """The signals of `Loop.show` for prompts of one kind.

    Args:
        what: the responses are called, in the singular.
        reference: what the KL is measured to.
        only: as in `Signal`, of all of them.
    """
    found = (
        Signal("reward", f"mean of the verifier's rewards: 1 for a {what} with a right answer that ends in time"),
        Signal("length", f"mean length of a {what}, <eos> included", "tokens"),
        Signal("length_p10", f"a tenth of the {what}s are shorter", "tokens"),
        Signal("length_p90", f"a tenth of the {what}s are longer", "tokens"),
        Signal("length_hist", f"how many {what}s have a length", shape="histogram", edges=LENGTHS),
        Signal("truncated", f"share of {what}s that did not end in time"),
        Signal("entropy", f"of the next token, mean over the {what}s' tokens", "nats/token", healthy=(0.05, None)),
        Signal("entropy_by_position", f"the same by position; 0 where no {what} is as long", "nats/token",
               shape="vector", axis="position"),
        Signal("kl_sequence", f"KL to {reference} over whole next-token distributions, sum over a {what}, mean over "
               f"{what}s", "nats/response"),
        Signal("kl_token", "the same a token", "nats/token"),
        Signal("kl_k1", f"the estimator from sampled tokens: log ratio to {reference}", "nats/token"),
        Signal("kl_k2", "half the log ratio's square", "nats/token"),
        Signal("kl_k3", f"exp(l) - 1 - l with l the log ratio of {reference} to the policy", "nats/token"),
        Signal("clipped_low", "share of tokens whose gradient the lower clip took away"),
        Signal("clipped_high", "share of tokens whose gradient the upper clip took away"),
        Signal("ratio_max", "largest ratio of new to old policy"),
        Signal("advantage_early", f"mean advantage in the first half of each {what}"),
        Signal("advantage_late", f"mean advantage in the last quarter of each {what}"),
        Signal("responses", f"a few of the step's {what}s", shape="responses"),
        Signal("rollouts_per_s", "responses sampled a second", "1/s", deterministic=False),
        Signal("tokens_per_s", "tokens sampled a second", "1/s", deterministic=False),
    )  # fmt: skip
    return tuple(replace(signal, only=only) for signal in found)


GROUPS = Signal("group_zero_std", "share of groups whose rewards are all the same, so that they teach nothing",
                healthy=(None, 0.7))  # fmt: skip


def answers(what: str = "response") -> View:
    """The stream of responses."""
    return View("responses", "What it answers", kind="responses", series=("responses",), per_run=True, range=(0, 1),
                subtitle=f"a few {what}s of each step")  # fmt: skip


def distance(reference: str, *, group: str = "kl", tab: str = "response") -> View:
    """How far the policy has come."""
    return View("kl", f"Distance from {reference}", series=("kl_sequence",), unit="nats/response", scale="log",
                group=group, tab=tab, subtitle="KL, exact at each token")  # fmt: skip


def estimates(estimator: str = "k1") -> View:
    """The KL beside one of its estimates."""
    return View("kl_estimators", "Estimates of the KL", group="kl", tab="estimators", unit="nats/token",
                series=(Series("kl_token"), Series(f"kl_{estimator}", dash=True)),
                subtitle=f"exact; dashed: {estimator} from the sampled tokens")  # fmt: skip


ENTROPY = (
    View("entropy", "Entropy", series=("entropy",), unit="nats/token", group="entropy", tab="entropy",
         references=(Reference(0.05, "frozen below"),)),
    View("entropy_by_position", "Entropy by position", kind="heatmap", series=("entropy_by_position",),
         unit="nats/token", per_run=True, group="entropy", tab="by position"),
)  # fmt: skip
CLIP = View("clip", "Clipped tokens", series=(Series("clipped_low"), Series("clipped_high", dash=True)),
            group="update", tab="clipped", subtitle="below; dashed: above")  # fmt: skip
RATIO = View("ratio", "Largest ratio", series=("ratio_max",), scale="log", group="update", tab="ratio")
GRADIENT = View("grad_norm", "Gradient", series=("grad_norm",), scale="log", group="update", tab="gradient")
STARVED = View("group_zero_std", "Groups that teach nothing", series=("group_zero_std",), range=(0, 1),
               group="update", tab="groups")  # fmt: skip
