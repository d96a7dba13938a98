import assert from "node:assert/strict";
import { test } from "node:test";
import { linearAxis, logAxis, tickLabel } from "../src/ticks";

test("a linear axis ends on ticks and goes down to zero when zero is near", () => {
  assert.deepEqual(linearAxis(12, 93, 4), { min: 0, max: 100, ticks: [0, 25, 50, 75, 100] });
  assert.deepEqual(linearAxis(0, 100, 2, true).ticks, [0, 50, 100]);
});

test("an axis stays where it is while data grows inside it", () => {
  assert.deepEqual(linearAxis(0, 81, 4), linearAxis(0, 99, 4));
  assert.deepEqual(logAxis(0.02, 60, 4), logAxis(0.021, 95, 4));
});

test("a logarithmic axis has its lines on decades", () => {
  assert.deepEqual(logAxis(0.013, 8000, 3).ticks.map((t) => Math.log10(t)), [-2, 0, 2, 4]);
});

test("hardly a decade is divided at 1, 2 and 5", () => {
  assert.deepEqual(logAxis(1.3, 4.1, 4), { min: 1, max: 5, ticks: [1, 2, 5] });
});

test("axes without usable data are still axes", () => {
  for (const axis of [linearAxis(Infinity, -Infinity, 3), linearAxis(0, 0, 3), linearAxis(5, 5, 3), logAxis(Infinity, -Infinity, 3), logAxis(-1, 0, 3)]) {
    assert.ok(axis.max > axis.min && axis.ticks.length > 1, JSON.stringify(axis));
  }
});

test("tick labels are short", () => {
  assert.deepEqual([tickLabel(1e4, true), tickLabel(0.01, true), tickLabel(1, true), tickLabel(0.2, false), tickLabel(4000, false), tickLabel(25000, false), tickLabel(5e-4, false)], ["10⁴", "10⁻²", "1", "0.2", "4,000", "25k", "5e-4"]);
});
