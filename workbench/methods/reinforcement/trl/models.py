"""The model that is trained: a folder of the user's, or one that is made on disk in transformers' format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from workbench.cards.errors import MissingData
from workbench.data.artifacts import artifact
from workbench.methods.reinforcement._shared import stages
from workbench.methods.reinforcement._shared.model import CONTEXT, SIZES
from workbench.methods.reinforcement._shared.vocabulary import EOS, FORBIDDEN, PAD, SIZE, TOKENS

VERSION = 1  # raise it when the code below makes other files of the same name and seed
RANDOM = "random"
MADE = (RANDOM, *stages.POLICIES)


def folder(model: str, seed: int) -> Path:
    """Where the model lies; one of `MADE` is made there at first use, from the seed.

    Raises `MissingData` if there is no such folder.
    """
    if model in MADE:
        return artifact({"trl": VERSION, "model": model, "seed": seed}, lambda into: _make(model, seed, into))
    path = Path(model).expanduser()
    if not (path / "config.json").is_file():
        raise MissingData(
            f"There is no model in {path} (no config.json): give the folder of a causal language model in "
            f"transformers' format, with weights and tokenizer, or one of {', '.join(MADE)}. Nothing is downloaded."
        )
    return path


def load(path: Path) -> tuple[Any, Any]:
    """The causal language model and its tokenizer from local files."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(path, local_files_only=True)
    return model, AutoTokenizer.from_pretrained(path, local_files_only=True, padding_side="left")


def _make(name: str, seed: int, into: Path) -> None:
    model = _random(seed) if name == RANDOM else gpt2(stages.policy(name, seed, say=print))
    model.generation_config.suppress_tokens = list(FORBIDDEN)  # as the laboratory samples
    model.save_pretrained(into)
    tokenizer().save_pretrained(into)


def tokenizer() -> Any:
    """The laboratory's vocabulary as a tokenizer: a word a token, with the laboratory's numbers."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from transformers import PreTrainedTokenizerFast

    words = ["\\n" if word == "\n" else word for word in TOKENS]
    made = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token="_"))
    made.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=made, eos_token=words[EOS], pad_token=words[PAD], unk_token="_", padding_side="left"
    )


def _random(seed: int) -> Any:
    """A Llama of 64 units and 2 layers that has learned nothing."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=SIZE, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=64, bos_token_id=None, eos_token_id=EOS, pad_token_id=PAD, tie_word_embeddings=False,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config)


def gpt2(weights: dict[str, Tensor], size: str = "s") -> Any:
    """The laboratory's decoder as a GPT-2 that computes the same, up to rounding.

    GPT-2 has no bias behind its head, so it goes into that of the last LayerNorm: with W (vocabulary, width) of full
    row rank, W (b + W⁺ c) = W b + c.
    """
    from transformers import GPT2Config, GPT2LMHeadModel

    shape = SIZES[size]
    config = GPT2Config(
        vocab_size=SIZE, n_positions=CONTEXT, n_embd=shape.width, n_layer=shape.depth, n_head=shape.heads,
        n_inner=shape.hidden, activation_function="gelu", resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
        bos_token_id=None, eos_token_id=EOS, pad_token_id=PAD, tie_word_embeddings=False,
    )  # fmt: skip
    model = GPT2LMHeadModel(config)
    parts = {"norm1": "ln_1", "norm2": "ln_2", "qkv": "attn.c_attn", "out": "attn.c_proj", "up": "mlp.c_fc",
             "down": "mlp.c_proj"}  # fmt: skip
    head, norm = weights["head.weight"], weights["trunk.norm.bias"]
    shift = torch.linalg.pinv(head.double()) @ weights["head.bias"].double()
    found = {
        "transformer.wte.weight": weights["trunk.tokens.weight"],
        "transformer.wpe.weight": weights["trunk.positions.weight"],
        "transformer.ln_f.weight": weights["trunk.norm.weight"],
        "transformer.ln_f.bias": (norm.double() + shift).to(norm.dtype),
        "lm_head.weight": head,
    }
    for layer in range(shape.depth):
        for ours, theirs in parts.items():
            for kind in ("weight", "bias"):
                tensor = weights[f"trunk.blocks.{layer}.{ours}.{kind}"]
                turned = tensor.T if tensor.ndim == 2 else tensor  # GPT-2 keeps (in, out)
                found[f"transformer.h.{layer}.{theirs}.{kind}"] = turned.contiguous()
    model.load_state_dict(found)
    return model
