/** Lines with pale min–max bands, and stacked areas, drawn with uPlot; marks and findings lie over them as elements. */
import uPlot from "uplot";
import { count, number } from "../format";
import type { ChartData, LineChart, LineSeries } from "../protocol";
import { alpha, AXIS_FONT, BAND_ALPHA, LINE_WIDTH } from "../theme";
import { linearAxis, logAxis, tickLabel, type Axis } from "../ticks";
import { Overlay } from "./overlay";
import type { Plot, Readout, Scene } from "./plot";
import { extent, lastKnown, slice, stacked, stepsOf, withHoles, type Column } from "./series";
import { Tip, type TipRow } from "./tip";

const TOP = 14; // room above the plot for findings and marks
const LEFT = 42;
const BOTTOM = 19;
const BAR = 3; // pixels a stacked part must be high to be labelled by name

interface Drawn {
  spec: LineSeries;
  color: string;
  mean: Column;
  lo: Float32Array | null;
  hi: Float32Array | null;
}

export class LinePlot implements Plot {
  readonly kind = "line";
  private u: uPlot | null = null;
  private shape = "";
  private chart: LineChart | null = null;
  private steps: Float64Array = new Float64Array();
  private drawn: Drawn[] = [];
  private y: Axis = { min: 0, max: 1, ticks: [] };
  private y2: Axis = { min: 0, max: 1, ticks: [] };
  private overlay: Overlay;
  private tip: Tip;
  private hovered = false;

  constructor(
    private place: HTMLElement,
    private scene: Scene,
    private readout: Readout,
    private size: () => { width: number; height: number },
  ) {
    this.overlay = new Overlay(scene);
    this.tip = new Tip(place);
  }

  get inner(): number {
    const width = this.u ? this.u.over.clientWidth : this.size().width - LEFT - 10;
    return Math.max(16, Math.round(width));
  }

  update(data: ChartData, floats: Float32Array): void {
    this.chart = data as LineChart;
    this.steps = stepsOf(this.chart, floats);
    const shown = this.chart.series.filter((s) => !this.scene.hidden.has(s.run));
    const area = this.chart.kind === "area";
    const sums = area ? stacked(shown.map((s) => slice(floats, s.mean))) : [];
    this.drawn = shown.map((spec, i) => ({
      spec,
      color: this.scene.theme.series(spec.color, spec.shade),
      mean: sums[i] ?? (spec.gaps ? withHoles(slice(floats, spec.mean)) : slice(floats, spec.mean)),
      lo: spec.lo && slice(floats, spec.lo),
      hi: spec.hi && slice(floats, spec.hi),
    }));
    this.draw();
  }

  refresh(): void {
    if (this.chart) this.draw();
  }

  destroy(): void {
    this.u?.destroy();
    this.overlay.destroy();
    this.tip.destroy();
  }

  private draw(): void {
    const chart = this.chart;
    if (!chart) return;
    this.setAxes(chart);
    const { width, height } = this.size();
    const right = this.drawn.some((d) => d.spec.axis === "right");
    const shape = [chart.kind, chart.scale, right, this.scene.theme.name, ...this.drawn.map((d) => `${d.spec.key} ${d.color} ${String(d.spec.dash)} ${d.spec.axis}`)].join("|");
    const data = [this.steps, ...this.drawn.map((d) => d.mean)] as unknown as uPlot.AlignedData;
    if (!this.u || shape !== this.shape) {
      this.shape = shape;
      this.u?.destroy();
      this.u = new uPlot(this.options(chart, right, width, height), data, this.place);
      this.overlay.attach(this.u);
    } else {
      const u = this.u;
      u.batch(() => {
        if (u.width !== width || u.height !== height) u.setSize({ width, height });
        u.setData(data, false);
        const [min, max] = this.xRange();
        u.setScale("x", { min, max });
        u.setScale("y", this.y);
        if (right) u.setScale("y2", this.y2);
      });
    }
    this.overlay.place(chart.id, this.u, this.xRange());
    this.onCursor();
  }

  private xRange(): [number, number] {
    const [low, high] = this.scene.range ?? this.chart?.xdomain ?? [0, 1];
    return high > low ? [low, high] : [low, low + 1];
  }

  private setAxes(chart: LineChart): void {
    const log = chart.scale === "log";
    const [low, high] = this.xRange();
    let from = this.steps.findIndex((s) => s >= low);
    let to = this.steps.findLastIndex((s) => s <= high);
    if (from < 0 || to < from) [from, to] = [0, this.steps.length - 1];
    const room = Math.max(2, Math.floor((this.size().height - TOP - BOTTOM) / 40));
    const fit = (side: "left" | "right", declared: [number, number] | null): Axis => {
      const arrays = this.drawn.filter((d) => d.spec.axis === side).flatMap((d) => [d.mean, ...(d.lo && d.hi ? [d.lo, d.hi] : [])]);
      let [a, b] = declared ?? extent(arrays, from, to, log ? 0 : -Infinity);
      if (!declared && side === "left" && a <= b) for (const r of chart.references) if (!log || r.value > 0) [a, b] = [Math.min(a, r.value), Math.max(b, r.value)];
      return log && side === "left" ? logAxis(a, b, room) : linearAxis(a, b, room, declared != null);
    };
    this.y = fit("left", chart.ydomain);
    this.y2 = fit("right", null);
  }

  private options(chart: LineChart, right: boolean, width: number, height: number): uPlot.Options {
    const { theme } = this.scene;
    const area = chart.kind === "area";
    const log = chart.scale === "log";
    const ink = theme.color("ink3");
    const axis = { stroke: ink, font: AXIS_FONT, ticks: { show: false }, border: { show: false } };
    const yAxis = (get: () => Axis, isLog: boolean): uPlot.Axis => ({
      ...axis,
      size: LEFT,
      gap: 5,
      splits: () => get().ticks,
      filter: (_u, splits) => splits,
      values: (_u, splits) => splits.map((v) => tickLabel(v, isLog)),
    });
    const series = this.drawn.map((d): uPlot.Series => {
      const base: uPlot.Series = {
        scale: d.spec.axis === "right" ? "y2" : "y",
        stroke: d.color,
        width: d.spec.shade < 1 ? 1.2 : LINE_WIDTH,
        points: { show: (_u, i) => this.lonely(i), size: 5, fill: d.color },
      };
      if (d.spec.dash) base.dash = [5, 3];
      if (area) Object.assign(base, { paths: () => null, points: { show: false } });
      return base;
    });
    return {
      width,
      height,
      padding: [TOP, right ? 0 : 10, 0, 0],
      legend: { show: false },
      scales: {
        x: { time: false, range: () => this.xRange() },
        y: { distr: log ? 3 : 1, range: () => [this.y.min, this.y.max] },
        y2: { range: () => [this.y2.min, this.y2.max] },
      },
      axes: [
        { ...axis, size: BOTTOM, gap: 4, space: 46, grid: { show: false }, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 1e7, 2e7, 5e7, 1e8], values: (_u, splits) => splits.map(count) },
        { ...yAxis(() => this.y, log), grid: { stroke: theme.color("line"), width: 1 } },
        ...(right ? [{ ...yAxis(() => this.y2, false), scale: "y2", side: 1, grid: { show: false } } as uPlot.Axis] : []),
      ],
      series: [{}, ...series],
      cursor: {
        y: false,
        drag: { x: true, y: false, setScale: false },
        points: { show: !area, size: 6, width: 1.5 },
        sync: {
          key: this.scene.syncKey,
          scales: ["x", null],
          filters: { pub: (type) => type === "mousemove" || type === "mouseleave", sub: () => true },
        },
        bind: {
          dblclick: () => () => {
            this.scene.zoom(null);
            return null;
          },
          mouseenter: (_u, _target, handler) => (e: MouseEvent) => {
            this.hovered = true;
            return handler(e);
          },
          mouseleave: (_u, _target, handler) => (e: MouseEvent) => {
            this.hovered = false;
            return handler(e);
          },
        },
      },
      hooks: {
        ready: [(u) => { this.overlay.place(chart.id, u, this.xRange()); }], // the plot has its size only now
        drawAxes: [(u) => { this.drawBands(u); }],
        draw: [(u) => { this.drawReferences(u); }],
        setCursor: [() => { this.onCursor(); }],
        setSelect: [(u) => { this.onSelect(u); }],
      },
    };
  }

  /** A single value has no line: it is shown as a point. */
  private lonely(index: number): boolean {
    const values = this.drawn[index - 1]?.mean;
    if (!values) return false;
    let known = 0;
    for (let i = 0; i < values.length && known < 2; i++) if (Number.isFinite(values[i] as number)) known++;
    return known === 1;
  }

  private onSelect(u: uPlot): void {
    const { left, width } = u.select;
    if (width >= 5) this.scene.zoom([Math.round(u.posToVal(left, "x")), Math.round(u.posToVal(left + width, "x"))]);
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  }

  // ── what lies under and over the lines on the canvas ──

  private drawBands(u: uPlot): void {
    const chart = this.chart;
    if (!chart) return;
    const { ctx, bbox } = u;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    if (chart.kind === "area") {
      this.drawn.forEach((d, i) => {
        this.between(u, d, this.drawn[i - 1]?.mean ?? null, d.mean, alpha(d.color, 0.62));
      });
      this.labelParts(u);
    } else {
      const byKey = new Map(this.drawn.map((d) => [d.spec.key, d]));
      for (const band of chart.bands) {
        const [lo, hi] = [byKey.get(band.lo), byKey.get(band.hi)];
        if (lo && hi) this.between(u, lo, lo.mean, hi.mean, alpha(this.scene.theme.series(hi.spec.color), BAND_ALPHA * 0.75));
      }
      for (const d of this.drawn) if (d.lo && d.hi) this.between(u, d, d.lo, d.hi, alpha(d.color, BAND_ALPHA));
    }
    ctx.restore();
  }

  /** Fill between two columns (from the bottom where `lo` is null), breaking at +Infinity. */
  private between(u: uPlot, d: Drawn, lo: Column | null, hi: Column, fill: string): void {
    const { ctx } = u;
    const scale = d.spec.axis === "right" ? "y2" : "y";
    const xs = this.steps;
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
        for (const i of part.toReversed()) ctx.lineTo(u.valToPos(xs[i] as number, "x", true) + half, lo === null ? bottom : u.valToPos(Math.max(lo[i] as number, this.chart?.scale === "log" ? this.y.min / 10 : -Infinity), scale, true));
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
  private labelParts(u: uPlot): void {
    const { ctx } = u;
    const n = this.steps.length;
    if (n < 2) return;
    const ratio = uPlot.pxRatio;
    ctx.font = `${String(10.5 * ratio)}px ${AXIS_FONT.replace(/^\S+ /, "")}`;
    ctx.textBaseline = "middle";
    ctx.textAlign = "left";
    ctx.fillStyle = this.scene.theme.color("ink");
    this.drawn.forEach((d, i) => {
      const at = Math.min(n - 1, Math.round(n * 0.06));
      const high = u.valToPos(d.mean[at] as number, "y", true);
      const low = u.valToPos((this.drawn[i - 1]?.mean[at] ?? this.y.min) as number, "y", true);
      const room = u.valToPos(this.steps[n - 1] as number, "x", true) - u.bbox.left;
      if (low - high > (12 + BAR) * ratio && room > 70 * ratio) ctx.fillText(d.spec.label, u.valToPos(this.steps[at] as number, "x", true) + 4 * ratio, (low + high) / 2);
    });
  }

  private drawReferences(u: uPlot): void {
    const chart = this.chart;
    if (!chart) return;
    const { ctx, bbox } = u;
    const { pxRatio } = uPlot;
    const { theme, at } = this.scene;
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
    this.drawNonfinite(u);
    ctx.restore();
  }

  /** A small cross at the foot of the plot wherever a series was NaN or infinite. */
  private drawNonfinite(u: uPlot): void {
    const { ctx, bbox } = u;
    const { pxRatio } = uPlot;
    ctx.setLineDash([]);
    ctx.strokeStyle = this.scene.theme.color("text_red");
    ctx.lineWidth = 1.4 * pxRatio;
    let last = -Infinity;
    const y = bbox.top + bbox.height - 5 * pxRatio;
    const r = 2.6 * pxRatio;
    for (const step of [...new Set(this.drawn.flatMap((d) => d.spec.nonfinite))].sort((a, b) => a - b)) {
      const x = u.valToPos(step, "x", true);
      if (x < bbox.left || x > bbox.left + bbox.width || x - last < 6 * pxRatio) continue;
      last = x;
      line(ctx, x - r, y - r, x + r, y + r);
      line(ctx, x - r, y + r, x + r, y - r);
    }
  }

  // ── cursor ──

  private onCursor(): void {
    const u = this.u;
    const i = u?.cursor.idx;
    if (!u || i == null || (u.cursor.left ?? -1) < 0 || !this.chart) {
      this.tip.hide();
      this.readout(null);
      return;
    }
    const rows = this.rowsAt(i);
    if (!this.hovered) {
      this.tip.hide();
      this.readout(rows.slice(0, 4).map((r) => ({ swatch: r.swatch, text: r.value })));
      return;
    }
    this.readout(null);
    const y = u.cursor.top ?? 0;
    const nearest = rows.length > 9 ? [...rows].sort((a, b) => Math.abs(a.y - y) - Math.abs(b.y - y)).slice(0, 8) : rows;
    const shown = nearest.sort((a, b) => a.y - b.y);
    this.tip.show(u.over, u.cursor.left ?? 0, `step ${count(this.steps[i] as number)}`, shown, rows.length - shown.length);
  }

  private rowsAt(i: number): (TipRow & { y: number })[] {
    const u = this.u;
    if (!u) return [];
    const several = new Set(this.drawn.map((d) => d.spec.run)).size > 1;
    const unit = this.chart?.unit ? ` ${this.chart.unit}` : "";
    const area = this.chart?.kind === "area";
    const step = this.steps[i] as number;
    const reach = (this.steps[Math.min(i + 1, this.steps.length - 1)] as number) - step || 1;
    return this.drawn.flatMap((d, k) => {
      const at = lastKnown(d.mean, i);
      const label = several ? `${this.runLabel(d.spec.run)} ${d.spec.label}` : d.spec.label;
      if (d.spec.nonfinite.some((s) => Math.abs(s - step) <= reach)) return [{ swatch: d.color, dash: d.spec.dash, label, value: "not finite", y: 1e6 }];
      if (at < 0) return [];
      const top = d.mean[at] as number;
      const value = area ? top - ((this.drawn[k - 1]?.mean[at] as number | undefined) ?? 0) : top;
      const [lo, hi] = [d.lo?.[at], d.hi?.[at]];
      const spread = lo != null && hi != null && hi - lo > Math.abs(value) * 0.02 ? `${number(lo)} … ${number(hi)}` : "";
      return [{ swatch: d.color, dash: d.spec.dash, label, value: number(value) + unit, spread, y: u.valToPos(top, d.spec.axis === "right" ? "y2" : "y") }];
    });
  }

  private runLabel(id: string): string {
    return this.scene.runs.find((r) => r.id === id)?.label ?? id;
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
