import assert from "node:assert/strict";
import { test } from "node:test";
import { extent, lastKnown, stacked, stepsOf, withHoles } from "../src/charts/series";
import type { LineChart } from "../src/protocol";

test("no value lets the line go on, only non-finite values break it", () => {
  assert.deepEqual(withHoles(Float32Array.of(1, NaN, 2, Infinity, 3)), [1, undefined, 2, null, 3]);
});

test("steps beyond float32's whole numbers stay exact", () => {
  const chart = { x: { at: [0, 3], base: 16_777_216 } } as unknown as LineChart;
  assert.deepEqual([...stepsOf(chart, Float32Array.of(0, 1, 2))], [16_777_216, 16_777_217, 16_777_218]);
});

test("the extent ignores holes, infinities and, on a log axis, what is not positive", () => {
  const data = [Float32Array.of(NaN, 2, Infinity), [null, -1, undefined]];
  assert.deepEqual(extent(data, 0, 2), [-1, 2]);
  assert.deepEqual(extent(data, 0, 2, 0), [2, 2]);
});

test("a stacked area adds its parts up from the bottom", () => {
  assert.deepEqual(stacked([Float32Array.of(0.25, 0.5), Float32Array.of(0.25, 0.25)]).map((a) => [...a]), [[0.25, 0.5], [0.5, 0.75]]);
});

test("the readout takes the newest known value, but none across a break", () => {
  assert.equal(lastKnown([1, undefined, undefined], 2), 0);
  assert.equal(lastKnown([1, null, undefined], 2), -1);
});
