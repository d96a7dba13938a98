import assert from "node:assert/strict";
import { test } from "node:test";
import { Shades } from "../src/charts/shades";
import { Theme } from "../src/theme";

for (const mode of ["light", "dark"] as const) {
  const theme = new Theme(mode, mode);

  test(`a neutral value has the ground's colour and both sides part from it, each as far as its end (${mode})`, () => {
    const shades = new Shades(theme, [0, 0.5], false, 0.125);
    assert.equal(shades.of(0.125), theme.color("bg2"));
    assert.equal(shades.of(0), theme.color("blue"));
    assert.equal(shades.of(0.5), theme.color("verm"));
    assert.equal(shades.of(9), theme.color("verm"), "beyond the ends the colour stays");
  });

  test(`without one the colours go one way (${mode})`, () => {
    const shades = new Shades(theme, [0, 1]);
    assert.equal(shades.of(0), theme.color("bg2"));
    assert.notEqual(shades.of(1), shades.of(0.6));
    assert.equal(new Shades(theme, [0, 1], false, 2).of(0.3), shades.of(0.3), "nor does one outside the ends part them");
  });
}

test("equal ends give a scale all the same, and a log scale shares decades evenly", () => {
  const theme = new Theme("light", "light");
  assert.deepEqual(new Shades(theme, [3, 3]).ends, [2.5, 3.5]);
  assert.equal(new Shades(theme, [1, 100], true).of(10), new Shades(theme, [0, 2]).of(1));
});
