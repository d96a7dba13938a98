"""The laboratory's sampler against `generate` of Hugging Face: the same model in GPT-2's format, the same batch."""

from __future__ import annotations

import torch

from tests.benchmarks.blocks import Block, interleave, ratios, timed
from tests.benchmarks.figures import Row, of
from workbench.methods.reinforcement._shared import stages
from workbench.methods.reinforcement._shared.model import Decoder
from workbench.methods.reinforcement._shared.sampling import rollout
from workbench.methods.reinforcement._shared.tasks import task
from workbench.methods.reinforcement._shared.vocabulary import EOS, FORBIDDEN
from workbench.methods.reinforcement.trl.models import gpt2
from workbench.steering.randomness import Streams

NUMBER = 25
BATCH, TOKENS = 128, 40


def measure(quick: bool) -> Row:
    """Sample the same number of tokens from the same weights both ways, interleaved."""
    torch.set_num_threads(1)
    calls, rounds = (1, 2) if quick else (4, 12)
    weights = stages.policy("instruct", 1)
    ours, theirs = Decoder("s"), gpt2(weights).eval()
    ours.load_state_dict(weights)
    prompts = torch.from_numpy(task("chain").sample(Streams(0).numpy("eval"), BATCH).tokens)
    never = (*FORBIDDEN, EOS)  # nobody ends early, so that both sample every token

    def sample(into: list[Block]) -> None:
        generator = torch.Generator().manual_seed(0)
        with timed(calls, into):
            for _ in range(calls):
                taken = rollout(
                    ours, prompts, max_new=TOKENS, temperature=1.0, generator=generator, forbidden=never
                )  # fmt: skip
                assert taken.lengths.tolist() == [TOKENS] * BATCH

    def generate(into: list[Block]) -> None:
        torch.manual_seed(0)
        mask = torch.ones_like(prompts)
        with timed(calls, into), torch.no_grad():
            for _ in range(calls):
                taken = theirs.generate(
                    prompts, attention_mask=mask, do_sample=True, temperature=1.0, top_k=0, top_p=1.0,
                    max_new_tokens=TOKENS, suppress_tokens=list(never),
                )  # fmt: skip
                assert taken.shape == (BATCH, prompts.shape[1] + TOKENS)

    found = interleave({"sampler": sample, "generate": generate}, rounds)
    return Row(
        "Reinforcement learning: the laboratory's sampler against Hugging Face's generate",
        f"{rounds} interleaved blocks of {calls} batches, one thread; {BATCH} prompts of {prompts.shape[1]} tokens, "
        f"{TOKENS} tokens sampled for each, nobody ends early; the same 107,000 weights as our decoder and as a GPT-2 "
        "of transformers, both with their cache.",
        [of("time of generate over ours", ratios(found, "generate", "sampler"), "×", least=2.0)],
        [
            of("ours, a batch", [1e3 * b.wall for b in found["sampler"]], "ms"),
            of("generate, a batch", [1e3 * b.wall for b in found["generate"]], "ms"),
            of("the same ratio, CPU time", ratios(found, "generate", "sampler", "cpu"), "×"),
            of("tokens a second, ours", [BATCH * TOKENS / b.wall for b in found["sampler"]], "/s"),
        ],
        note="With 128 rows about 60 % of the CPU time of ours is attention and matrix products (profiled), which "
        "generate needs as well.",
    )
