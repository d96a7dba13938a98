"""Claims: the statistics of verdicts, which runs may stand for others, and campaigns from launch to result."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
import time
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from tests.runs import toy_family
from tests.runs.toy_family import all_six, trained
from workbench.cards import Claim, Comparison, InvalidValue, UnknownName, WorkbenchError, card, experiments
from workbench.cli import main
from workbench.runs import Run, Store, compose
from workbench.runs.claims import Campaign, find_claims, load, results, reuse, save
from workbench.runs.claims.campaign import seeds_of
from workbench.runs.claims.measure import arm_of, check_claim, measure, without_runs
from workbench.runs.claims.results import declared, seconds
from workbench.runs.claims.tables import headline, page, rows
from workbench.runs.claims.verdicts import in_words, interval, judge, together


def rule(name="interval", **fields):
    return Comparison(("a", "b"), "error", **{"direction": "lower", "rule": name, "k": 2.0, **fields})


# -- statistics --------------------------------------------------------------------------


def test_the_interval_is_the_textbooks():
    """Student's t for 4 degrees of freedom at 90 %, two-sided, is 2.1318."""
    low, high = interval([1.0, 2.0, 3.0, 4.0, 5.0])
    half = 2.131846786 * math.sqrt(2.5) / math.sqrt(5)
    assert (low, high) == pytest.approx((3 - half, 3 + half))


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=9), st.floats(0, 100))
def test_turning_everything_round_changes_no_verdict(differences, margin):
    for name in ("interval", "se", "mean", "all_pairs", "count"):
        there = judge(rule(name, margin=margin, count=2), differences, declared=len(differences))
        back = judge(
            rule(name, margin=margin, count=2, direction="higher"), [-d for d in differences], declared=len(differences)
        )
        assert (there.verdict, there.held) == (back.verdict, back.held)


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=9), st.sampled_from(["interval", "se", "mean", "all_pairs"]))
def test_reproduced_has_a_direction_and_not_reproduced_has_not(differences, name):
    judged = judge(rule(name), differences, declared=len(differences))
    assert (judged.verdict == "not reproduced") == (judged.mean >= 0)
    if judged.verdict == "reproduced" and name == "interval":
        assert judged.high < 0


@pytest.mark.parametrize(
    ("differences", "margin", "verdict"),
    [
        ([-5.0, -5.0, -5.0], 5.0, "reproduced"),  # the mean is the margin, and there is no spread
        ([-5.0, -5.0, -5.0], 5.0001, "partly"),
        ([-1.0, -9.0, -5.0], 0.0, "partly"),  # the interval reaches over 0
        ([0.0, 0.0, 0.0], 0.0, "not reproduced"),  # a mean of 0 is no direction
        ([1.0, 2.0, -3.0], 0.0, "not reproduced"),
        ([1.0, 2.0, 3.0], 0.0, "not reproduced"),
        ([0.5, 1.0, 1.5], -2.0, "reproduced"),  # not worse by 2
        ([2.5, 3.0, 3.5], -2.0, "not reproduced"),
        ([0.5, 1.9, 3.0], -2.0, "partly"),
    ],
)
def test_the_edges_of_the_interval_rule(differences, margin, verdict):
    assert judge(rule(margin=margin), differences, declared=3).verdict == verdict


def test_an_interval_that_just_touches_0_does_not_exclude_it():
    differences = np.array([1.0, 2.0, 3.0])
    half = interval(differences)[1] - 2.0
    below = differences - 2.0 - half  # its upper end is 0, but for rounding
    assert judge(rule(), list(below - 1e-9), declared=3).verdict == "reproduced"
    assert judge(rule(), list(below + 1e-9), declared=3).verdict == "partly"


def test_the_other_rules_by_hand():
    three_of_four = [-1.0, -2.0, -3.0, 0.5]
    assert judge(rule("count", count=3), three_of_four, declared=4).verdict == "reproduced"
    assert judge(rule("count", count=4), three_of_four, declared=4).verdict == "partly"
    assert judge(rule("count", count=2), [1.0, 1.0, 9.0, -1.0], declared=4).verdict == "not reproduced"
    assert judge(rule("count", count=3), three_of_four * 2, declared=4).verdict == "reproduced"  # 6 of 8
    assert judge(rule("all_pairs"), three_of_four, declared=4).verdict == "partly"
    assert judge(rule("all_pairs", margin=1.0), [-1.0, -2.0], declared=2).verdict == "reproduced"
    assert judge(rule("mean", margin=1.3), three_of_four, declared=4).verdict == "reproduced"
    spread = [-1.0, -2.0, -3.0]  # standard error 0.577
    assert judge(rule("se", k=3.0), spread, declared=3).verdict == "reproduced"
    assert judge(rule("se", k=4.0), spread, declared=3).verdict == "partly"
    assert judge(rule("exact"), [True, True], declared=2).verdict == "reproduced"
    assert judge(rule("exact"), [True, False], declared=2).verdict == "not reproduced"


def test_a_factor_is_for_the_size_and_not_for_the_direction():
    """At most 0.7 of the other's: 8 against 10 has the direction only."""
    judged = judge(rule(factor=0.7), [8 - 7.0] * 3, [8 - 10.0] * 3, declared=3)
    assert judged.verdict == "partly"


def test_what_cannot_be_judged_is_inconclusive():
    for differences in ([], [-1.0, math.nan], [-1.0, math.inf], [-1.0]):
        assert judge(rule(), differences, declared=3).verdict == "inconclusive"


def test_several_comparisons_together():
    assert together(["reproduced", "reproduced"]) == "reproduced"
    assert together(["reproduced", "not reproduced"]) == "partly"
    assert together(["not reproduced", "not reproduced"]) == "not reproduced"
    assert together(["reproduced", "inconclusive"]) == "inconclusive"


def test_the_rule_reads_as_a_sentence():
    said = in_words(Comparison(("a", "b", "c"), "claims:score", "higher", 2.0, 0.5, "count", 4), 5)
    assert said == "score, a − 0.5 × the highest of b, c, above 0 by at least 2 for at least 4 of 5 seeds"
    assert "above -3" in in_words(Comparison(("a", "b"), "acc", "higher", -3.0, 1.0, "interval"), 5)
    assert "below 3" in in_words(Comparison(("a", "b"), "err", "lower", -3.0, 1.0, "interval"), 5)


def test_arms_are_written_as_on_a_command_line():
    assert arm_of("fast") == ("fast", {})
    assert arm_of("fast epsilon=0.2 optimizer.lr=1e-3") == ("fast", {"epsilon": 0.2, "optimizer.lr": 0.001})
    assert arm_of("epsilon=0.2") == (None, {"epsilon": 0.2})


def test_more_seeds_than_declared_go_on_from_the_largest():
    claim = Claim("x", "", "", seeds=(3, 5))
    assert (seeds_of(claim, None), seeds_of(claim, 1), seeds_of(claim, 4)) == ((3, 5), (3,), (3, 5, 6, 7))
    with pytest.raises(InvalidValue, match="at least 1 seed"):
        seeds_of(claim, 0)


# -- declarations --------------------------------------------------------------------------


@pytest.mark.parametrize("experiment", experiments())
def test_every_claim_of_every_card_can_be_judged(experiment):
    found = card(experiment)
    assert len({c.id for c in found.claims}) == len(found.claims)
    for claim in found.claims:
        check_claim(found, claim)
        assert claim.statement
        assert claim.restatement
        for comparison in claim.comparisons:
            for arm in comparison.arms:
                name, more = arm_of(arm)
                compose(experiment, arm=name, preset=claim.preset, overrides={**claim.overrides, **more})


QUICK = [(e, c.id) for e in experiments() for c in card(e).claims if c.quick]


@pytest.mark.parametrize(("experiment", "claim_id"), QUICK)
def test_a_quick_claim_comes_out_as_its_kept_result_says_else_as_reproduced(experiment, claim_id):
    found = card(experiment)
    claim = next(c for c in found.claims if c.id == claim_id)
    kept = {(f["experiment"], c["id"]): c["verdict"] for f in load() for c in f["claims"]}
    verdicts = []
    for comparison in claim.comparisons:
        got = without_runs(found, comparison, claim.seeds)
        verdicts.append(judge(comparison, got.differences, got.plain, declared=len(claim.seeds)).verdict)
    assert together(verdicts) == kept.get((experiment, claim_id), "reproduced")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"rule": "guess"}, "no rule 'guess'"),
        ({"metric": "eror"}, "Did you mean 'error'"),
        ({"metric": "claims:nothing"}, "cannot be had"),
        ({"metric": "claims:adds_up"}, "goes without arms"),
        ({"arms": ("hulf", "whole")}, "Did you mean 'half'"),
        ({"seeds": (0,)}, "needs two seeds"),
        ({"seeds": (0, 0)}, "each named once"),
        ({"rule": "count", "count": 4}, "count must be 1 to 3; got 4"),
        ({"rule": "exact"}, "must be a function"),
        ({"direction": "up"}, "lower or higher"),
        ({"quick": True}, "a quick claim is a function of 'seed'"),
    ],
)
def test_a_claim_that_could_not_be_judged_is_refused_in_a_sentence(toy, change, complaint):
    claim = dataclasses.replace(card("toys/toy").claims[0], also=(), **change)
    with pytest.raises(WorkbenchError, match=complaint):
        check_claim(card("toys/toy"), claim)


def test_claims_are_found_by_experiment_family_and_id(toy):
    assert [c.id for _, c in find_claims("toys")] == ["halves", "beats_all", "adds_up"]
    assert [c.id for _, c in find_claims("toys/toy", quick=True)] == ["adds_up"]
    assert [c.id for _, c in find_claims("all", only=["beats_all"])] == ["beats_all"]
    with pytest.raises(UnknownName, match="Did you mean 'toys/toy'"):
        find_claims("toys/toi")
    with pytest.raises(UnknownName, match="no claim 'halve'"):
        find_claims("toys", only=["halve"])


# -- which run may stand for another --------------------------------------------------------------------------


@pytest.fixture
def toy(tmp_path, monkeypatch):
    yield toy_family.install(tmp_path / "site", monkeypatch)
    monkeypatch.undo()
    toy_family.forget()


def halves(store, **more):
    return Campaign(find_claims("toys", only=["halves"]), store=store, **more)


def test_a_claim_whose_runs_are_all_there_starts_none_and_is_judged_from_them(toy):
    store = Store.find()
    all_six(store)
    campaign = halves(store)
    assert campaign.advance()
    assert all(j.reused for j in campaign.jobs.values())
    assert len(store.runs()) == 6
    [one] = results(campaign)
    [claim] = one["claims"]
    first, second = claim["comparisons"]
    assert (claim["verdict"], claim["partial"], claim["seeds"]) == ("reproduced", False, [0, 1, 2])
    assert first["values"] == {"half": [1.0, 1.1, 1.2], "whole": [2.0, 2.2, 2.4]}
    assert first["mean"] == pytest.approx(-1.1)
    assert (first["low"], first["high"]) == pytest.approx(interval([-1.0, -1.1, -1.2]))
    assert (first["held"], second["held"], second["verdict"]) == (3, 3, "reproduced")
    assert claim["environment"] == {"python": "3.11"}
    assert [len(ids) for ids in claim["runs"].values()] == [3, 3]


@pytest.mark.parametrize(
    "spoilt",
    [
        {"commands": [("set", "notebook", "applied")]},
        {"commands": [("action", "terminal", "applied")]},
        {"commands": [("set", "replay", "applied")]},
        {"state": "stopped"},
        {"state": "failed"},
        {"code": "of another version"},
        {"run": {"parent": "20260101-000000-toys-toy-aaaa", "fork_step": 2}},
        {"run": {"replay_of": "20260101-000000-toys-toy-aaaa"}},
        {"overrides": {"gain": 0.5001}},
        {"overrides": {"optimizer.lr": 0.5}},
        {"run": {"threads": 2}},
        {"seed": 3},
    ],
    ids=str,
)
def test_a_run_that_somebody_steered_or_that_is_another_is_never_taken(toy, spoilt):
    store = Store.find()
    trained(store, "half", **{"seed": 0, "error": 1.0, **spoilt})
    assert not any(j.run for j in halves(store).jobs.values())


@pytest.mark.parametrize(
    "harmless",
    [
        {"commands": [("set", "rule", "applied")]},
        {"commands": [("set", "notebook", "refused")]},
        {"commands": [("checkpoint", "notebook", "applied"), ("probe", "notebook", "applied")]},
        {"run": {"name": "mine", "group": "g1", "flush_ms": 100}},
        {"overrides": {"tracking": "mlflow"}},
        {"arm": "whole", "overrides": {"gain": 0.5}},
        {"preset": "tour"},
    ],
    ids=str,
)
def test_names_and_whatever_changes_no_bit_are_no_obstacle(toy, harmless):
    store = Store.find()
    run = trained(store, **{"arm": "half", "seed": 0, "error": 1.0, **harmless})
    assert [j.run.id for j in halves(store).jobs.values() if j.run] == [run.id]


def test_the_fingerprint_changes_with_what_trains_and_not_with_what_is_said_of_it(toy):
    def now():
        toy_family.forget()
        return reuse.fingerprint(card("toys/toy"))

    def edit(name, old, new):
        text = (toy / name).read_text()
        assert old in text
        (toy / name).write_text(text.replace(old, new))

    before = now()
    edit("card.py", '"An error."', '"A large error."')
    edit("card.py", "margin=0.1", "margin=0.2")
    edit("claims.py", "1 + 1", "2 + 0")
    assert now() == before
    edit("module.py", "1 + noise", "2 + noise")
    changed = now()
    assert changed != before
    edit("card.py", 'help="what the error is multiplied by"', 'help="gain"')
    assert now() != changed
    shared = toy.parent / "_shared"
    shared.mkdir()
    (shared / "losses.py").write_text("A = 1\n")
    assert len({before, changed, now()}) == 3


def test_a_claim_with_missing_seeds_is_inconclusive_and_names_them(toy):
    store = Store.find()
    all_six(store)
    campaign = halves(store, seeds=2)
    assert campaign.advance()
    [claim] = results(campaign)[0]["claims"]
    assert (claim["verdict"], claim["partial"]) == ("inconclusive", True)
    assert claim["why"] == "Seeds that the card declares are missing: 2."
    assert claim["comparisons"][0]["mean"] == pytest.approx(-1.05)


def test_a_signal_that_was_not_recorded_makes_the_claim_inconclusive_and_names_the_run(toy):
    found = card("toys/toy")
    run = trained(Store.find(), "half", 0, 1.0)
    with pytest.raises(WorkbenchError, match=rf"no signal 'loss' in {run.id}"):
        measure(found, Comparison(("half",), "loss", "lower", rule="mean"), [[run]])


def test_the_first_arm_stands_against_the_best_of_the_others(toy):
    store = Store.find()
    runs = [[trained(store, arm, 0, e) for arm, e in (("half", 2.0), ("whole", 5.0), ("whole", 3.0))]]
    lower = measure(card("toys/toy"), Comparison(("a", "b", "c"), "error", "lower", factor=0.5, rule="mean"), runs)
    assert (lower.differences, lower.plain) == ([2.0 - 1.5], [2.0 - 3.0])
    higher = measure(card("toys/toy"), Comparison(("a", "b", "c"), "error", "higher", rule="mean"), runs)
    assert higher.differences == [2.0 - 5.0]


# -- campaigns --------------------------------------------------------------------------


def wait(campaign, seconds=300):
    end = time.monotonic() + seconds
    while not campaign.advance():
        assert time.monotonic() < end, [q.progress() for q in campaign.questions]
        time.sleep(0.05)
    return campaign


def test_a_campaign_that_is_left_is_taken_up_again_and_nothing_is_trained_twice(toy):
    """Real workers: two of six runs are left training, the next campaign finds them, and a third starts none."""
    store = Store.find()
    for arm, error in (("half", 1.0), ("whole", 2.0)):  # four are there already
        trained(store, arm, 0, error)
        trained(store, arm, 1, error + 0.1)
    left = halves(store, jobs=1)
    left.advance()
    left.advance()
    started = [j.run for j in left.jobs.values() if j.run and not j.reused]
    assert len(started) == 1  # as many as jobs allows
    again = halves(store, jobs=2)
    assert [j.run.id for j in again.jobs.values() if j.run and j.run.id == started[0].id]
    wait(again)
    assert len(store.runs()) == 6
    [claim] = results(again)[0]["claims"]
    assert claim["verdict"] == "reproduced", claim["why"]
    made = [Run.open(r.dir) for r in store.runs() if r.reader.meta["environment"] != {"python": "3.11"}]
    assert len(made) == 2
    assert claim["minutes"] == pytest.approx(sum(seconds(r) for r in store.runs()) / 60, abs=0.005)
    assert all(seconds(r) > 0 for r in made)
    assert {r.reader.meta["environment"]["packages"]["numpy"] for r in made} == {np.__version__}
    assert {r.reader.meta["fingerprint"] for r in made} == {reuse.fingerprint(card("toys/toy"))}
    assert {r.config["tracking"]["mlflow"] for r in made} == {False}
    third = halves(store)
    assert third.advance()
    assert len(store.runs()) == 6


def test_a_failed_run_makes_the_claim_inconclusive_and_is_named(toy):
    store = Store.find()
    all_six(store)
    found = card("toys/toy")
    claim = dataclasses.replace(found.claims[0], arms=("half", "whole gain=60"), seeds=(0, 1), also=())
    trained(store, "whole", 1, 1.0, overrides={"gain": 60.0})
    campaign = wait(Campaign([(found, claim)], store=store))
    [one] = results(campaign)[0]["claims"]
    assert (one["verdict"], one["partial"]) == ("inconclusive", True)
    [failed] = [r for r in store.runs() if r.state == "failed"]
    assert failed.id in one["why"]
    assert "the gain is too much" in one["why"]


def test_a_worker_that_is_killed_is_restarted_and_its_run_counts(toy):
    found = card("toys/toy")
    claim = Claim(
        "one", "", "", arms=("whole",), metric="error", direction="higher", rule="mean", preset="smoke", seeds=(0,),
        overrides={"steps": 40, "pause_ms": 50, "run.checkpoint_every": 5, "run.flush_ms": 50},
    )  # fmt: skip
    campaign = Campaign([(found, claim)])
    campaign.advance()
    [job] = campaign.jobs.values()
    end = time.monotonic() + 120
    while job.run.step < 8:
        assert time.monotonic() < end
        time.sleep(0.05)
    os.kill(job.run.reader.meta["pid"], signal.SIGKILL)
    assert job.run.wait(20) == "lost"
    wait(campaign)
    assert len(Store.find().runs()) == 1
    assert job.run.reader.meta["attempt"] == 1
    assert results(campaign)[0]["claims"][0]["verdict"] == "reproduced"


def test_a_command_that_was_interrupted_says_what_trains_on_and_goes_on_when_typed_again(toy):
    store = Store.find()
    all_six(store)
    claim = card("toys/toy").claims[1]  # needs three runs more
    for seed in (0, 1):
        trained(store, "whole", seed, 1.5, overrides={"gain": 0.7})
    words = [sys.executable, "-m", "workbench", "claims", "toys", "--claim", claim.id, "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as command:
        end = time.monotonic() + 120
        while len(store.ids()) < 9:
            assert time.monotonic() < end
            assert command.poll() is None, command.communicate()
            time.sleep(0.02)
        command.send_signal(signal.SIGINT)
        _, said = command.communicate(timeout=60)
    assert command.returncode == 130, said
    assert "The same command goes on where this one was." in said
    done = subprocess.run(words, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["claims"][0]["verdict"] != "inconclusive"
    assert len(store.ids()) == 9


def test_the_command_prints_verdicts_as_a_table_as_json_and_as_markdown(toy, tmp_path):
    all_six(Store.find())
    words = ["claims", "toys", "--claim", "halves", "--claim", "adds_up"]
    shown = CliRunner().invoke(main, words)
    assert shown.exit_code == 0, shown.stderr
    for text in ("Half the gain halves the error.", "two-sided 90 % paired t interval", "-1.1 [", "3 of 3 seeds"):
        assert text in " ".join(shown.stdout.split())
    told = json.loads(CliRunner().invoke(main, [*words, "--json", "--save", str(tmp_path / "kept")]).stdout)
    assert [(c["id"], c["verdict"]) for c in told[0]["claims"]] == [("halves", "reproduced"), ("adds_up", "reproduced")]
    assert load(tmp_path / "kept") == told
    written = CliRunner().invoke(main, [*words, "--markdown"]).stdout
    assert "| Half the gain halves the error. | The error is at least 0.1 lower. |" in written
    assert CliRunner().invoke(main, ["claims", "toy"]).exit_code == 2


def test_a_partial_result_never_replaces_a_whole_one_unless_the_rule_has_changed(toy, tmp_path):
    all_six(Store.find())
    whole, part = (results(wait(halves(Store.find(), seeds=n))) for n in (None, 2))
    save(whole, tmp_path)
    save(part, tmp_path)
    assert load(tmp_path) == whole
    changed = json.loads(json.dumps(part))
    changed[0]["claims"][0]["declared"]["margin"] = 0.2
    save(changed, tmp_path)
    assert load(tmp_path)[0]["claims"][0]["partial"]


def test_headline_and_page_count_what_was_tested(toy):
    all_six(Store.find())
    found = results(wait(halves(Store.find())))
    assert headline(found) == "1 of 1 claims reproduced, from 1 of 59 papers."
    assert "Verdicts: 1 reproduced." in page(found)
    assert [len(row) for row in rows(found[0]["claims"][0])] == [6, 6]
    partial = [{**found[0], "claims": [{**found[0]["claims"][0], "partial": True}]}]
    assert headline(partial) == "0 of 0 claims reproduced, from 0 of 59 papers."


# -- what is committed --------------------------------------------------------------------------


def test_the_committed_results_are_judged_by_the_rules_that_the_cards_declare():
    """A rule that was changed after the fact has to be run again: `make claims`."""
    for one in load():
        claims = {c.id: c for c in card(one["experiment"]).claims}
        assert {c["id"] for c in one["claims"]} <= set(claims)
        for kept in one["claims"]:
            claim = claims[kept["id"]]
            assert kept["declared"] == declared(card(one["experiment"]), claim), f"{one['experiment']} {claim.id}"
            verdicts = []
            for comparison, entry in zip(claim.comparisons, kept["comparisons"], strict=True):
                assert entry["rule"] == in_words(comparison, len(claim.seeds))
                if kept["verdict"] == "inconclusive":
                    continue
                plain = entry["differences"]
                if entry["values"] and comparison.factor != 1:
                    first, *others = entry["values"].values()
                    best = min if comparison.direction == "lower" else max
                    plain = [a - best(row) for a, *row in zip(first, *others, strict=True)]
                verdicts.append(judge(comparison, entry["differences"], plain, declared=len(claim.seeds)).verdict)
                assert verdicts[-1] == entry["verdict"]
            assert kept["verdict"] == (together(verdicts) if verdicts else "inconclusive")


def test_page_and_readme_say_what_the_committed_results_say():
    spec = spec_from_file_location("claims_script", Path(__file__).parents[2] / "scripts" / "claims.py")
    script = module_from_spec(spec)
    spec.loader.exec_module(script)
    for path, text in script.made().items():
        assert path.read_text() == text, f"{path} is out of date: python scripts/claims.py"
    assert script.MARKERS.search(script.README.read_text())
