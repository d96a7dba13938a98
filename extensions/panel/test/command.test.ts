import assert from "node:assert/strict";
import { test } from "node:test";
import { newestChange, outcomeOf, type Move } from "../src/command";
import { control, frame, intervention, run } from "./make";

const epsilon = control({ min: 0, max: 0.4 });
const move = (more: Partial<Move> = {}): Move => ({ control: "epsilon", value: 0.12, from: 0.1, since: 0, commands: { a: 1 }, ...more });

test("an applied move names old value, new value and step", () => {
  assert.deepEqual(outcomeOf(move(), epsilon, frame({ interventions: [intervention({})] }), 50), { kind: "applied", words: "0.100 → 0.120, applied at step 2,871" });
});

test("a refusal is told in the worker's words", () => {
  const refused = intervention({ outcome: "refused", reason: "epsilon must lie between 0 and 0.4; got 8." });
  assert.deepEqual(outcomeOf(move(), epsilon, frame({ interventions: [refused] }), 50), { kind: "refused", words: refused.reason });
});

test("with several runs a move is decided when all have answered", () => {
  const both = move({ commands: { a: 1, b: 2 } });
  const two = frame({ runs: [run("a"), run("b")], interventions: [intervention({})] });
  assert.equal(outcomeOf(both, epsilon, two, 50).kind, "pending");
  two.interventions.push(intervention({ run: "b", seq: 2, step: 2880 }));
  assert.deepEqual(outcomeOf(both, epsilon, two, 50), { kind: "applied", words: "0.100 → 0.120, applied at step 2,880" });
});

test("after a second without an outcome the terminal's line is offered", () => {
  assert.equal(outcomeOf(move(), epsilon, frame(), 999).kind, "pending");
  const late = outcomeOf(move({ commands: null }), epsilon, frame(), 1001);
  assert.deepEqual(late.kind === "slow" && late.command, "workbench set a epsilon=0.12");
});

test("a command that waits for its step says so instead of complaining", () => {
  const waiting = frame({ runs: [run("a", { pending: [{ seq: 1, kind: "set", values: {}, at_step: 150, age_s: 1.2 }] })] });
  assert.deepEqual(outcomeOf(move(), epsilon, waiting, 1500), { kind: "pending", words: "0.100 → 0.120, at step 150" });
});

test("a paused run's step has no clock", () => {
  const paused = frame({ runs: [run("a", { state: "paused", pending: [{ seq: 1, kind: "set", values: {}, at_step: 150, age_s: 60 }] })] });
  assert.deepEqual(outcomeOf(move(), epsilon, paused, 60_000), { kind: "pending", words: "0.100 → 0.120, at step 150, once resumed" });
});

test("what another panel changed is found in the frame", () => {
  const items = [intervention({ seq: 1 }), intervention({ seq: 2, run: "b" }), intervention({ seq: 3, kind: "pause", new: {} })];
  assert.equal(newestChange("epsilon", new Set(["a"]), items)?.seq, 1);
  assert.equal(newestChange("epsilon", new Set(["a", "b"]), items)?.seq, 2);
  assert.equal(newestChange("kappa", new Set(["a"]), items), null);
});
