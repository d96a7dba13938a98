import assert from "node:assert/strict";
import { test } from "node:test";
import { parseEntry, sliderScale } from "../src/scale";
import { control } from "./make";

const scaleOf = (...args: Parameters<typeof sliderScale>): NonNullable<ReturnType<typeof sliderScale>> => {
  const scale = sliderScale(...args);
  assert.ok(scale);
  return scale;
};

test("a slider reaches both ends of its range exactly", () => {
  for (const c of [control({ min: 0, max: 0.4 }), control({ min: 0.1, max: 100, scale: "log" }), control({ kind: "int", min: 4, max: 64, scale: "log2" }), control({ kind: "int", min: 0, max: 20 })]) {
    const scale = scaleOf(c);
    assert.deepEqual([scale.toValue(0), scale.toValue(scale.units)], [c.min, c.max]);
  }
});

test("going to a position and back leaves a value of the slider's own where it is", () => {
  for (const c of [control({ min: 0, max: 0.4, step: 0.005 }), control({ min: 0.1, max: 100, scale: "log" }), control({ kind: "int", min: 2, max: 1024, scale: "log2" })]) {
    const scale = scaleOf(c);
    for (let p = 0; p <= scale.units; p += Math.max(1, scale.units >> 4)) {
      const value = scale.toValue(p);
      assert.ok(Math.abs(scale.toPosition(value) - p) <= scale.units * 0.03 + 0.5, `${c.scale} ${String(p)}`);
    }
  }
});

test("log2 sliders of whole numbers stop at powers of two", () => {
  const scale = scaleOf(control({ kind: "int", min: 4, max: 64, scale: "log2" }));
  assert.deepEqual(Array.from({ length: scale.units + 1 }, (_, p) => scale.toValue(p)), [4, 8, 16, 32, 64]);
});

test("a declared step is kept, without rounding dust", () => {
  const scale = scaleOf(control({ min: 0, max: 0.4, step: 0.005 }));
  assert.equal(scale.toValue(24), 0.12);
});

test("an open lower end has a logarithmic slider around the default, widened to the present value", () => {
  const c = control({ min: 0, exclusive_min: true, max: 10, scale: "log", default: 5e-4 });
  assert.ok(scaleOf(c).toValue(0) > 0);
  assert.equal(scaleOf(c, 8).toValue(1000), 8);
  assert.equal(scaleOf(c, 1e-9).toValue(0), 1e-9);
});

test("a linear slider never reaches an exclusive minimum", () => {
  assert.ok(scaleOf(control({ min: 0, exclusive_min: true, max: 1 })).toValue(0) > 0);
});

test("controls without ends have no slider", () => {
  assert.equal(sliderScale(control({})), null);
  assert.equal(sliderScale(control({ kind: "bool", min: 0, max: 1 })), null);
});

test("typed values are read as people write them, and nonsense is named", () => {
  assert.deepEqual(parseEntry(control({}), " 4,700 "), { value: 4700 });
  assert.deepEqual(parseEntry(control({}), "−5e-4"), { value: -5e-4 });
  assert.deepEqual(parseEntry(control({}), "abc"), { error: "“abc” is not a number." });
  assert.deepEqual(parseEntry(control({}), ""), { error: "“” is not a number." });
  assert.deepEqual(parseEntry(control({ kind: "int", label: "steps" }), "1.5"), { error: "steps is a whole number." });
});
