import assert from "node:assert/strict";
import { test } from "node:test";
import { likelyPair } from "../src/compare";
import { bytes } from "../src/format";
import { catchingUp } from "../src/header";
import { forkMarks, mergeMarks } from "../src/marks";
import { labels } from "../src/toolbar";
import { intervention, run } from "./make";

const toPixel = (step: number): number => step / 10;
const parent = run("a", { label: "fast" });
const child = run("b", { label: "fork at 4,200", kind: "fork", parent: "a", fork_step: 4200, color: 2 });
const told = intervention({ run: "b", step: 4200, source: "fork", new: { epsilon: 0.3 } });

test("a fork is marked where it leaves its parent, with what it changed", () => {
  const marks = forkMarks([parent, child], new Set(), [told], toPixel, 0, 5000, () => "ε 0.1 → 0.3");
  assert.deepEqual(marks.map((m) => [m.x, m.run.color, m.words]), [[420, 2, "fork of fast at 4,200\nε 0.1 → 0.3"]]);
});

test("no mark outside the shown steps, of a run that is switched off, or of a replay", () => {
  const none = (hidden: string[], low: number, runs = [parent, child]): number => forkMarks(runs, new Set(hidden), [], toPixel, low, 5000, () => "").length;
  assert.deepEqual([none([], 0), none(["b"], 0), none([], 4201), none([], 0, [{ ...child, kind: "replay" }])], [1, 0, 0, 0]);
});

test("what a fork was told on its way is no mark of its own", () => {
  assert.deepEqual(mergeMarks([told, intervention({ run: "b", step: 4300 })], toPixel, 0, 5000).map((m) => m.step), [4300]);
});

test("the newest child is compared with its parent; without one, the first two runs", () => {
  const other = run("c", { kind: "replay", parent: "a" });
  assert.deepEqual(likelyPair([parent, child, other]), ["a", "c"]);
  assert.deepEqual(likelyPair([parent, run("d")]), ["a", "d"]);
  assert.deepEqual(likelyPair([child, run("d")]), ["b", "d"]);
  assert.equal(likelyPair([parent]), null);
});

test("runs of the same name are told apart by what they came from, else by their seed", () => {
  const twin = run("d", { label: "fork at 4,200", kind: "fork", parent: "c", fork_step: 4200 });
  const vanilla = run("c", { label: "vanilla" });
  assert.deepEqual([...labels([parent, child, vanilla, twin]).values()], ["fast", "fast, fork at 4,200", "vanilla", "vanilla, fork at 4,200"]);
  assert.deepEqual([...labels([parent, run("x", { label: "fast", seed: 7 })]).values()], ["fast · 0", "fast · 7"]);
});

test("a fork that is catching up says so; a run that trains says nothing", () => {
  assert.equal(catchingUp([parent, { ...child, state: "starting", message: "replaying steps 4,100 to 4,200 …" }]), "fork at 4,200: replaying steps 4,100 to 4,200 …");
  assert.equal(catchingUp([{ ...child, message: "left over" }, { ...parent, state: "starting" }]), "");
});

test("sizes on disk are read at a glance", () => {
  assert.deepEqual([0, 1, 640_200, 12_340_000, 1.2e9].map(bytes), ["0 kB", "1 kB", "641 kB", "12.3 MB", "1.20 GB"]);
});
