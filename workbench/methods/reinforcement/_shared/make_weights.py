"""Make the weights that the package ships, and measure them.

    python -m workbench.methods.reinforcement._shared.make_weights

It trains them anew (about seven minutes of one core), never takes them from the store of artifacts, and writes
`weights/<stage>-<seed>.safetensors` (float32) and `weights/weights.json` beside this file.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from workbench.methods.reinforcement._shared.model import Critic, Decoder
from workbench.methods.reinforcement._shared.sampling import logprobs, rollout
from workbench.methods.reinforcement._shared.stages import (
    BASE,
    DISTILLED,
    INSTRUCT,
    REWARD_MODEL,
    SHIPPED,
    Recipe,
    fingerprint,
    shipped,
    weights,
)  # fmt: skip
from workbench.methods.reinforcement._shared.tasks import chain
from workbench.methods.reinforcement._shared.vocabulary import EOS, FILLER, PAD

MADE = ((BASE, 1), (INSTRUCT, 1), (DISTILLED, 1), (REWARD_MODEL, 1), (BASE, 2), (BASE, 3))
PROMPTS = 1024  # of each kind, in a measurement


@torch.no_grad()
def quality(state: dict[str, Tensor], *, seed: int = 0, prompts: int = PROMPTS) -> dict[str, float]:
    """What a policy of size s does at temperature 1: by kind accuracy, length (tokens), share cut off; entropy (nats).

    `truncated_free` is the share that is cut off where new lines may be sampled.
    """
    model = Decoder()
    model.load_state_dict(state)
    found: dict[str, Any] = {}
    for kind, reasoning in (("R", 1.0), ("C", 0.0)):
        asked = chain.sample(np.random.default_rng(seed), prompts, reasoning=reasoning)
        tokens = torch.from_numpy(asked.tokens)
        generator = torch.Generator().manual_seed(seed)
        taken = rollout(model, tokens, max_new=40, temperature=1.0, generator=generator)
        _, entropy = logprobs(model, taken)
        responses = taken.responses.numpy()
        found |= {
            f"accuracy_{kind}": chain.verify(asked, responses).mean(),
            f"length_{kind}": taken.lengths.double().mean(),
            f"truncated_{kind}": taken.truncated.double().mean(),
            f"passes_{kind}": chain.passes(responses).mean(),
            f"entropy_{kind}": entropy.sum() / taken.mask.sum(),
        }
        free = rollout(model, tokens, max_new=40, temperature=1.0, generator=generator, forbidden=(PAD, FILLER))
        found[f"truncated_free_{kind}"] = free.truncated.double().mean()
    return {name: round(float(value), 4) for name, value in found.items()}


@torch.no_grad()
def judgement(state: dict[str, Tensor], author: dict[str, Tensor], *, seed: int = 0) -> dict[str, float]:
    """How a reward model of size s scores an author's finished responses: squared error, and that of a constant."""
    critic, model = Critic(), Decoder()
    critic.load_state_dict(state)
    model.load_state_dict(author)
    asked = chain.sample(np.random.default_rng(seed), PROMPTS)
    taken = rollout(
        model, torch.from_numpy(asked.tokens), max_new=40, temperature=REWARD_MODEL.temperature,
        generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip
    rewards = torch.from_numpy(chain.verify(asked, taken.responses.numpy())).float()[~taken.truncated]
    scores = critic(taken.tokens)[taken.tokens == EOS]
    found = {"mse": (scores - rewards).square().mean(), "mse_of_mean": rewards.var(correction=0)}
    return {name: round(float(value), 4) for name, value in found.items()}


def write(made: tuple[tuple[Recipe, int], ...], folder: Path, *, prompts: int = PROMPTS) -> None:
    """Make these in order (a reward model after its author) and write them with their index into `folder`.

    `prompts` of each kind measure a policy.
    """
    index: dict[str, Any] = {}
    states: dict[str, dict[str, Tensor]] = {}
    for recipe, seed in made:
        name = f"{recipe.stage}-{seed}"
        states[name] = state = weights(recipe, seed, say=print)
        judged = recipe.stage == REWARD_MODEL.stage
        measured = judgement(state, states[f"instruct-{seed}"]) if judged else quality(state, prompts=prompts)
        index[name] = {"key": fingerprint(recipe, seed), **measured}
        print(name, index[name], flush=True)
        path = folder / f"{name}.safetensors"
        save_file(state, path)
        path.chmod(0o644)  # safetensors writes for its owner alone
    text = json.dumps({"torch": torch.__version__, "numpy": np.__version__, "weights": index}, indent=1)
    (folder / "weights.json").write_text(text + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    SHIPPED.mkdir(exist_ok=True)
    (SHIPPED / "weights.json").unlink(missing_ok=True)  # else what is shipped would be handed out again
    shipped.cache_clear()
    with tempfile.TemporaryDirectory() as empty:
        os.environ["WORKBENCH_ARTIFACTS"] = empty
        write(MADE, SHIPPED)
