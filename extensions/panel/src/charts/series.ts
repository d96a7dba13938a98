/** From a frame's floats to the arrays uPlot draws. NaN: no value in this bucket; +Infinity: only non-finite values. */
import type { LineChart, Slot } from "../protocol";

export type Floats = Float32Array<ArrayBufferLike>;
export type Column = Floats | (number | null | undefined)[];

export const slice = (floats: Floats, slot: Slot): Floats => floats.subarray(slot[0], slot[0] + slot[1]);

/** Steps in double precision: float32 alone is exact only up to step 16,777,216. */
export function stepsOf(chart: LineChart, floats: Float32Array): Float64Array {
  return Float64Array.from(slice(floats, chart.x.at), (x) => x + chart.x.base);
}

/**
 * A series with holes as a plain array, for uPlot draws straight across a NaN and goes blank at an Infinity:
 * `undefined` where the line goes on, `null` where it must break.
 */
export function withHoles(values: Float32Array): Column {
  const out = new Array<number | null | undefined>(values.length);
  for (let i = 0; i < values.length; i++) {
    const v = values[i] as number;
    out[i] = Number.isFinite(v) ? v : Number.isNaN(v) ? undefined : null;
  }
  return out;
}

/** Running sums of several series, for a stacked area; a hole counts as nothing. */
export function stacked(parts: Float32Array[]): Float32Array[] {
  const sums: Float32Array[] = [];
  for (const part of parts) {
    const below = sums.at(-1);
    sums.push(part.map((v, i) => (Number.isFinite(v) ? v : NaN) + (below?.[i] ?? 0)));
  }
  return sums;
}

/** Smallest and largest finite value (above `floor`) between two indices. */
export function extent(arrays: Iterable<ArrayLike<number | null | undefined>>, from: number, to: number, floor = -Infinity): [number, number] {
  let low = Infinity;
  let high = -Infinity;
  for (const array of arrays) {
    for (let i = from; i <= to && i < array.length; i++) {
      const v = array[i];
      if (v == null || !(v > floor) || v === Infinity) continue; // also drops NaN
      if (v < low) low = v;
      if (v > high) high = v;
    }
  }
  return [low, high];
}

/** Index of the value at or before i that exists; -1 if there is none within reach. */
export function lastKnown(values: ArrayLike<number | null | undefined>, i: number): number {
  for (let k = Math.min(i, values.length - 1); k >= 0; k--) {
    const v = values[k];
    if (v === null || v === Infinity) return -1;
    if (v !== undefined && !Number.isNaN(v)) return k;
  }
  return -1;
}
