/** What lies under and over the lines on the canvas: bands, stacked parts, reference lines, crosses where not finite. */
import uPlot from "uplot";
import type { LineChart, LineSeries } from "../protocol";
import { alpha, AXIS_FONT, BAND_ALPHA, type Theme } from "../theme";
import type { Column } from "./series";

const BAR = 3; // pixels a stacked part must be high to be labelled by name

/** One curve as it is drawn. */
export interface Drawn {
  spec: LineSeries;
  color: string;
  mean: Column;
  lo: Float32Array | null;
  hi: Float32Array | null;
}

/** A chart as it is drawn; `bottom` is the y axis' lower end. */
export interface Painted {
  chart: LineChart;
  drawn: Drawn[];
  steps: Float64Array;
  bottom: number;
  theme: Theme;
  at: number | null;
}

/** Bands, or the parts of a stacked area. */
export function paintUnder(u: uPlot, painted: Painted | null): void {
  if (!painted) return;
  const { chart, drawn, theme } = painted;
  const { ctx, bbox } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  if (chart.kind === "area") {
    drawn.forEach((d, i) => {
      between(u, painted, d, drawn[i - 1]?.mean ?? null, d.mean, alpha(d.color, 0.62));
    });
    labelParts(u, painted);
  } else {
    const byKey = new Map(drawn.map((d) => [d.spec.key, d]));
    for (const band of chart.bands) {
      const [lo, hi] = [byKey.get(band.lo), byKey.get(band.hi)];
      if (lo && hi) between(u, painted, lo, lo.mean, hi.mean, alpha(theme.series(hi.spec.color), BAND_ALPHA * 0.75));
    }
    for (const d of drawn) if (d.lo && d.hi) between(u, painted, d, d.lo, d.hi, alpha(d.color, BAND_ALPHA));
  }
  ctx.restore();
}

/** Fill between two columns (from the bottom where `lo` is null), breaking at +Infinity. */
function between(u: uPlot, { steps: xs, chart, bottom: floor }: Painted, d: Drawn, lo: Column | null, hi: Column, fill: string): void {
  const { ctx } = u;
  const scale = d.spec.axis === "right" ? "y2" : "y";
  const bottom = u.bbox.top + u.bbox.height;
  const known = (i: number): boolean => Number.isFinite(hi[i] as number) && (lo === null || Number.isFinite(lo[i] as number));
  const broken = (i: number): boolean => hi[i] === null || hi[i] === Infinity;
  ctx.fillStyle = fill;
  let part: number[] = [];
  const flush = (): void => {
    if (part.length) {
      ctx.beginPath();
      const half = part.length === 1 ? 1 : 0;
      for (const i of part) ctx.lineTo(u.valToPos(xs[i] as number, "x", true) - half, u.valToPos(hi[i] as number, scale, true));
      for (const i of part.toReversed()) ctx.lineTo(u.valToPos(xs[i] as number, "x", true) + half, lo === null ? bottom : u.valToPos(Math.max(lo[i] as number, chart.scale === "log" ? floor / 10 : -Infinity), scale, true));
      ctx.fill();
    }
    part = [];
  };
  for (let i = 0; i < xs.length; i++) {
    if (known(i)) part.push(i);
    else if (broken(i)) flush();
  }
  flush();
}

/** Names inside a stacked area, where a part is high enough. */
function labelParts(u: uPlot, { drawn, steps, bottom, theme }: Painted): void {
  const { ctx } = u;
  const n = steps.length;
  if (n < 2) return;
  const ratio = uPlot.pxRatio;
  ctx.font = `${String(10.5 * ratio)}px ${AXIS_FONT.replace(/^\S+ /, "")}`;
  ctx.textBaseline = "middle";
  ctx.textAlign = "left";
  ctx.fillStyle = theme.color("ink");
  drawn.forEach((d, i) => {
    const at = Math.min(n - 1, Math.round(n * 0.06));
    const high = u.valToPos(d.mean[at] as number, "y", true);
    const low = u.valToPos((drawn[i - 1]?.mean[at] ?? bottom) as number, "y", true);
    const room = u.valToPos(steps[n - 1] as number, "x", true) - u.bbox.left;
    if (low - high > (12 + BAR) * ratio && room > 70 * ratio) ctx.fillText(d.spec.label, u.valToPos(steps[at] as number, "x", true) + 4 * ratio, (low + high) / 2);
  });
}

/** Reference lines, the time slider's step, and what was not finite. */
export function paintOver(u: uPlot, painted: Painted | null): void {
  if (!painted) return;
  const { chart, theme, at } = painted;
  const { ctx, bbox } = u;
  const { pxRatio } = uPlot;
  ctx.save();
  ctx.lineWidth = pxRatio;
  ctx.font = `${String(10 * pxRatio)}px ${AXIS_FONT.replace(/^\S+ /, "")}`;
  ctx.textBaseline = "alphabetic";
  let above = -Infinity;
  for (const r of chart.references) {
    const y = Math.round(u.valToPos(r.value, "y", true)) + 0.5;
    if (!(y >= bbox.top - 1 && y <= bbox.top + bbox.height + 1)) continue;
    ctx.strokeStyle = theme.color("grey");
    ctx.setLineDash([2 * pxRatio, 3 * pxRatio]);
    line(ctx, bbox.left, y, bbox.left + bbox.width, y);
    ctx.fillStyle = theme.color("ink3");
    ctx.textAlign = "right";
    const under = y - bbox.top < 14 * pxRatio;
    if (Math.abs(y - above) > 11 * pxRatio && ctx.measureText(r.label).width < bbox.width * 0.45) label(ctx, r.label, bbox.left + bbox.width - 2 * pxRatio, y + (under ? 10 : -4) * pxRatio, theme.color("bg"));
    above = y;
  }
  const x = at == null ? NaN : u.valToPos(at, "x", true);
  if (x >= bbox.left && x <= bbox.left + bbox.width) {
    ctx.setLineDash([]);
    ctx.strokeStyle = theme.color("ink2");
    line(ctx, Math.round(x) + 0.5, bbox.top, Math.round(x) + 0.5, bbox.top + bbox.height);
  }
  paintNonfinite(u, painted);
  ctx.restore();
}

/** A small cross at the foot of the plot wherever a series was NaN or infinite. */
function paintNonfinite(u: uPlot, { drawn, theme }: Painted): void {
  const { ctx, bbox } = u;
  const { pxRatio } = uPlot;
  ctx.setLineDash([]);
  ctx.strokeStyle = theme.color("text_red");
  ctx.lineWidth = 1.4 * pxRatio;
  let last = -Infinity;
  const y = bbox.top + bbox.height - 5 * pxRatio;
  const r = 2.6 * pxRatio;
  for (const step of [...new Set(drawn.flatMap((d) => d.spec.nonfinite))].sort((a, b) => a - b)) {
    const x = u.valToPos(step, "x", true);
    if (x < bbox.left || x > bbox.left + bbox.width || x - last < 6 * pxRatio) continue;
    last = x;
    line(ctx, x - r, y - r, x + r, y + r);
    line(ctx, x - r, y + r, x + r, y - r);
  }
}

/** Words over curves, with a rim of the background. */
function label(ctx: CanvasRenderingContext2D, words: string, x: number, y: number, rim: string): void {
  ctx.setLineDash([]);
  const width = ctx.lineWidth;
  const stroke = ctx.strokeStyle;
  ctx.lineWidth = 3 * uPlot.pxRatio;
  ctx.lineJoin = "round";
  ctx.strokeStyle = rim;
  ctx.strokeText(words, x, y);
  ctx.fillText(words, x, y);
  ctx.lineWidth = width;
  ctx.strokeStyle = stroke;
}

function line(ctx: CanvasRenderingContext2D, x0: number, y0: number, x1: number, y1: number): void {
  ctx.beginPath();
  ctx.moveTo(x0, y0);
  ctx.lineTo(x1, y1);
  ctx.stroke();
}
