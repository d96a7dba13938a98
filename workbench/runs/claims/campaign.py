"""Running claims: each wanted run found again or launched, in the ordinary queue, until every claim has its verdict."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from workbench.cards import Card, Claim, InvalidValue, UnknownName, card, experiments
from workbench.runs.claims import reuse
from workbench.runs.claims.measure import arm_of, check_claim
from workbench.runs.compose import compose
from workbench.runs.launch import capacity, launch, new_group, start_queued
from workbench.runs.run import FINAL, Run
from workbench.runs.store import Store

_ENV = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_TRIES = 3  # to get one run that counts, in one go


def find_claims(which: str = "all", *, quick: bool = False, only: Iterable[str] = ()) -> list[tuple[Card, Claim]]:
    """The claims of an experiment, of a family, or ``all``; `quick`: those alone that need no runs; `only`: by id.

    Raises:
        UnknownName: no such experiment, family or claim.
        InvalidValue: a claim that could not be judged.
    """
    names = experiments()
    families = {n.split("/", 1)[0] for n in names}
    if which not in {"all", *families, *names}:
        raise UnknownName("experiment or family", which, {"all", *families, *names})
    cards = [card(n) for n in names if which in ("all", n, n.split("/", 1)[0])]
    found = [(c, claim) for c in cards for claim in c.claims]
    for wanted in only:
        if wanted not in {claim.id for _, claim in found}:
            raise UnknownName("claim", wanted, {claim.id for _, claim in found}, where=which)
    chosen = [(c, claim) for c, claim in found if (not quick or claim.quick) and (not only or claim.id in set(only))]
    for one, claim in chosen:
        check_claim(one, claim)
    return chosen


def seeds_of(claim: Claim, count: int | None) -> tuple[int, ...]:
    """The first `count` seeds that the claim names (None: all), and ones after the largest if it names fewer."""
    if count is None:
        return claim.seeds
    if count < 1:
        raise InvalidValue(f"A claim needs at least 1 seed; got {count}.")
    more = range(max(claim.seeds) + 1, max(claim.seeds) + 1 + max(0, count - len(claim.seeds)))
    return (*claim.seeds, *more)[:count]


@dataclass
class Job:
    """One training that claims need; several may share it."""

    card: Card
    key: str
    code: str
    request: dict[str, Any]
    run: Run | None = None
    reused: bool = False
    problem: str = ""
    tries: int = 1

    @property
    def settled(self) -> bool:
        """Whether nothing more is to be waited for."""
        return bool(self.problem) or (self.run is not None and self.run.state == "finished")

    @property
    def share(self) -> float:
        """How much of it is done, 0 to 1."""
        if self.run is None or self.run.steps is None:
            return 0.0
        return 1.0 if self.run.state == "finished" else max(0, self.run.step) / max(1, self.run.steps)


@dataclass
class Question:
    """One claim, the seeds asked for, and what answers it: jobs by (arm, seed), or the values of a child process."""

    card: Card
    claim: Claim
    seeds: tuple[int, ...]
    jobs: dict[tuple[str, int], Job] = field(default_factory=dict)
    child: subprocess.Popen[str] | None = None
    complaints: IO[str] | None = None
    answer: dict[str, Any] | None = None

    @property
    def alone(self) -> bool:
        """Whether it needs no runs."""
        return any(not c.arms for c in self.claim.comparisons)

    @property
    def settled(self) -> bool:
        """Whether everything it asked for has come, or has failed."""
        return all(j.settled for j in self.jobs.values()) and (self.answer is not None or not self.alone)

    def finish(self) -> str:
        """Wait for the child; what it printed, or, if it failed, the last line it complained with."""
        assert self.child is not None
        assert self.complaints is not None
        said, _ = self.child.communicate()
        with self.complaints as file:
            file.seek(0)
            complaints = file.read().strip().splitlines()
        return said if self.child.returncode == 0 else (complaints or [""])[-1]

    def progress(self) -> str:
        """How far it is, for a person."""
        if self.settled:
            return "done"
        jobs = list({j.key: j for j in self.jobs.values()}.values())
        if not jobs:
            return "running" if self.child else "waiting"
        done, waiting = sum(j.settled for j in jobs), [j for j in jobs if j.run and j.run.state == "paused"]
        if waiting and waiting[0].run:
            return f"{done} of {len(jobs)} runs; {waiting[0].run.id} is paused"
        return f"{done} of {len(jobs)} runs, {sum(j.share for j in jobs) / len(jobs):.0%}"


class Campaign:
    """Claims on their way to verdicts. `advance` looks once and returns; nothing is lost by stopping to call it.

    Runs train in processes of their own: whoever stops looking leaves at most `jobs` of them training, and another
    campaign over the same store finds what they made.

    Args:
        claims: as `find_claims` returns them.
        seeds: how many seeds a claim (None: those it names).
        jobs: how many runs at once (None: as many as the queue lets through).
        store: where they go (None: the store for where one stands).
    """

    def __init__(
        self,
        claims: Sequence[tuple[Card, Claim]],
        *,
        seeds: int | None = None,
        jobs: int | None = None,
        store: Store | None = None,
    ) -> None:
        if jobs is not None and jobs < 1:
            raise InvalidValue(f"At least 1 run must be allowed at once; got {jobs}.")
        self.store = store or Store.find()
        self.at_once = min(jobs or capacity(), capacity())
        self.group = new_group()
        self.jobs: dict[str, Job] = {}
        codes = {c.id: reuse.fingerprint(c) for c, _ in claims}
        self.questions = [self._question(c, claim, seeds_of(claim, seeds), codes[c.id]) for c, claim in claims]
        self._find_runs()

    def _question(self, found: Card, claim: Claim, seeds: tuple[int, ...], code: str) -> Question:
        asked = Question(found, claim, seeds)
        for seed in seeds:
            for arm in dict.fromkeys(a for c in claim.comparisons for a in c.arms):
                name, more = arm_of(arm)
                overrides = {"tracking": "off", **claim.overrides, **more}  # hundreds of runs: not for MLflow
                request: dict[str, Any] = {"arm": name, "preset": claim.preset, "seed": seed, "overrides": overrides}
                key = reuse.key(compose(found.id, **request), code)
                asked.jobs[arm, seed] = self.jobs.setdefault(key, Job(found, key, code, request))
        return asked

    def _find_runs(self) -> None:
        """Give each job a run that the store has already: a finished one, else one under way, else a lost one."""
        for name in {j.card.id for j in self.jobs.values()}:
            wanted = {k: j for k, j in self.jobs.items() if j.card.id == name}
            code = next(iter(wanted.values())).code
            for run in self.store.runs(name):
                job = wanted.get(reuse.key(run.config, code))
                if job is None or reuse.unfit(run, code):
                    continue
                if job.run is None or _rank(run) > _rank(job.run):
                    job.run, job.reused = run, True

    @property
    def done(self) -> bool:
        """Whether every claim has all it can get."""
        return all(q.settled for q in self.questions)

    def advance(self) -> bool:
        """Look after runs that ended, start what there is room for; True when all is done."""
        busy = 0
        for job in self.jobs.values():
            self._look_after(job)
            busy += not job.settled and job.run is not None
        for job in self.jobs.values():
            if busy < self.at_once and job.run is None and not job.settled:
                job.run = launch(job.card.id, **job.request, group=self.group, store=self.store)
                busy += 1
        for question in self.questions:
            busy += self._ask(question, busy)
        if busy:
            start_queued(self.store)  # in case whoever would have started them is gone
        return self.done

    def _look_after(self, job: Job) -> None:
        run = job.run
        if run is None or job.problem or (state := run.state) not in FINAL:
            return
        if state == "failed" or (state == "stopped" and not job.reused):
            job.problem = f"{run.id} {state}{f': {run.message}' if run.message else '.'}"
            return
        why = reuse.unfit(run, job.code)
        if state == "finished" and not why:
            return
        if job.tries == _TRIES:
            said = f"does not count, since {why}" if why else state
            job.problem = f"{run.id} {said}: tried {_TRIES} times."
            return
        job.tries += 1
        if why:  # touched, stopped or changed while it was waited for: it stays, and another takes its place
            job.run, job.reused = None, False
        else:
            run.restart()

    def _ask(self, question: Question, busy: int) -> bool:
        """Compute a claim that needs no runs in a process of its own; True while that goes on."""
        if not question.alone or question.answer is not None:
            return False
        if question.child is None:
            if busy >= self.at_once:
                return False
            words = [question.card.id, question.claim.id, *map(str, question.seeds)]
            command = [sys.executable, "-m", "workbench.runs.claims.alone", *words]
            question.complaints = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed with the answer)
            question.child = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=question.complaints, text=True, env=_ENV | os.environ
            )
        if question.child.poll() is None:
            return True
        said = question.finish()
        if question.child.returncode:
            question.answer = {"problem": said or "It ended without a word."}
        else:
            question.answer = json.loads(said.splitlines()[-1])
        return False

    def run(self, *, poll: float = 0.5) -> Campaign:
        """Wait for all verdicts."""
        while not self.advance():
            time.sleep(poll)
        return self

    def close(self) -> None:
        """Stop computing what needs no runs; runs train on."""
        for question in self.questions:
            if question.child is not None and question.child.poll() is None:
                question.child.terminate()
                question.finish()


def _rank(run: Run) -> int:
    return {"finished": 2, "lost": 0}.get(run.state, 1)
