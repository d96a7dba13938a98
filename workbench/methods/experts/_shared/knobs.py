"""Knobs that every experiment on the byte-level mixture of experts has."""

from __future__ import annotations

from dataclasses import dataclass, field

from workbench.cards import AdamW, Config, Guard, InvalidValue, Optimizer, control

BALANCE, NETWORK, TEXT, LOOK = "Balance", "Experts", "Text", "Looking"
DOMAINS = ("python", "cpp", "english", "tables")


@dataclass
class Bytes(AdamW):
    """AdamW as for language models."""

    lr: float = control(
        3e-3, min=0, exclusive_min=True, max=1, scale="log", label="learning rate", group="Optimiser",
        help="after the warm-up; falls along a cosine to a tenth at the last step",
    )  # fmt: skip
    beta2: float = control(
        0.95, min=0, max=0.99999, label="beta 2", group="Optimiser", help="decay of the second moment"
    )


@dataclass
class ExpertsConfig(Config):
    """The common part: size of the model, of a batch, and what the router is asked for beside the next byte."""

    steps: int = control(
        600, min=1, max=10**7, scale="log", when="launch", fork=True, group="Run", help="training batches"
    )
    alpha: float = control(
        0.02, min=0, max=0.5, label="alpha", group=BALANCE,
        help="weight of the load-balancing loss, mean over layers; 0: none",
    )  # fmt: skip
    z_coef: float = control(
        0.0, min=0, max=0.1, label="z-loss", group=BALANCE, help="weight of the router's z-loss: keeps logits small"
    )
    experts: int = control(
        8, min=2, max=64, scale="log2", when="launch", group=NETWORK, help="feed-forward experts in a layer"
    )
    top_k: int = control(
        2, min=1, max=8, when="launch", label="top k", group=NETWORK, help="experts that each byte goes to"
    )
    hidden: int = control(
        128, min=4, max=1024, scale="log2", when="launch", group=NETWORK, help="hidden units of an expert"
    )
    layers: int = control(3, min=1, max=12, when="launch", group=NETWORK, help="blocks of attention and experts")
    width: int = control(64, min=16, max=512, scale="log2", when="launch", group=NETWORK, help="of the model")
    router_std: float = control(
        0.02, min=0, max=5, when="launch", label="router's initial spread", group=NETWORK,
        help="standard deviation of the router's initial weights; large ones decide before they have learned",
    )  # fmt: skip
    batch_size: int = control(
        32, min=1, max=1024, scale="log2", unit="sequences", when="launch", group=TEXT, help="sequences a step"
    )
    length: int = control(
        64, min=8, max=1024, scale="log2", unit="bytes", when="launch", group=TEXT, help="of a sequence"
    )
    eval_every: int = control(
        25, min=1, max=10**6, scale="log", unit="steps", label="look every", group=LOOK,
        help="validation text: loss, loads and which expert each byte goes to",
    )  # fmt: skip
    optimizer: Optimizer = field(default_factory=Bytes)
    guard: Guard = field(default_factory=Guard)
    warmup: int = 50
    grad_clip: float = 1.0
    heads: int = 4
    eval_sequences: int = 32  # of each domain
    last_sequences: int = 128  # of each domain, after the last step
    domains: tuple[str, ...] = DOMAINS

    def validate(self) -> None:
        """Refuse more choices than experts and widths that heads do not divide."""
        if self.top_k > self.experts:
            raise InvalidValue(f"top_k must not exceed experts; got {self.top_k} of {self.experts}.")
        if self.width % self.heads:
            raise InvalidValue(f"width must be a multiple of {self.heads}, the number of heads; got {self.width}.")
        if len(set(self.domains)) < 2:
            raise InvalidValue(f"domains must name at least two; got {', '.join(self.domains) or 'none'}.")
