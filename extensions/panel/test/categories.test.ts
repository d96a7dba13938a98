import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { slice } from "../src/charts/series";
import { look, percent, shown } from "../src/charts/categories";
import type { Frame, TokensChart } from "../src/protocol";
import tokens from "../../../workbench/figures/tokens.json";

// the frame that Python's tests read, too
const stored = JSON.parse(readFileSync(new URL("../../../../tests/figures/fixtures/frame_full.json", import.meta.url), "utf8")) as { head: Frame; buffers: [string] };
const bytes = Buffer.from(stored.buffers[0], "base64");
const floats = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
const chart = stored.head.charts?.find((c) => c.kind === "tokens") as TokensChart;

test("a frame has a category for each piece of the last layer, and the layers' names to choose from", () => {
  const categories = [...slice(floats, chart.categories)];
  assert.equal(categories.length, chart.pieces.length);
  assert.deepEqual(chart.components, ["layer 1", "layer 2"]);
  assert.equal(chart.component, 1);
  for (const [c, share] of chart.shares.entries()) assert.equal(share, categories.filter((k) => k === c).length / categories.length);
});

test("what has no letter of its own is a chip, and a line breaks where the text does", () => {
  const parts = chart.pieces.flatMap((piece) => shown(piece));
  assert.deepEqual(parts.filter((p) => p.chip).map((p) => p.text), ["⏎", "07", "C3", "<eos>"]);
  assert.deepEqual(shown("a\nb").map((p) => p.ends), [false, true, false]);
});

test("sixteen categories look like sixteen", () => {
  assert.equal(new Set(Array.from({ length: 16 }, (_, c) => JSON.stringify(look(c)))).size, 16);
  assert.equal(tokens.runs.length, 8, "a palette of another length needs other tones");
});

test("a share that is not nothing never reads as nothing", () => {
  assert.deepEqual([0, 0.004, 0.099, 0.0999, 0.5, 1].map(percent), ["0 %", "0.4 %", "9.9 %", "10 %", "50 %", "100 %"]);
});
