"""The cosine head and the backdoor mix equal the authors' code; the losses are tested with the family's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from workbench.methods.imbalance.foundation_bias import backdoor
from workbench.methods.imbalance.foundation_bias.heads import SCALE, cosine

ARRAYS = {
    name: torch.tensor(array)
    for name, array in np.load(Path(__file__).parents[3] / "golden" / "longtail_backdoor.npz").items()
}
MODELS = range(3)


def logits() -> torch.Tensor:
    return torch.stack([cosine(ARRAYS[f"features_{k}"], ARRAYS[f"head_{k}"]) for k in MODELS])


def test_cosine_logits_are_the_authors():
    assert float(ARRAYS["cosine_scale"]) == SCALE
    for k, found in enumerate(logits()):
        np.testing.assert_allclose(found, ARRAYS[f"cosine_logits_{k}"], rtol=1e-10, atol=1e-10)


def test_the_mix_and_what_it_answers_are_the_authors():
    found = backdoor.adjust(logits(), crops=int(ARRAYS["n_crops"]))
    np.testing.assert_allclose(found, ARRAYS["backdoor_logits"], rtol=1e-10, atol=1e-10)
    assert torch.equal(found.argmax(1), ARRAYS["backdoor_pred"])


def test_even_weights_answer_as_the_released_sum():
    even = backdoor.adjust(logits(), torch.full((3,), 1 / 3, dtype=torch.float64))
    torch.testing.assert_close(3 * even, ARRAYS["backdoor_logits"])
