"""Prompts, teachers and verifiers: what is right is rewarded, nothing else, and slips are as frequent as asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.cards.errors import InvalidValue, UnknownName
from workbench.methods.reinforcement._shared import tasks
from workbench.methods.reinforcement._shared.tasks import STYLES, brackets, chain, format, sort
from workbench.methods.reinforcement._shared.vocabulary import (
    AGAIN,
    ANSWER,
    EOS,
    FILLER,
    PAD,
    SIZE,
    TOKENS,
    padded,
    parse,
    text,
)

NAMES = tasks.names()
FAULTLESS = (0.0, 0.0, 0.0)


def prompts(words: str, answer: str, kind: int = 0) -> tasks.Prompts:
    tokens = parse(words)
    size = sum(t != FILLER for t in tokens) - 2
    return tasks.Prompts(np.array([tokens]), (tuple(parse(answer)),), np.array([kind]), np.array([size]))


def reward(words: str, answer: str, response: str) -> float:
    asked = prompts(words, answer)
    return float(chain.verify(asked, padded([parse(response)], 40))[0])


# -- words ------------------------------------------------------------------------------------------------------------


def test_there_are_thirty_tokens_each_once():
    assert SIZE == len(set(TOKENS)) == 30
    assert [TOKENS[t] for t in (ANSWER, AGAIN, FILLER, EOS, PAD)] == ["A", "V", "_", "<eos>", "<pad>"]


@given(st.lists(st.integers(0, SIZE - 1)).filter(lambda row: not row or row[-1] != PAD))
def test_text_can_be_read_back(tokens):
    assert parse(text(tokens)) == tokens
    assert text([*tokens, PAD, PAD]) == text(tokens)


def test_text_and_words_that_are_none_are_refused():
    with pytest.raises(InvalidValue, match="from 0 to 29; got 30"):
        text([30])
    with pytest.raises(UnknownName, match="no token 'k'"):
        parse("a k")
    with pytest.raises(InvalidValue, match="3 tokens does not fit into 2"):
        padded([[1, 2, 3]], 2)


# -- every task -------------------------------------------------------------------------------------------------------


def test_tasks_are_found_by_file_chain_first():
    assert NAMES == ("chain", "brackets", "copy", "format", "sort")
    with pytest.raises(UnknownName, match=r"There is no task 'chian'\. Did you mean 'chain'"):
        tasks.task("chian")


@pytest.mark.parametrize("name", NAMES)
@given(seed=st.integers(0, 2**32 - 1), style=st.sampled_from(STYLES))
def test_a_teacher_who_does_not_slip_is_always_right(name, seed, style):
    task, rng = tasks.task(name), np.random.default_rng(seed)
    asked = task.sample(rng, 8)
    responses = padded(task.teacher(rng, asked, style, slips=FAULTLESS), 40)
    assert task.verify(asked, responses).tolist() == [1.0] * 8
    assert parse(task.text(responses[0])) == responses[0][responses[0] != PAD].tolist()
    thinks = (asked.kinds == 0) & (style != "direct")
    assert (task.first_pass_right(asked, responses) == thinks).all()
    assert (task.passes(responses) == (thinks & (style == "long"))).all()  # the second pass agrees


@pytest.mark.parametrize("name", NAMES)
def test_slips_cost_reward_and_verifying_earns_it_back(name):
    task, rng = tasks.task(name), np.random.default_rng(0)
    asked = task.sample(rng, 2000)
    asked = asked.take(np.flatnonzero(asked.kinds == 0))
    short, long = (padded(task.teacher(rng, asked, style), 40) for style in ("short", "long"))
    assert task.verify(asked, short).mean() < 0.8
    assert task.verify(asked, long).mean() > task.verify(asked, short).mean() + 0.2
    assert (task.first_pass_right(asked, short) == (task.verify(asked, short) == 1)).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_same_generator_state_draws_the_same(name):
    task = tasks.task(name)
    one, two = (task.sample(np.random.default_rng(3), 20) for _ in range(2))
    assert (one.tokens == two.tokens).all()
    assert one.answers == two.answers
    a, b = (task.teacher(np.random.default_rng(4), one, "long") for _ in range(2))
    assert a == b


@pytest.mark.parametrize("name", NAMES)
def test_bad_requests_get_a_sentence(name):
    task, rng = tasks.task(name), np.random.default_rng(0)
    asked = task.sample(rng, 2)
    with pytest.raises(InvalidValue, match="number of prompts must be at least 1; got 0"):
        task.sample(rng, 0)
    with pytest.raises(InvalidValue, match=r"at most the \d slots; got sizes 3 to 99"):
        task.sample(rng, 2, sizes=(3, 99))
    with pytest.raises(UnknownName, match="style of response 'lang'"):
        task.teacher(rng, asked, "lang")
    with pytest.raises(UnknownName, match="slip setting 'techer'"):
        task.teacher(rng, asked, "long", slips="techer")
    with pytest.raises(InvalidValue, match="chances from 0 to 1"):
        task.teacher(rng, asked, "long", slips=(0.2, 1.2))
    with pytest.raises(InvalidValue, match="skip"):
        task.teacher(rng, asked, "long", skip=-0.1)
    with pytest.raises(InvalidValue, match=r"\(2, T\), a row for each prompt; got \(3, 4\)"):
        task.verify(asked, np.zeros((3, 4), dtype=np.int64))
    with pytest.raises(InvalidValue, match="mask must have the responses' shape"):
        task.verify(asked, np.zeros((2, 4), dtype=np.int64), np.ones((2, 3), dtype=bool))


def test_groups_repeat_each_prompt():
    asked = chain.sample(np.random.default_rng(0), 3)
    groups = asked.repeat(2)
    assert groups.answers == tuple(a for a in asked.answers for _ in range(2))
    assert (groups.tokens[::2] == asked.tokens).all()
    assert len(groups) == 6
    with pytest.raises(InvalidValue, match=r"group size.* at least 1; got 0"):
        asked.repeat(0)


# -- the verifier -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("response", "right"),
    [
        ("A 6 <eos>", 1),
        ("1 1 2 3 3 6 A 6 <eos>", 1),
        ("9 9 V V A 5 A 6 <eos>", 1),  # only what follows the last A counts
        ("A 6 <eos> 7", 1),  # nothing after <eos> does
        ("A 6", 0),  # cut off
        ("A 6 6 <eos>", 0),
        ("A <eos>", 0),
        ("6 <eos>", 0),
        ("A 6 V <eos>", 0),
        ("A 6 A <eos>", 0),
        ("<eos> A 6 <eos>", 0),
        ("A 5 <eos>", 0),
    ],
)
def test_the_verifier_wants_the_answer_between_the_last_a_and_the_end(response, right):
    assert reward("R 1 2 3 _ _ =", "6", response) == right


def test_a_response_ends_within_the_columns_given():
    asked = prompts("R 1 2 3 _ _ =", "6")
    filling = parse("1 " * 37 + "A 6 <eos>")
    assert chain.verify(asked, np.array([filling]))[0] == 1
    assert chain.verify(asked, np.array([filling[:-1]]))[0] == 0


def test_what_the_mask_leaves_out_does_not_count():
    asked, responses = prompts("R 1 2 3 _ _ =", "6"), padded([parse("A 6 <eos>")], 5)
    mask = responses != PAD
    assert chain.verify(asked, responses, mask)[0] == 1
    mask[0, 2] = False
    assert chain.verify(asked, responses, mask)[0] == 0


def test_the_vectorised_verifier_agrees_with_the_sentence_that_defines_it():
    rng = np.random.default_rng(0)
    asked = chain.sample(rng, 3000)
    rows = [list(r) for r in chain.teacher(rng, asked, "long")]
    for row in rows:  # break most of them somewhere
        row[rng.integers(len(row))] = int(rng.choice([ANSWER, EOS, AGAIN, *range(20)]))
    expected = []
    for row, answer in zip(rows, asked.answers, strict=True):
        until = row[: row.index(EOS)] if EOS in row else []
        last = max((i for i, t in enumerate(until) if t == ANSWER), default=len(until))
        expected.append(float(tuple(until[last + 1 :]) == answer))
    np.testing.assert_array_equal(chain.verify(asked, padded(rows, 40)), expected)
    assert 0.05 < np.mean(expected) < 0.95


def test_passes_and_the_first_of_them_stop_at_the_end():
    asked = prompts("R 1 2 3 _ _ =", "6")
    row = padded([parse("1 1 2 3 3 6 V 1 2 A 6 <eos> V V")])
    assert chain.passes(row).tolist() == [1]
    assert chain.first_pass_right(asked, row).tolist() == [True]
    assert chain.first_pass_right(asked, padded([parse("1 1 2 3 3 5 V 6 A 6 <eos>")])).tolist() == [False]
    assert chain.first_pass_right(asked, padded([parse("A 6 <eos>")])).tolist() == [False]


# -- chain ------------------------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 2**32 - 1), low=st.integers(1, 8), more=st.integers(0, 7), reasoning=st.floats(0, 1))
def test_prompts_of_chain_are_as_told(seed, low, more, reasoning):
    high = min(8, low + more)
    asked = chain.sample(np.random.default_rng(seed), 16, reasoning=reasoning, sizes=(low, high), slots=8)
    assert asked.tokens.shape == (16, 10)
    assert ((low <= asked.sizes) & (asked.sizes <= high)).all()
    for row, answer, kind, size in zip(asked.tokens, asked.answers, asked.kinds, asked.sizes, strict=True):
        words = text(row).split()
        operands = words[1 : 1 + size]
        assert words == ["RC"[kind], *operands, *"_" * (8 - size), "="]
        assert text(answer) == (" ".join(reversed(operands)) if kind else str(sum(map(int, operands)) % 10))


def test_the_share_of_reasoning_is_as_asked():
    rng = np.random.default_rng(0)
    assert chain.sample(rng, 4000).kinds.mean() == pytest.approx(0.3, abs=0.03)
    assert chain.sample(rng, 50, reasoning=1).kinds.sum() == 0
    assert chain.sample(rng, 50, reasoning=0).kinds.sum() == 50
    with pytest.raises(InvalidValue, match=r"reasoning.* from 0 to 1; got 1.5"):
        chain.sample(rng, 1, reasoning=1.5)


def test_a_slip_is_carried_on_and_as_frequent_as_asked():
    rng = np.random.default_rng(0)
    asked = chain.sample(rng, 4000, reasoning=1)
    slipped = total = 0
    for row in chain.teacher(rng, asked, "short", slips=(0.25,)):
        pass_, before = row[: row.index(ANSWER)], 0
        for operand, running in zip(pass_[::2], pass_[1::2], strict=True):
            slipped += running != (before + operand) % 10
            total += 1
            before = running
        assert row[-2] == before
    assert slipped / total == pytest.approx(0.25, abs=0.015)


def test_long_responses_stop_when_two_passes_agree_or_after_the_third():
    rng = np.random.default_rng(0)
    asked = chain.sample(rng, 2000, reasoning=1)
    counts = []
    for row in chain.teacher(rng, asked, "long"):
        passes = text(row[: row.index(ANSWER)]).split(" V ")
        results = [p.split()[-1] for p in passes]
        counts.append(len(passes))
        assert text(row[-2:-1]) == results[-1]
        assert results[0] != results[1] or len(passes) == 2
        assert len(passes) in (2, 3)
    assert max(len(r) for r in chain.teacher(rng, asked, "long")) <= 40
    single = [AGAIN not in row for row in chain.teacher(rng, asked, "long", skip=0.1)]
    assert np.mean(single) == pytest.approx(0.1, abs=0.025)
    assert 2.5 < np.mean(counts) < 2.9


def test_chat_is_answered_at_once_in_every_style():
    rng = np.random.default_rng(0)
    asked = chain.sample(rng, 20, reasoning=0)
    for style in STYLES:
        rows = chain.teacher(rng, asked, style)
        assert rows == [[ANSWER, *answer, EOS] for answer in asked.answers]


# -- the other tasks --------------------------------------------------------------------------------------------------


def test_brackets_balance_as_often_as_asked():
    rng = np.random.default_rng(0)
    asked = brackets.sample(rng, 2000, slots=8, sizes=(2, 8))
    assert np.mean([a == (1,) for a in asked.answers]) == pytest.approx(0.5, abs=0.04)
    assert set(asked.sizes.tolist()) == {2, 4, 6, 8}
    for row, answer in zip(asked.tokens[:200], asked.answers, strict=False):
        string = text(row).replace(" ", "")[1:-1].strip("_")
        while "ab" in string:
            string = string.replace("ab", "")
        assert answer == (int(string == ""),)
    with pytest.raises(InvalidValue, match="even number; got 3 to 3"):
        brackets.sample(rng, 1, sizes=(3, 3))
    with pytest.raises(InvalidValue, match="balanced"):
        brackets.sample(rng, 1, balanced=2)


def test_sorting_takes_the_smallest_left_from_its_slot():
    asked = prompts("R 3 1 3 0 _ =", "0 1 3 3")
    assert text(sort.teacher(np.random.default_rng(0), asked, "short", slips=(0.0,))[0]) == (
        "d 0 b 1 a 3 c 3 A 0 1 3 3 <eos>"
    )


def test_an_answer_without_its_frame_is_worth_nothing():
    asked = format.sample(np.random.default_rng(0), 1)
    total = text(asked.answers[0]).split()[1]
    given_ = padded([parse(f"A = {total} = <eos>")]), padded([parse(f"A {total} <eos>")])
    assert [format.verify(asked, g)[0] for g in given_] == [1, 0]
