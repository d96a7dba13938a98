import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { dotsOf, namePlaces, nearest, neighbour, pathsOf } from "../src/charts/dots";
import { pictureSize } from "../src/charts/flat";
import type { Frame, ScatterChart } from "../src/protocol";

// the frame that Python's tests read, too
const stored = JSON.parse(readFileSync(new URL("../../../../tests/figures/fixtures/frame_full.json", import.meta.url), "utf8")) as { head: Frame; buffers: [string] };
const bytes = Buffer.from(stored.buffers[0], "base64");
const floats = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
const chart = (id: string): ScatterChart => stored.head.charts?.find((c) => c.id === id) as ScatterChart;
const none = new Set<string>();

test("of two scalars there is one dot a run, at the end of the run's path", () => {
  const front = chart("front");
  const dots = dotsOf(front, floats, none);
  assert.deepEqual(dots.map((d) => d.run), stored.head.runs.map((r) => r.id));
  for (const path of pathsOf(front, floats, none)) {
    const dot = dots.find((d) => d.run === path.run);
    assert.deepEqual([path.xs.at(-1), path.ys.at(-1)], [dot?.x, dot?.y]);
    assert.ok(path.xs.length > 5);
  }
  assert.equal(front.ylabel, "pgd");
  assert.equal(front.yunit, "%");
});

test("of two vectors there is one dot a component, named after it and shaded light to dark", () => {
  const layers = chart("layers");
  const dots = dotsOf(layers, floats, none);
  assert.equal(dots.length, 6);
  assert.deepEqual(dots.slice(0, 3).map((d) => d.shade), [1 / 3, 2 / 3, 1]);
  assert.match(dots[1]?.name ?? "", /layer 2$/);
  for (const d of dots) assert.ok(Math.abs(d.x + d.y - 1) < 1e-6, "active and inactive make one");
  assert.deepEqual(pathsOf(layers, floats, none), []);
});

test("a run that is switched off has neither dot nor path", () => {
  const off = new Set([stored.head.runs[0]?.id ?? ""]);
  assert.equal(dotsOf(chart("front"), floats, off).length, stored.head.runs.length - 1);
  assert.ok(pathsOf(chart("front"), floats, off).every((p) => !off.has(p.run)));
});

test("the cursor finds the nearest dot within reach, keys go from left to right and round", () => {
  assert.equal(nearest([[0, 0], [10, 0], [100, 0]], 8, 1, 14), 1);
  assert.equal(nearest([[0, 0], [10, 0]], 60, 0, 14), -1);
  const dots = [3, 1, 2].map((x) => [x, 0] as const);
  assert.deepEqual([neighbour(dots, -1, 1), neighbour(dots, 1, 1), neighbour(dots, 0, 1), neighbour(dots, 1, -1)], [1, 2, 1, 0]);
  assert.equal(neighbour([], -1, 1), -1);
});

test("a name stands right of its dot, left of it where there is no room, nowhere where it would cover another", () => {
  assert.deepEqual(namePlaces([[50, 10], [190, 40]], [40, 40], 0, 200), [59, 141]);
  assert.deepEqual(namePlaces([[50, 10], [60, 12]], [40, 45], 40, 100), [null, null]);
  assert.deepEqual(namePlaces([[50, 10]], [40], 0, 200, [[60, 120, 4]]), [1], "nor a line's name");
});

test("pictures are as large as they can be with their captions readable", () => {
  assert.deepEqual(pictureSize([5, 5], { width: 408, height: 150 }), { side: 122, lines: 1 });
  assert.deepEqual(pictureSize([5, 40], { width: 408, height: 150 }), { side: 94, lines: 3 }, "a long one takes more lines");
  assert.deepEqual(pictureSize([], { width: 408, height: 150 }), { side: 24, lines: 1 });
});
