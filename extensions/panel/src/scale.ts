/** The map between a control's value and the position of its slider, 0 … `units`. */
import type { Control } from "./protocol";

export interface SliderScale {
  units: number;
  /** Units a press of an arrow key moves. */
  key: number;
  toPosition(value: number): number;
  toValue(position: number): number;
}

const UNITS = 1000;

/** Null for a control without ends: it has a number entry only. */
export function sliderScale(control: Control, current: number | null = null): SliderScale | null {
  const { min, max } = control;
  if ((control.kind !== "float" && control.kind !== "int") || max == null) return null;
  if (control.scale === "linear") return min == null ? null : linear(control, min, max);
  return logarithmic(control, min, max, current);
}

/** Smallest difference a linear slider makes and shows: the declared step, 1 for whole numbers, else two digits of the span. */
export function grain(control: Control): number {
  if (control.step) return control.step;
  if (control.kind === "int") return 1;
  const span = (control.max ?? 1) - (control.min ?? 0) || 1;
  return 10 ** (Math.floor(Math.log10(span) + 1e-9) - 2);
}

function linear(control: Control, min: number, max: number): SliderScale {
  const span = max - min || 1;
  const fine = grain(control);
  const units = Math.max(1, Math.min(UNITS, Math.round(span / fine)));
  return {
    units,
    key: Math.max(1, Math.round(units / 100)),
    toPosition: (v) => clamp(((v - min) / span) * units, 0, units),
    toValue: (p) => {
      const value = tidy(min + Math.round((span * p) / units / fine) * fine);
      return clamp(control.exclusive_min && value <= min ? tidy(min + fine) : value, min, max);
    },
  };
}

function logarithmic(control: Control, min: number | null, max: number, current: number | null): SliderScale | null {
  const base = typeof control.default === "number" && control.default > 0 ? control.default : max / 1000;
  // an open lower end has no logarithm: three decades either side of the default are enough for a slider
  let low = min != null && min > 0 ? min : base / 1000;
  let high = min != null && min > 0 ? max : Math.min(max, base * 1000);
  if (current != null && current > 0) [low, high] = [Math.min(low, current), Math.min(max, Math.max(high, current))];
  if (!(low > 0) || high <= low) return null;
  const octaves = Math.log2(high / low);
  const doubling = control.scale === "log2" && Math.abs(octaves - Math.round(octaves)) < 1e-9;
  const units = doubling ? Math.round(octaves) : UNITS;
  return {
    units,
    key: Math.max(1, Math.round(units / 100)),
    toPosition: (v) => clamp((Math.log2(Math.max(v, low) / low) / octaves) * units, 0, units),
    toValue: (p) => {
      if (p <= 0) return control.kind === "int" ? Math.ceil(low) : low;
      if (p >= units) return high;
      const exact = low * 2 ** ((octaves * p) / units);
      if (control.kind === "int") return clamp(doubling ? Math.round(exact) : Math.round(Number(exact.toPrecision(2))), low, high);
      return clamp(Number(exact.toPrecision(doubling ? 6 : 2)), low, high);
    },
  };
}

const tidy = (x: number): number => Number(x.toPrecision(12));
export const clamp = (x: number, low: number, high: number): number => Math.min(high, Math.max(low, x));

/** What a person typed, as a value of the control; a sentence if it cannot be one. Limits are the feed's business. */
export function parseEntry(control: Control, text: string): { value: number } | { error: string } {
  const cleaned = text.replace(/[\s,_]/g, "").replace("−", "-").replace(/×10\^?/, "e");
  const value = Number(cleaned);
  if (cleaned === "" || !Number.isFinite(value)) return { error: `“${text.trim()}” is not a number.` };
  if (control.kind === "int" && !Number.isInteger(value)) return { error: `${control.label} is a whole number.` };
  return { value };
}
