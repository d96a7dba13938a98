import assert from "node:assert/strict";
import { test } from "node:test";
import { findingSpans, mergeMarks, movesOf } from "../src/marks";
import type { Finding } from "../src/protocol";
import { intervention } from "./make";

const toPixel = (step: number): number => step / 10;

test("interventions closer than six pixels become one mark with a count", () => {
  const items = [0, 30, 50, 500].map((step, i) => intervention({ step, seq: i, new: { epsilon: i } }));
  assert.deepEqual(mergeMarks(items, toPixel, 0, 1000).map((m) => [m.x, m.items.length]), [[0, 3], [50, 1]]);
});

test("only what was applied inside the shown steps is marked", () => {
  const items = [intervention({ step: 10 }), intervention({ step: 20, outcome: "refused" }), intervention({ step: null }), intervention({ step: 5000 })];
  assert.equal(mergeMarks(items, toPixel, 0, 1000).length, 1);
});

test("one slider that moves two runs at the same step is one move", () => {
  assert.equal(movesOf([intervention({ run: "a" }), intervention({ run: "b", seq: 7 })]), 1);
  assert.equal(movesOf([intervention({}), intervention({ new: { epsilon: 0.2 } })]), 2);
});

test("findings are cut to the shown steps, visible when short, and open ones reach to the run's step", () => {
  const finding = (first: number, last: number | null): Finding => ({ run: "a", key: String(first), id: "x", title: "x", first, last, severity: "warning", sentence: "", remedy: "", signals: [], charts: [] });
  const spans = findingSpans([finding(0, 2), finding(900, null), finding(2000, 2100)], toPixel, 100, 1500, () => 1200);
  assert.deepEqual(spans.map((s) => [s.left, s.width]), [[90, 30]]);
  assert.equal(findingSpans([finding(200, 201)], toPixel, 0, 1000, () => 0)[0]?.width, 3);
});
