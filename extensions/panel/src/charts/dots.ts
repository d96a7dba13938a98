/** What a scatter draws, apart from the canvas: its dots one by one, which of them is meant, where names fit. */
import type { Color, ScatterChart } from "../protocol";
import type { Words } from "./canvas";
import { slice, type Floats } from "./series";

export interface Dot {
  run: string;
  label: string;
  /** The run's name, what sets it apart from its namesakes, and the component's. */
  name: string;
  step: number;
  color: Color;
  /** Below 1 for the earlier components of a vector, light to dark. */
  shade: number;
  x: number;
  y: number;
}

export interface Path {
  run: string;
  color: Color;
  xs: Floats;
  ys: Floats;
}

const known = (v: number | undefined): v is number => v !== undefined && Number.isFinite(v);

export function dotsOf(chart: ScatterChart, floats: Float32Array, hidden: ReadonlySet<string>): Dot[] {
  return chart.series
    .filter((s) => !hidden.has(s.run))
    .flatMap((s) => {
      const [xs, ys] = [slice(floats, s.x), slice(floats, s.y)];
      return [...xs].flatMap((x, i): Dot[] => {
        const y = ys[i];
        if (!known(x) || !known(y) || (chart.scale === "log" && y <= 0)) return [];
        const name = [s.label, s.apart, s.labels[i] ?? ""].filter(Boolean).join(", ");
        return [{ run: s.run, label: s.label, name, step: s.step, color: s.color, shade: s.labels.length ? (i + 1) / s.labels.length : 1, x, y }];
      });
    });
}

export function pathsOf(chart: ScatterChart, floats: Float32Array, hidden: ReadonlySet<string>): Path[] {
  return chart.series.flatMap((s) =>
    hidden.has(s.run) || !s.path_x || !s.path_y ? [] : [{ run: s.run, color: s.color, xs: slice(floats, s.path_x), ys: slice(floats, s.path_y) }],
  );
}

/** Index of the place nearest to (x, y) within `reach`; -1 if none is. Of equal ones the last, which lies on top. */
export function nearest(places: readonly [number, number][], x: number, y: number, reach: number): number {
  let found = -1;
  let best = reach;
  places.forEach(([px, py], i) => {
    const d = Math.hypot(px - x, py - y);
    if (d <= best) [found, best] = [i, d];
  });
  return found;
}

/** The place that an arrow key leads to: from left to right, then upwards; round at the ends. */
export function neighbour(places: readonly (readonly [number, number])[], current: number, way: 1 | -1): number {
  const order = [...places.entries()].sort(([, a], [, b]) => a[0] - b[0] || b[1] - a[1]).map(([i]) => i);
  if (!order.length) return -1;
  const at = order.indexOf(current);
  if (at < 0) return (way > 0 ? order[0] : order.at(-1)) ?? -1;
  return order[(at + way + order.length) % order.length] ?? -1;
}

/** Where names of the given widths stand beside their dots, right of them or else left; null where there is no room for `others`. */
export function namePlaces(places: readonly [number, number][], widths: readonly number[], left: number, right: number, others: readonly Words[] = []): (number | null)[] {
  const taken: Words[] = [...places.map(([x, y]): Words => [x - 6, x + 6, y]), ...others];
  return places.map(([x, y], i) => {
    const w = widths[i] ?? 0;
    const free = (from: number): boolean => from >= left && from + w <= right && taken.every(([a, b, ty], k) => k === i || from > b || from + w < a || Math.abs(ty - y) > 12);
    const from = [x + 9, x - 9 - w].find(free);
    if (from === undefined) return null;
    taken.push([from, from + w, y]);
    return from;
  });
}
