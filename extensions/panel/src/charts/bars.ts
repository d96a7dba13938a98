/** Bars by label, side by side for each run; and histograms, one step outline over another. */
import { number } from "../format";
import type { BarsChart, ChartData, HistogramChart, Reference } from "../protocol";
import { alpha, type Theme } from "../theme";
import { linearAxis, logAxis, tickLabel, type Axis } from "../ticks";
import { Canvas, fraction, references, xLabel, yGrid, type Box } from "./canvas";
import type { Plot, Readout, Scene } from "./plot";
import { extent, slice } from "./series";
import { Tip } from "./tip";

interface Group {
  run: string;
  label: string;
  color: string;
  values: Float32Array;
}

abstract class ColumnPlot implements Plot {
  abstract readonly kind: string;
  protected canvas: Canvas;
  protected groups: Group[] = [];
  protected chart: BarsChart | HistogramChart | null = null;
  protected box: Box = { left: 42, top: 14, width: 1, height: 1 };
  protected axis: Axis = { min: 0, max: 1, ticks: [] };
  private tip: Tip;

  constructor(
    place: HTMLElement,
    protected scene: Scene,
    _readout: Readout,
    private size: () => { width: number; height: number },
  ) {
    this.canvas = new Canvas(place);
    this.tip = new Tip(place);
    this.canvas.element.addEventListener("pointermove", (e) => { this.point(e.offsetX); });
    this.canvas.element.addEventListener("pointerleave", () => { this.tip.hide(); });
  }

  get inner(): number {
    return Math.max(16, Math.round(this.size().width - 52));
  }

  update(data: ChartData, floats: Float32Array): void {
    const chart = data as BarsChart | HistogramChart;
    this.chart = chart;
    this.groups = chart.series
      .filter((s) => !this.scene.hidden.has(s.run))
      .map((s) => ({ run: s.run, label: s.label, color: this.scene.theme.series(s.color), values: slice(floats, "values" in s ? s.values : s.counts) }));
    this.refresh();
  }

  refresh(): void {
    const chart = this.chart;
    if (!chart) return;
    const { width, height } = this.size();
    const ctx = this.canvas.begin({ width, height });
    this.box = { left: 42, top: 14, width: width - 52, height: height - 14 - 19 };
    const log = chart.scale === "log";
    const refs = chart.kind === "bars" ? chart.references : [];
    let [low, high] = extent(this.groups.map((g) => g.values), 0, Infinity, log ? 0 : -Infinity);
    for (const r of refs) if (!log || r.value > 0) [low, high] = [Math.min(low, r.value), Math.max(high, r.value)];
    const room = Math.max(2, Math.floor(this.box.height / 40));
    if (chart.ydomain) [low, high] = chart.ydomain;
    this.axis = log ? logAxis(low, high, room) : linearAxis(Math.min(0, low), high, room, chart.ydomain != null);
    yGrid(ctx, this.box, this.axis, log, this.scene.theme);
    this.paint(ctx);
    references(ctx, this.box, this.axis, log, refs, this.scene.theme);
    this.canvas.element.setAttribute("aria-label", `${chart.title ?? chart.id}: ${this.groups.map((g) => g.label).join(", ")}`);
  }

  destroy(): void {
    this.canvas.element.remove();
    this.tip.destroy();
  }

  protected y(value: number): number {
    const f = fraction(this.axis, this.chart?.scale === "log", value);
    return this.box.top + this.box.height * (1 - Math.min(1.02, Math.max(0, f)));
  }

  protected abstract paint(ctx: CanvasRenderingContext2D): void;
  protected abstract bins(): number;
  protected abstract name(i: number): string;

  private point(x: number): void {
    const n = this.bins();
    const i = Math.floor(((x - this.box.left) / this.box.width) * n);
    if (!this.chart || !n || i < 0 || i >= n) {
      this.tip.hide();
      return;
    }
    const unit = this.chart.kind === "bars" && this.chart.unit ? ` ${this.chart.unit}` : "";
    const rows = this.groups.map((g) => ({ swatch: g.color, label: g.label, value: number(g.values[i]) + unit }));
    this.tip.show(this.canvas.element, x, this.name(i), rows);
  }
}

export class BarsPlot extends ColumnPlot {
  readonly kind = "bars";

  protected bins(): number {
    return this.chart?.kind === "bars" ? this.chart.labels.length : 0;
  }

  protected name(i: number): string {
    return (this.chart as BarsChart).labels[i] ?? "";
  }

  protected paint(ctx: CanvasRenderingContext2D): void {
    const { box, groups } = this;
    const n = this.bins();
    if (!n || !groups.length) return;
    const slot = box.width / n;
    const each = Math.min(22, (slot * 0.72) / groups.length);
    const foot = this.y(this.chart?.scale === "log" ? this.axis.min : Math.max(0, this.axis.min));
    groups.forEach((g, k) => {
      ctx.fillStyle = alpha(g.color, 0.85);
      for (let i = 0; i < n; i++) {
        const v = g.values[i] ?? NaN;
        if (!Number.isFinite(v)) continue;
        const left = box.left + slot * (i + 0.5) + (k - groups.length / 2) * each;
        const top = this.y(v);
        ctx.beginPath();
        ctx.roundRect(left + 0.5, Math.min(top, foot), each - 1, Math.max(1, Math.abs(foot - top)), top < foot ? [2, 2, 0, 0] : [0, 0, 2, 2]);
        ctx.fill();
      }
    });
    ctx.fillStyle = this.scene.theme.color("ink3");
    let taken = -Infinity;
    for (let i = 0; i < n; i++) {
      const half = ctx.measureText(this.name(i)).width / 2;
      const x = box.left + slot * (i + 0.5);
      if (x - half < taken + 6 || x + half > box.left + box.width + 10) continue;
      xLabel(ctx, this.name(i), x, box.top + box.height + 11);
      taken = x + half;
    }
  }
}

export class HistogramPlot extends ColumnPlot {
  readonly kind = "histogram";

  protected bins(): number {
    return this.chart?.kind === "histogram" ? this.chart.edges[2] : 0;
  }

  protected name(i: number): string {
    const [low, high, n] = (this.chart as HistogramChart).edges;
    const w = (high - low) / n;
    return `${number(low + w * i)} … ${number(low + w * (i + 1))}${this.chart?.unit ? ` ${this.chart.unit}` : ""}`;
  }

  protected paint(ctx: CanvasRenderingContext2D): void {
    const { box, groups } = this;
    const chart = this.chart as HistogramChart;
    const [low, high, n] = chart.edges;
    const slot = box.width / n;
    const foot = box.top + box.height;
    for (const g of groups) {
      ctx.beginPath();
      ctx.moveTo(box.left, foot);
      for (let i = 0; i < n; i++) {
        const y = this.y(Number.isFinite(g.values[i]) ? (g.values[i] ?? 0) : 0);
        ctx.lineTo(box.left + slot * i, y);
        ctx.lineTo(box.left + slot * (i + 1), y);
      }
      ctx.lineTo(box.left + box.width, foot);
      ctx.fillStyle = alpha(g.color, 0.18);
      ctx.fill();
      ctx.strokeStyle = g.color;
      ctx.lineWidth = 1.4;
      ctx.stroke();
    }
    ctx.fillStyle = this.scene.theme.color("ink3");
    const axis = linearAxis(low, high, Math.max(2, box.width / 70), true);
    for (const t of axis.ticks) {
      if (t < low - 1e-9 || t > high + 1e-9) continue;
      const x = box.left + ((t - low) / (high - low)) * box.width;
      xLabel(ctx, tickLabel(t, false), x, foot + 11, box.left - 12, box.left + box.width + 10);
    }
    for (const r of chart.references) vertical(ctx, box, box.left + ((r.value - low) / (high - low)) * box.width, r, this.scene.theme);
    if (low < 0 && high > 0 && !chart.references.length) vertical(ctx, box, box.left + (-low / (high - low)) * box.width, { value: 0, label: "" }, this.scene.theme);
  }
}

function vertical(ctx: CanvasRenderingContext2D, box: Box, x: number, r: Reference, theme: Theme): void {
  if (x < box.left || x > box.left + box.width) return;
  ctx.setLineDash([2, 3]);
  ctx.strokeStyle = theme.color("grey");
  ctx.beginPath();
  ctx.moveTo(Math.round(x) + 0.5, box.top);
  ctx.lineTo(Math.round(x) + 0.5, box.top + box.height);
  ctx.stroke();
  ctx.setLineDash([]);
  ctx.fillStyle = theme.color("ink2");
  ctx.textAlign = "left";
  if (r.label) ctx.fillText(r.label, x + 4, box.top + 6);
}
