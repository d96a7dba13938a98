"""What the golden vectors do not reach: the two masks of ER-ACE, and every strategy's losses."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F

from workbench.cards.parts import names, part
from workbench.methods.continual._shared.learner import Part, Step
from workbench.methods.continual._shared.parts import STRATEGIES
from workbench.methods.continual._shared.strategies.er_ace import competitors

CONFIG = SimpleNamespace(alpha=0.2, beta=0.5, mask="exact")


def made(labels: list[int], seed: int) -> Part:
    g = torch.Generator().manual_seed(seed)
    y = torch.tensor(labels)
    return Part(
        torch.empty(len(y)), y, y // 2, torch.randn(len(y), 6, generator=g), torch.randn(len(y), 6, generator=g)
    )


def step(*, replays: int, task: int = 1) -> Step:
    seen = torch.tensor([True, True, True, True, False, False])
    return Step(made([2, 3, 2], 0), [made([0, 1], 1 + i) for i in range(replays)], task, seen, CONFIG)


def test_the_exact_mask_lets_present_and_unseen_classes_compete():
    seen = torch.tensor([True, True, True, True, False, False])
    assert competitors(torch.tensor([2]), seen, "exact").tolist() == [False, False, True, False, True, True]


def test_the_authors_mask_lets_the_largest_seen_class_compete_even_if_it_is_old():
    seen = torch.tensor([True, True, True, True, False, False])
    assert competitors(torch.tensor([2]), seen, "paper_code").tolist() == [False, False, True, True, True, True]
    everything = torch.ones(6, dtype=torch.bool)
    assert competitors(torch.tensor([4]), everything, "paper_code").tolist() == [False] * 4 + [True, False]
    assert competitors(torch.tensor([4]), everything, "exact").tolist() == [False] * 4 + [True, False]


def test_every_strategy_is_found_and_says_what_it_replays():
    found = {n: part(STRATEGIES, n, what="strategy") for n in names(STRATEGIES)}
    assert {n: (m.draws(0), m.draws(1), m.MIXED) for n, m in found.items()} == {
        "finetune": (0, 0, False), "joint": (0, 0, True), "er": (1, 1, False), "er_ace": (0, 1, False),
        "derpp": (2, 2, False),
    }  # fmt: skip


@pytest.mark.parametrize("name", names(STRATEGIES))
def test_without_a_replay_only_the_new_images_count(name):
    now = step(replays=0, task=0)
    fresh, replayed = part(STRATEGIES, name, what="strategy").loss(now)
    assert float(fresh) == pytest.approx(float(F.cross_entropy(now.new.logits, now.new.labels)))
    assert float(replayed) == 0


def test_plain_replay_weighs_new_and_replayed_images_alike():
    now = step(replays=1)
    fresh, replayed = part(STRATEGIES, "er", what="strategy").loss(now)
    assert float(fresh) == pytest.approx(float(F.cross_entropy(now.new.logits, now.new.labels)))
    old = now.replays[0]
    assert float(replayed) == pytest.approx(float(F.cross_entropy(old.logits, old.labels)))


def test_old_classes_get_no_gradient_from_new_images_under_the_mask():
    now = step(replays=0)
    now.new.logits.requires_grad_()
    part(STRATEGIES, "er_ace", what="strategy").loss(now)[0].backward()
    gradient = now.new.logits.grad
    assert gradient is not None
    assert (gradient[:, :2] == 0).all()
    assert (gradient[:, 4:] > 0).all()
