/** Lines with pale min–max bands, and stacked areas, drawn with uPlot; marks and findings lie over them as elements. */
import uPlot from "uplot";
import { count, number } from "../format";
import type { ChartData, LineChart } from "../protocol";
import { AXIS_FONT, LINE_WIDTH } from "../theme";
import { linearAxis, logAxis, tickLabel, type Axis } from "../ticks";
import { Overlay } from "./overlay";
import { paintOver, paintUnder, type Drawn, type Painted } from "./paint";
import type { Plot, Readout, Scene } from "./plot";
import { extent, lastKnown, slice, stacked, stepsOf, withHoles } from "./series";
import { Tip, type TipRow } from "./tip";

const TOP = 14; // room above the plot for findings and marks
const LEFT = 42;
const BOTTOM = 19;
const STILL = 4; // pixels a hand may shake in a click

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
  private pressed = { x: 0, y: 0 };

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
      padding: [TOP, right ? 0 : () => Math.max(10, 3.2 * count(this.xRange()[1]).length), 0, 0], // half the last label
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
        ready: [(u) => {
          this.overlay.place(chart.id, u, this.xRange()); // the plot has its size only now
          u.over.addEventListener("pointerdown", (e) => { this.pressed = { x: e.clientX, y: e.clientY }; });
          u.over.addEventListener("click", (e) => { this.onClick(u, e); });
        }],
        drawAxes: [(u) => { paintUnder(u, this.painted()); }],
        draw: [(u) => { paintOver(u, this.painted()); }],
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

  private painted(): Painted | null {
    return this.chart && { chart: this.chart, drawn: this.drawn, steps: this.steps, bottom: this.y.min, theme: this.scene.theme, at: this.scene.at };
  }

  // ── cursor ──

  /** A click, as against a drag: the nearest curve, where it was clicked. */
  private onClick(u: uPlot, e: MouseEvent): void {
    const i = u.cursor.idx;
    if (i == null || Math.abs(e.clientX - this.pressed.x) > STILL || Math.abs(e.clientY - this.pressed.y) > STILL) return;
    const y = e.clientY - u.over.getBoundingClientRect().top;
    const nearest = this.rowsAt(i).sort((a, b) => Math.abs(a.y - y) - Math.abs(b.y - y))[0];
    if (!nearest) return;
    const { run, name, value, swatch } = nearest;
    this.tip.hide();
    const x = u.valToPos(this.steps[i] as number, "x");
    const height = u.over.clientHeight;
    this.scene.pick({ over: u.over, x, y: Math.max(0, Math.min(nearest.y, height)), step: Math.floor(this.steps[i] as number), run, runLabel: this.runLabel(run), label: name, value, swatch });
  }

  private onCursor(): void {
    const u = this.u;
    const i = u?.cursor.idx;
    if (!u || i == null || (u.cursor.left ?? -1) < 0 || !this.chart) {
      this.tip.hide();
      this.readout(null);
      return;
    }
    const rows = this.rowsAt(i);
    if (this.scene.quiet) {
      this.tip.hide();
      return;
    }
    if (!this.hovered) {
      this.tip.hide();
      this.readout(rows.slice(0, 4).map((r) => ({ swatch: r.swatch, text: r.value })));
      return;
    }
    this.readout(null);
    const y = u.cursor.top ?? 0;
    const nearest = rows.length > 9 ? [...rows].sort((a, b) => Math.abs(a.y - y) - Math.abs(b.y - y)).slice(0, 8) : rows;
    const shown = nearest.sort((a, b) => a.y - b.y);
    this.tip.show(u.over, u.cursor.left ?? 0, `step ${count(Math.floor(this.steps[i] as number))}`, shown, rows.length - shown.length);
  }

  private rowsAt(i: number): (TipRow & { y: number; run: string; name: string })[] {
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
      const whose = { run: d.spec.run, name: d.spec.label };
      if (d.spec.nonfinite.some((s) => Math.abs(s - step) <= reach)) return [{ ...whose, swatch: d.color, dash: d.spec.dash, label, value: "not finite", y: 1e6 }];
      if (at < 0) return [];
      const top = d.mean[at] as number;
      const value = area ? top - ((this.drawn[k - 1]?.mean[at] as number | undefined) ?? 0) : top;
      const [lo, hi] = [d.lo?.[at], d.hi?.[at]];
      const spread = lo != null && hi != null && hi - lo > Math.abs(value) * 0.02 ? `${number(lo)} … ${number(hi)}` : "";
      return [{ ...whose, swatch: d.color, dash: d.spec.dash, label, value: number(value) + unit, spread, y: u.valToPos(top, d.spec.axis === "right" ? "y2" : "y") }];
    });
  }

  private runLabel(id: string): string {
    return this.scene.runs.find((r) => r.id === id)?.label ?? id;
  }
}
