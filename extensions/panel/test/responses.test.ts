import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { tokensOf } from "../src/charts/responses";
import type { Frame, ResponsesChart } from "../src/protocol";

// the frame that Python's tests read, too
const stored = JSON.parse(readFileSync(new URL("../../../../tests/figures/fixtures/frame_full.json", import.meta.url), "utf8")) as { head: Frame };
const chart = stored.head.charts?.find((c) => c.kind === "responses") as ResponsesChart;

test("a page holds the responses of one step, graded, and the way to the steps beside it", () => {
  assert.deepEqual(chart.responses.map((r) => r.grade), ["good", "fair", "bad", ""]);
  assert.equal(chart.held, false);
  assert.equal(chart.later, null);
  assert.equal(chart.newest, chart.step);
  assert.ok(chart.earlier != null && chart.step != null && chart.earlier < chart.step);
});

test("marked tokens, those in angle brackets and ends of lines stand apart", () => {
  const chips = (i: number): string[] => tokensOf(chart.responses[i]?.text ?? "", chart.marks).filter((t) => t.chip).map((t) => t.text);
  assert.deepEqual(chips(0), ["V", "<eos>"]);
  assert.deepEqual(chips(2), []);
  assert.deepEqual(chips(3), ["⏎"], "a lone < is no token");
  assert.deepEqual(tokensOf("so</think>VaV V", ["V"]).map((t) => [t.text, t.chip]), [["so", false], ["</think>", true], ["VaV ", false], ["V", true]]);
});

test("nothing of a response is lost in cutting", () => {
  for (const { text } of chart.responses) assert.equal(tokensOf(text, chart.marks).map((t) => t.text).join(""), text.replaceAll("\n", "⏎"));
});
