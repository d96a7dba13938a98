import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { mix } from "../src/theme";
import tokens from "../../../workbench/figures/tokens.json";

const css = readFileSync(new URL("../../src/style.css", import.meta.url), "utf8");
const fills = ["0", "1"].map((tone) => Number(new RegExp(`data-tone="${tone}"\\] { --fill: (\\d+)%`).exec(css)?.[1]) / 100);

function luminance(color: string): number {
  const [r, g, b] = [1, 3, 5].map((i) => parseInt(color.slice(i, i + 2), 16) / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a: string, b: string): number {
  const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

for (const mode of ["light", "dark"] as const) {
  const colors: Record<string, string> = tokens[mode];

  test(`every text token has at least 4.5:1 on the ${mode} theme's grounds`, () => {
    for (const name of Object.keys(colors).filter((n) => /^(ink|text_)/.test(n)))
      for (const ground of ["bg", "bg1"]) assert.ok(contrast(colors[name] ?? "", colors[ground] ?? "") >= 4.5, `${name} on ${ground}`);
    assert.ok(contrast(tokens[mode].on_accent, tokens[mode].accent) >= 4.5);
    assert.ok(contrast(tokens[mode].text_find, tokens[mode].find) >= 4.5);
  });

  test(`words can be read on the ground of every category, in both tones (${mode})`, () => {
    for (const fill of fills)
      for (const name of tokens.runs) assert.ok(contrast(tokens[mode].ink, mix(tokens[mode].bg, colors[name] ?? "", fill)) >= 4.5, `${name} at ${String(fill)}`);
  });

  test(`run colours of the ${mode} theme are tokens that stand out from the ground by 2:1`, () => {
    for (const name of tokens.runs) assert.ok(contrast(colors[name] ?? "#ffffff", tokens[mode].bg) >= 2, name);
  });
}

test("both themes have the same tokens", () => {
  assert.deepEqual(Object.keys(tokens.light), Object.keys(tokens.dark));
});
