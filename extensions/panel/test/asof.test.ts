import assert from "node:assert/strict";
import { test } from "node:test";
import { changed, forkable, ownerOf, valuesAsOf } from "../src/asof";
import { control, intervention, run } from "./make";

const moved = (seq: number, step: number, old: number, now: number, more = {}): ReturnType<typeof intervention> => intervention({ seq, step, old: { epsilon: old }, new: { epsilon: now }, ...more });
const today = run("a", { values: { epsilon: 0.4, width: 8 }, launch: { init: "ibp" } });
const moves = [moved(1, 100, 0.1, 0.2), moved(2, 200, 0.2, 0.3), moved(3, 200, 0.3, 0.4)];

test("values before a step are today's with every later move taken back", () => {
  assert.deepEqual([0, 100, 101, 200, 201, 9999].map((step) => valuesAsOf(today, moves, step)["epsilon"]), [0.1, 0.1, 0.2, 0.2, 0.4, 0.4]);
});

test("what never moved, and what was fixed at launch, stays as it is", () => {
  assert.deepEqual(valuesAsOf(today, moves, 0), { epsilon: 0.1, width: 8, init: "ibp" });
});

test("before a row: the commands recorded before it at the same step are kept", () => {
  assert.equal(valuesAsOf(today, moves, 200, 3)["epsilon"], 0.3);
  assert.equal(valuesAsOf(today, moves, 200, 2)["epsilon"], 0.2);
});

test("moves of other runs, refused moves and moves without a step count for nothing", () => {
  const others = [moved(9, 300, 7, 8, { run: "b" }), moved(10, 300, 7, 8, { outcome: "refused" }), intervention({ seq: 11, step: null, old: { epsilon: 7 } }), moved(12, 300, 7, 8, { kind: "action" })];
  assert.equal(valuesAsOf(today, [...moves, ...others], 250)["epsilon"], 0.4);
});

test("a fork may change what moves while a run lasts, and launch controls that say so, these last", () => {
  const all = [control({ name: "steps", when: "launch", fork: true }), control({ name: "optimizer.lr" }), control({ name: "init", when: "launch" }), control({ name: "epsilon" }), control({ name: "batch", when: "stage" })];
  assert.deepEqual(forkable(all).map((c) => c.name), ["epsilon", "batch", "optimizer.lr", "steps"]);
});

test("only what differs is sent", () => {
  assert.deepEqual(changed({ epsilon: 0.3, tight: true, width: 8 }, { epsilon: 0.1, tight: true, width: 8 }), { epsilon: 0.3 });
  assert.deepEqual(changed({ epsilon: 0.30000000000000004 }, { epsilon: 0.3 }), {});
});

test("what lies before a fork is its parent's, and before that its grandparent's", () => {
  const child = run("b", { kind: "fork", parent: "a", fork_step: 50 });
  const grandchild = run("c", { kind: "fork", parent: "b", fork_step: 80 });
  const runs = [today, child, grandchild];
  assert.deepEqual([90, 80, 79, 50, 49].map((step) => ownerOf(grandchild, runs, step).id), ["c", "c", "b", "b", "a"]);
  assert.equal(ownerOf(grandchild, [grandchild], 10).id, "c");
});
