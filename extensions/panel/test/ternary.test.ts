import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { slice } from "../src/charts/series";
import { placed, radius } from "../src/charts/ternary";
import type { Frame, TernaryChart } from "../src/protocol";

// the frame that Python's tests read, too
const stored = JSON.parse(readFileSync(new URL("../../../../tests/figures/fixtures/frame_full.json", import.meta.url), "utf8")) as { head: Frame; buffers: [string] };
const bytes = Buffer.from(stored.buffers[0], "base64");
const floats = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
const chart = stored.head.charts?.find((c) => c.kind === "ternary") as TernaryChart;

test("a frame has three weights a value, and each run's own place", () => {
  const [weights, values] = [slice(floats, chart.weights), slice(floats, chart.values)];
  assert.equal(values.length, 15);
  assert.equal(weights.length, 3 * values.length);
  assert.deepEqual(chart.corners, ["tidal", "swell", "wind"]);
  assert.equal(chart.vlabel, "height");
  assert.deepEqual(chart.series.map((s) => s.run), stored.head.runs.map((r) => r.id));
  assert.deepEqual(chart.series[0]?.at, [0.5, 0.25, 0.25]);
});

test("the first corner is on top, the second left, the third right, and an even mixture in the middle", () => {
  const high = 100 * Math.sqrt(3) / 2;
  assert.deepEqual(placed([1, 0, 0], 100, 10, 20), [60, 20]);
  assert.deepEqual(placed([0, 1, 0], 100, 10, 20), [10, 20 + high]);
  assert.deepEqual(placed([0, 0, 1], 100, 10, 20), [110, 20 + high]);
  const [x, y] = placed([1 / 3, 1 / 3, 1 / 3], 100, 10, 20);
  assert.ok(Math.abs(x - 60) < 1e-9 && Math.abs(y - (20 + (2 / 3) * high)) < 1e-9);
});

test("dots of an even grid do not overlap, however many there are", () => {
  for (const a of [4, 10, 20]) {
    const points = ((a + 1) * (a + 2)) / 2;
    assert.ok(2 * radius(points, 200) < 200 / a, `${String(points)} points`);
  }
});
