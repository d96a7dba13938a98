import assert from "node:assert/strict";
import { test } from "node:test";
import { bare, count, duration, number, plural, power, rate, withUnit } from "../src/format";
import { control } from "./make";

test("measured numbers keep three significant digits and thousands separators", () => {
  assert.deepEqual([43.123, 0.01234, 2914, 87_000_000, 0.00004, 0, -12.5].map((x) => number(x)), ["43.1", "0.0123", "2,914", "8.70×10⁷", "4.00×10⁻⁵", "0", "−12.5"]);
});

test("what is not a number is said in words", () => {
  assert.deepEqual([null, NaN, Infinity, -Infinity].map((x) => number(x)), ["–", "NaN", "∞", "−∞"]);
});

test("a control's value shows the digits its slider can tell apart", () => {
  assert.equal(bare(control({ min: 0, max: 0.4 }), 0.12), "0.120");
  assert.equal(bare(control({ min: 0, max: 2 }), 0.5), "0.50");
  assert.equal(bare(control({ min: 0, max: 0.4, step: 0.005 }), 0.1), "0.100");
  assert.equal(bare(control({ min: 1e-5, max: 1e-2, scale: "log" }), 5e-4), "5.0e-4");
  assert.equal(bare(control({ kind: "int", min: 1, max: 1e7 }), 4700), "4,700");
});

test("a value typed with more digits than the slider has is shown as typed", () => {
  assert.equal(bare(control({ min: 0, max: 0.4 }), 0.12345), "0.12345");
});

test("units follow numbers only", () => {
  assert.equal(withUnit(control({ kind: "int", min: 0, max: 100, unit: "epochs" }), 5), "5 epochs");
  assert.equal(withUnit(control({ kind: "choice", unit: "epochs" }), "ibp"), "ibp");
});

test("times and rates are words a person would say", () => {
  assert.deepEqual([0.4, 47, 200, 3600, 7500].map(duration), ["under 1 s", "47 s", "3 min 20 s", "1 h 0 min", "2 h 5 min"]);
  assert.deepEqual([38.2, 0.25, 1240].map(rate), ["38 steps/s", "0.25 steps/s", "1,240 steps/s"]);
  assert.deepEqual([plural(1, "run"), plural(1200, "run"), count(4700), power(-12)], ["1 run", "1,200 runs", "4,700", "10⁻¹²"]);
});
