"""How the laboratory's models come to be: pretrained, then instructed or distilled, and a reward model.

A recipe and a seed determine every weight, to the bit on one machine. The weights of seed 1, and the pretrained models
of seeds 2 and 3, come with the package; others are made when first asked for and kept in the store of artifacts.
Everything is learned from the synthetic task `chain`.
"""

from __future__ import annotations

import hashlib
import json
import math
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from workbench.cards.errors import InvalidValue, StoreError, UnknownName
from workbench.data.artifacts import artifact
from workbench.methods.reinforcement._shared.model import CONTEXT, Critic, Decoder
from workbench.methods.reinforcement._shared.sampling import rollout
from workbench.methods.reinforcement._shared.tasks import chain
from workbench.methods.reinforcement._shared.traces import imitation
from workbench.methods.reinforcement._shared.vocabulary import EOS, NEWLINE, padded

SHIPPED = Path(__file__).parent / "weights"
VERSION = 1  # raise it when the code below makes other weights of the same recipe
Say = Callable[[str], None]


@dataclass(frozen=True)
class Recipe:
    """All that the weights of a stage depend on, besides the seed.

    Attributes:
        stage: what it is called.
        parents: what it starts from; a reward model also learns from responses of its second parent.
        steps, batch: steps of AdamW, and packed rows, examples or responses in each.
        lr, warmup, decay: its rate after so many steps of linear warm-up, falling as a cosine to `decay` times that.
        mix: of documents, as (kind, style, share); the shares sum to 1.
        slips, skip: of the teacher, see `tasks.chain.teacher`.
        ends: share of documents that end in `<eos>`; the others run on after a new line.
        temperature, reasoning, max_new: of the responses that a reward model judges.
        size, context: of the model.
        sizes, slots: of the prompts, see `tasks.chain.sample`.
    """

    stage: str
    steps: int
    batch: int
    lr: float
    parents: tuple[Recipe, ...] = ()
    warmup: int = 0
    decay: float = 1.0
    mix: tuple[tuple[str, str, float], ...] = ()
    slips: str = "pretraining"
    skip: float = 0.0
    ends: float = 1.0
    temperature: float = 1.0
    reasoning: float = 0.7
    max_new: int = 40
    size: str = "s"
    context: int = CONTEXT
    sizes: tuple[int, int] = (3, 5)
    slots: int = 5

    def everywhere(self, **changes: Any) -> Recipe:
        """The recipe with these changes, in its parents too: another model's size, other prompts, fewer steps."""
        return replace(self, parents=tuple(parent.everywhere(**changes) for parent in self.parents), **changes)


BASE = Recipe(
    "base", steps=1200, batch=64, lr=2e-3, warmup=20, decay=0.1, ends=0.3,
    mix=(("R", "direct", 0.2), ("R", "short", 0.3), ("R", "long", 0.15), ("C", "direct", 0.35)),
)  # fmt: skip
INSTRUCT = Recipe(
    "instruct", parents=(BASE,), steps=250, batch=48, lr=5e-4, slips="instruct",
    mix=(("R", "short", 0.5), ("C", "direct", 0.5)),
)  # fmt: skip
DISTILLED = Recipe(
    "distilled", parents=(BASE,), steps=600, batch=48, lr=5e-4, slips="teacher", skip=0.1, mix=(("R", "long", 1.0),)
)
REWARD_MODEL = Recipe("reward_model", parents=(BASE, INSTRUCT), steps=80, batch=64, lr=5e-4, temperature=1.2)
POLICIES = {recipe.stage: recipe for recipe in (BASE, INSTRUCT, DISTILLED)}


# -- asking for weights -----------------------------------------------------------------------------------------------


def policy(stage: str, seed: int, *, size: str = "s", say: Say | None = None) -> dict[str, Tensor]:
    """State dict of a `Decoder`: base, instruct or distilled. Shipped, else kept from before, else made.

    Making takes up to a minute or two, of which `say` hears. Raises `UnknownName` for another stage or size,
    `InvalidValue` for a seed below 0.
    """
    if stage not in POLICIES:
        raise UnknownName("stage", stage, POLICIES)
    return weights(POLICIES[stage].everywhere(size=size), seed, say=say)


def reward_model(seed: int, *, size: str = "s", say: Say | None = None) -> dict[str, Tensor]:
    """State dict of a `Critic` that has learned to score finished responses at `<eos>`, otherwise as `policy`."""
    return weights(REWARD_MODEL.everywhere(size=size), seed, say=say)


def weights(recipe: Recipe, seed: int, *, say: Say | None = None) -> dict[str, Tensor]:
    """The state dict that a recipe of one's own makes; as `policy` otherwise."""
    found = shipped().get(f"{recipe.stage}-{_checked(seed)}")
    if found is not None and found["key"] == fingerprint(recipe, seed):
        return _load(SHIPPED / f"{recipe.stage}-{seed}.safetensors")

    def fill(folder: Path) -> None:
        save_file(make(recipe, seed, say=say), folder / "weights.safetensors")

    return _load(artifact(_key(recipe, seed), fill) / "weights.safetensors")


@cache
def shipped() -> dict[str, dict[str, Any]]:
    """What the package ships, by ``stage-seed``: `key` (see `fingerprint`) and what was measured."""
    index = SHIPPED / "weights.json"
    return json.loads(index.read_text())["weights"] if index.exists() else {}


def fingerprint(recipe: Recipe, seed: int) -> str:
    """24 hexadecimal digits that tell recipes and seeds apart."""
    text = json.dumps(_key(recipe, seed), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _key(recipe: Recipe, seed: int) -> dict[str, Any]:
    return {"what": "reinforcement weights", "version": VERSION, "seed": seed, "recipe": asdict(recipe)}


def _checked(seed: int) -> int:
    if seed < 0:
        raise InvalidValue(f"The seed of a model must be at least 0; got {seed}.")
    return seed


def _load(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise StoreError(
            f"The weights {path} cannot be read ({error}). Delete their folder to have them made again; if they came "
            "with the workbench, install it again."
        ) from error


# -- making them ------------------------------------------------------------------------------------------------------


def make(recipe: Recipe, seed: int, *, say: Say | None = None) -> dict[str, Tensor]:
    """Train a stage, its parents taken from `weights`. On one thread, whatever torch is set to: more are slower here.

    Raises `InvalidValue` for a recipe without steps or with an empty batch.
    """
    if recipe.steps < 1 or recipe.batch < 1:
        raise InvalidValue(
            f"The recipe of {recipe.stage} needs at least 1 step and a batch of 1; got {recipe.steps} and "
            f"{recipe.batch}."
        )
    parents = [weights(parent, seed, say=say) for parent in recipe.parents]
    # Stages of one seed draw apart from each other.
    rng = np.random.default_rng((_checked(seed), zlib.crc32(recipe.stage.encode())))
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    losses = _score if recipe.stage == REWARD_MODEL.stage else _imitate
    with _one_thread():
        model, batches = losses(recipe, parents, rng, generator)
        _train(model, batches, recipe, f"{recipe.stage} model of seed {seed}", say or (lambda _: None))
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _train(model: nn.Module, losses: Iterator[Tensor], recipe: Recipe, name: str, say: Say) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.lr)
    for step in range(recipe.steps):
        if step % 50 == 0:
            say(f"Training the {name}: step {step} of {recipe.steps}")
        for group in optimizer.param_groups:
            group["lr"] = recipe.lr * _pace(recipe, step)
        loss = next(losses)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


def _pace(recipe: Recipe, step: int) -> float:
    """The factor on the rate at a step."""
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    done = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    return recipe.decay + (1 - recipe.decay) * (1 + math.cos(math.pi * done)) / 2


def _imitate(
    recipe: Recipe, parents: list[dict[str, Tensor]], rng: np.random.Generator, generator: torch.Generator
) -> tuple[nn.Module, Iterator[Tensor]]:
    """A decoder, and the next-token losses it learns from: of all tokens without a parent, else of responses alone."""
    model = Decoder(recipe.size, context=recipe.context, generator=generator)
    if parents:
        model.load_state_dict(parents[0])

    def losses() -> Iterator[Tensor]:
        while True:
            rows = torch.from_numpy(examples(recipe, rng) if parents else packed(recipe, rng))
            yield imitation(model, rows, start=recipe.slots + 2 if parents else 1)

    return model, losses()


def _score(
    recipe: Recipe, parents: list[dict[str, Tensor]], rng: np.random.Generator, generator: torch.Generator
) -> tuple[nn.Module, Iterator[Tensor]]:
    """A critic on the first parent's trunk, and its squared errors at `<eos>` of the second parent's responses."""
    critic = Critic(recipe.size, context=recipe.context)
    critic.trunk.load_state_dict({n.removeprefix("trunk."): t for n, t in parents[0].items() if n.startswith("trunk.")})
    author = Decoder(recipe.size, context=recipe.context)
    author.load_state_dict(parents[1])

    def losses() -> Iterator[Tensor]:
        while True:
            prompts = chain.sample(
                rng, recipe.batch, reasoning=recipe.reasoning, sizes=recipe.sizes, slots=recipe.slots
            )
            taken = rollout(
                author, torch.from_numpy(prompts.tokens), max_new=recipe.max_new, temperature=recipe.temperature,
                generator=generator,
            )  # fmt: skip
            rewards = torch.from_numpy(chain.verify(prompts, taken.responses.numpy())).float()
            at = taken.tokens == EOS  # once a row, or never where it was cut off
            error = (critic(taken.tokens) - rewards[:, None])[at]
            yield error.square().sum() / max(1, len(error))

    return critic, losses()


# -- what they read ---------------------------------------------------------------------------------------------------


def documents(recipe: Recipe, rng: np.random.Generator, n: int) -> list[tuple[list[int], list[int]]]:
    """n pairs of prompt and response in the recipe's mix, in random order; all responses end in `<eos>`."""
    which = rng.choice(len(recipe.mix), n, p=[share for _, _, share in recipe.mix])
    made: list[tuple[list[int], list[int]]] = []
    for part, (kind, style, _) in enumerate(recipe.mix):
        if count := int((which == part).sum()):
            prompts = chain.sample(rng, count, reasoning=float(kind == "R"), sizes=recipe.sizes, slots=recipe.slots)
            responses = chain.teacher(rng, prompts, style, slips=recipe.slips, skip=recipe.skip)
            made += zip(prompts.tokens.tolist(), responses, strict=True)
    return [made[i] for i in rng.permutation(n)]


def examples(recipe: Recipe, rng: np.random.Generator) -> np.ndarray:
    """A batch of single documents (batch, T) with `<pad>` at the end, T as the longest needs."""
    return padded([prompt + response for prompt, response in documents(recipe, rng, recipe.batch)])


def packed(recipe: Recipe, rng: np.random.Generator) -> np.ndarray:
    """A batch of rows (batch, context + 1) filled with documents one after another, the last one cut off.

    Each row starts with a document, as prompts do when one samples.
    """
    rows: list[list[int]] = []
    row: list[int] = []
    while len(rows) < recipe.batch:
        ends = rng.random(4 * recipe.batch) < recipe.ends
        for (prompt, response), end in zip(documents(recipe, rng, 4 * recipe.batch), ends, strict=True):
            row += [*prompt, *response[:-1], EOS if end else NEWLINE]
            if len(row) > recipe.context:
                rows.append(row[: recipe.context + 1])
                row = []
    return np.array(rows[: recipe.batch], dtype=np.int64)
