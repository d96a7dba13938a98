import assert from "node:assert/strict";
import { test } from "node:test";
import { placeBeside, placeUnder } from "../src/place";

const room = { width: 800, height: 600 };
const size = { width: 300, height: 200 };
const dot = (left: number, top: number): { left: number; top: number; width: number; height: number } => ({ left, top, width: 10, height: 10 });

test("a box stands to the right of its anchor where there is room, else to its left", () => {
  assert.deepEqual(placeBeside(dot(100, 300), size, room), { left: 124, top: 280 });
  assert.deepEqual(placeBeside(dot(700, 300), size, room), { left: 386, top: 280 });
});

test("where neither side has room it goes below, or above when that has none", () => {
  assert.deepEqual(placeBeside(dot(195, 100), size, { width: 400, height: 600 }), { left: 50, top: 124 });
  assert.deepEqual(placeBeside(dot(195, 500), size, { width: 400, height: 600 }), { left: 50, top: 286 });
});

test("it never leaves the panel, wherever the anchor is", () => {
  for (const [x, y] of [[0, 0], [795, 0], [0, 595], [795, 595], [400, 300]] as const)
    for (const at of [placeBeside(dot(x, y), size, room), placeUnder(dot(x, y), size, room)]) {
      assert.ok(at.left >= 8 && at.left + size.width <= room.width - 8, `${String(x)},${String(y)}: ${JSON.stringify(at)}`);
      assert.ok(at.top >= 8 && at.top + size.height <= room.height - 8, `${String(x)},${String(y)}: ${JSON.stringify(at)}`);
    }
});

test("a box hangs under its button, above it at the foot of the panel", () => {
  assert.deepEqual(placeUnder(dot(100, 100), size, room), { left: 100, top: 114 });
  assert.deepEqual(placeUnder(dot(100, 560), size, room), { left: 100, top: 356 });
});
