"""The trainer of reinforcement/trl: TRL's own, on prompts that the laboratory's tasks draw."""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np

from workbench.cards.errors import InvalidValue, MissingData
from workbench.cards.protocols import SessionProtocol
from workbench.methods.reinforcement._shared.tasks import Prompts, task
from workbench.methods.reinforcement._shared.vocabulary import text
from workbench.methods.reinforcement.trl import models
from workbench.methods.reinforcement.trl.knobs import Trl
from workbench.methods.reinforcement.trl.rewards import Rewards

try:
    from datasets import Dataset  # type: ignore[import-untyped]
    from trl import GRPOConfig, GRPOTrainer  # type: ignore[attr-defined]
except ImportError as error:
    raise MissingData(
        f"reinforcement/trl needs the package {error.name}, which is not installed: "
        "pip install 'balance-workbench[rl]'."
    ) from error

ASK = "Add up these digits: {digits}. Think step by step, then write A and the last digit of the sum, and stop."


def trainer(config: Trl, session: SessionProtocol) -> Any:
    """A `GRPOTrainer` that is ready to train for the run's steps.

    Raises `MissingData` if the model's folder or a package is missing, `InvalidValue` if the model has no room for
    the responses.
    """
    model, tokenizer = models.load(models.folder(config.model, config.model_seed))
    world, prompts = task("chain"), _prompts(config, session)
    asked = [text(row) for row in prompts.tokens] if config.model in models.MADE else _in_english(prompts)
    longest = max(len(ids) for ids in tokenizer(asked)["input_ids"])
    room = getattr(model.config, "max_position_embeddings", None)
    if room is not None and longest + config.max_new > room:
        raise InvalidValue(
            f"max_new must be at most {room - longest} with this model, which has room for {room} tokens, of which a "
            f"prompt takes {longest}; got {config.max_new}."
        )
    eos = model.generation_config.eos_token_id
    ends = [tokenizer.eos_token_id, *(eos if isinstance(eos, list) else [eos])]
    made = GRPOTrainer(
        model=model,
        reward_funcs=Rewards(config, world, prompts, ends).functions(),
        args=_arguments(config, session, suppress=model.generation_config.suppress_tokens),
        train_dataset=Dataset.from_dict({"prompt": asked, "row": list(range(len(prompts)))}),
        processing_class=tokenizer,
        peft_config=_lora(config),
    )
    made.beta = config.beta
    return made


def _prompts(config: Trl, session: SessionProtocol) -> Prompts:
    """Those of every batch until the end, one draw a batch, so that a longer run begins with the same."""
    each, batches = config.batch_size // config.group_size, -(-config.steps // config.reuse)
    drawn = [task("chain").sample(session.rng("data", "prompts", b), each, reasoning=1.0) for b in range(batches)]
    return Prompts(
        tokens=_joined(drawn, "tokens"), answers=tuple(a for d in drawn for a in d.answers),
        kinds=_joined(drawn, "kinds"), sizes=_joined(drawn, "sizes"),
    )  # fmt: skip


def _joined(drawn: list[Prompts], name: str) -> Any:
    return np.concatenate([getattr(d, name) for d in drawn])


def _in_english(prompts: Prompts) -> list[str]:
    """The same questions for a model that has learned from people."""
    rows = zip(prompts.tokens.tolist(), prompts.sizes.tolist(), strict=True)
    return [ASK.format(digits=" ".join(map(str, row[1 : 1 + size]))) for row, size in rows]


def _arguments(config: Trl, session: SessionProtocol, suppress: list[int] | None) -> GRPOConfig:
    c, o = config, config.optimizer
    cuda = c.device == "cuda"
    return GRPOConfig(
        output_dir=tempfile.gettempdir(), max_steps=c.steps, seed=session.seed, use_cpu=not cuda, bf16=cuda,
        per_device_train_batch_size=c.batch_size, gradient_accumulation_steps=1, steps_per_generation=1,
        num_generations=c.group_size, num_iterations=c.reuse, max_completion_length=c.max_new,
        temperature=c.temperature, generation_kwargs={"suppress_tokens": suppress} if suppress else None,
        # A reference is made only for a beta above 0, and beta may rise later.
        beta=c.beta or 1.0, epsilon=c.epsilon, epsilon_high=c.epsilon_high, loss_type=c.loss,
        scale_rewards=c.scale_rewards, max_grad_norm=c.grad_clip, learning_rate=o.lr, weight_decay=o.weight_decay,
        adam_beta1=o.beta1, adam_beta2=o.beta2, lr_scheduler_type="constant",  # type: ignore[attr-defined]
        shuffle_dataset=False, disable_dropout=True, gradient_checkpointing=cuda, logging_steps=1, save_strategy="no",
        report_to="none", disable_tqdm=True,
    )  # fmt: skip


def _lora(config: Trl) -> Any:
    if not config.lora_rank:
        return None
    from peft import LoraConfig

    return LoraConfig(
        r=config.lora_rank, lora_alpha=2 * config.lora_rank, target_modules="all-linear", task_type="CAUSAL_LM"
    )
