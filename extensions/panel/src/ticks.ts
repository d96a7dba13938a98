/** Axis ends and tick positions: few, round, and steady while data grows. */
import { power } from "./format";

export interface Axis {
  min: number;
  max: number;
  ticks: number[];
}

/** The smallest of 1, 2, 2.5, 5 times a power of ten that is at least x. */
export function niceStep(x: number): number {
  const magnitude = 10 ** Math.floor(Math.log10(x));
  return ([1, 2, 2.5, 5].find((m) => m * magnitude >= x * (1 - 1e-9)) ?? 10) * magnitude;
}

/** A linear axis over the data, its ends on ticks; `declared` ends are not drawn down to zero. */
export function linearAxis(low: number, high: number, room: number, declared = false): Axis {
  if (!(low <= high)) [low, high] = [0, 1];
  if (low === high) [low, high] = low === 0 ? [0, 1] : [low - Math.abs(low) * 0.1, high + Math.abs(high) * 0.1];
  if (!declared && low > 0 && low < 0.35 * high) low = 0;
  const step = niceStep((high - low) / Math.max(1, room));
  const min = Math.floor(low / step + 1e-6) * step;
  const max = Math.ceil(high / step - 1e-6) * step;
  const ticks: number[] = [];
  for (let i = Math.ceil(min / step - 1e-6); i * step <= max + step * 1e-6; i++) ticks.push(Number((i * step).toPrecision(12)));
  return { min, max, ticks };
}

/** A logarithmic axis: ticks on decades, or on 1-2-5 where there is hardly one decade. */
export function logAxis(low: number, high: number, room: number): Axis {
  if (!(low > 0) || !(low <= high)) [low, high] = high > 0 ? [high / 10, high] : [0.1, 1];
  const min = snap(low, "down");
  const max = snap(high > low ? high : low * 1.01, "up");
  const first = Math.ceil(Math.log10(min) - 1e-9);
  const last = Math.floor(Math.log10(max) + 1e-9);
  const stride = Math.max(1, Math.ceil((last - first) / Math.max(1, room)));
  const ticks: number[] = [];
  for (let e = Math.ceil(first / stride) * stride; e <= last; e += stride) ticks.push(10 ** e);
  if (ticks.length < 2) {
    ticks.length = 0;
    for (let e = first - 1; e <= last; e++) for (const m of [1, 2, 5]) ticks.push(Number((m * 10 ** e).toPrecision(6)));
  }
  return { min, max, ticks: ticks.filter((t) => t >= min * (1 - 1e-9) && t <= max * (1 + 1e-9)) };
}

function snap(x: number, way: "up" | "down"): number {
  const magnitude = 10 ** Math.floor(Math.log10(x) + 1e-12);
  const choices = [1, 2, 5, 10].map((m) => m * magnitude);
  const found = way === "down" ? choices.findLast((c) => c <= x * (1 + 1e-9)) : choices.find((c) => c >= x * (1 - 1e-9));
  return Number((found ?? x).toPrecision(6));
}

/** Label of a tick; `log` writes powers of ten. */
export function tickLabel(value: number, log: boolean): string {
  if (value === 0) return "0";
  const exponent = Math.log10(Math.abs(value));
  if (log && Math.abs(exponent - Math.round(exponent)) < 1e-9) {
    if (Math.abs(Math.round(exponent)) <= 1) return String(Number(value.toPrecision(1)));
    return power(Math.round(exponent));
  }
  if (Math.abs(value) >= 1e4 && Math.abs(value) < 1e6) return `${String(Number((value / 1e3).toPrecision(4)))}k`;
  if (Math.abs(value) >= 1e-3 && Math.abs(value) < 1e4) return Number(value.toPrecision(5)).toLocaleString("en-US", { maximumFractionDigits: 5 }).replace("-", "−");
  return value.toExponential(1).replace(".0e", "e").replace("e+", "e");
}
