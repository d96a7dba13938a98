/** One dot a run (or a component) of one signal against another, the way there faint behind it. */
import { count, number } from "../format";
import type { ChartData, ScatterChart } from "../protocol";
import { alpha } from "../theme";
import { linearAxis, logAxis, tickLabel, type Axis } from "../ticks";
import { Canvas, fraction, references, xLabel, yGrid, type Box, type Words } from "./canvas";
import { dotsOf, namePlaces, pathsOf, type Dot, type Path } from "./dots";
import type { Plot, Readout, Scene } from "./plot";
import { Pointer } from "./pointer";
import { extent, type Floats } from "./series";
import { Tip } from "./tip";

const RADIUS = 4.5;
const NAMED = 12; // dots; of more, only the one pointed at is named
const TOP = 24;
const BOTTOM = 34;

export class ScatterPlot implements Plot {
  readonly kind = "scatter";
  private canvas: Canvas;
  private tip: Tip;
  private pointer: Pointer;
  private chart: ScatterChart | null = null;
  private floats: Floats = new Float32Array();
  private dots: Dot[] = [];
  private paths: Path[] = [];
  private box: Box = { left: 42, top: TOP, width: 1, height: 1 };
  private x: Axis = { min: 0, max: 1, ticks: [] };
  private y: Axis = { min: 0, max: 1, ticks: [] };

  constructor(
    place: HTMLElement,
    private scene: Scene,
    _readout: Readout,
    private size: () => { width: number; height: number },
  ) {
    this.canvas = new Canvas(place);
    this.tip = new Tip(place);
    this.pointer = new Pointer(place, this.canvas.element, {
      places: () => this.places(),
      words: (i) => this.words(this.dots[i]),
      changed: () => { this.refresh(); },
      quiet: () => scene.quiet,
      pick: (i) => { this.pick(i); },
    });
  }

  get inner(): number {
    return Math.max(16, Math.round(this.size().width - 52));
  }

  update(data: ChartData, floats: Float32Array): void {
    this.chart = data as ScatterChart;
    this.floats = floats;
    const { hidden } = this.scene;
    const before = this.dots[this.pointer.hot]?.name;
    this.dots = dotsOf(this.chart, this.floats, hidden);
    this.paths = pathsOf(this.chart, this.floats, hidden);
    this.pointer.hot = before === undefined ? -1 : this.dots.findIndex((d) => d.name === before);
    this.refresh();
  }

  refresh(): void {
    const { chart, dots } = this;
    if (!chart) return;
    const { theme } = this.scene;
    const { width, height } = this.size();
    const ctx = this.canvas.begin({ width, height });
    this.box = { left: 42, top: TOP, width: width - 56, height: height - TOP - BOTTOM };
    const { box } = this;
    this.setAxes(chart);
    const log = chart.scale === "log";
    yGrid(ctx, box, this.y, log, theme);
    for (const t of this.x.ticks) {
      const x = Math.round(this.px(t)) + 0.5;
      ctx.beginPath();
      ctx.moveTo(x, box.top);
      ctx.lineTo(x, box.top + box.height);
      ctx.stroke();
      xLabel(ctx, tickLabel(t, false), x, box.top + box.height + 10, 0, width);
    }
    ctx.fillStyle = theme.color("ink2");
    ctx.textAlign = "left";
    ctx.fillText(titled(chart.ylabel, chart.yunit), 6, 10);
    ctx.textAlign = "right";
    ctx.fillText(titled(chart.xlabel, chart.xunit), box.left + box.width, height - 8);
    for (const path of this.paths) this.trace(ctx, path);
    this.names(ctx, references(ctx, box, this.y, log, chart.references, theme));
    dots.forEach((dot, i) => { this.mark(ctx, dot, i === this.pointer.hot); });
    this.canvas.element.setAttribute("aria-label", `${chart.title ?? chart.id}: ${dots.length > NAMED ? `${String(dots.length)} dots, ${titled(chart.ylabel, chart.yunit)} against ${titled(chart.xlabel, chart.xunit)}` : dots.map((d) => this.words(d)).join("; ")}`);
    if (this.pointer.hot >= 0) this.show();
    else this.tip.hide();
  }

  destroy(): void {
    this.canvas.element.remove();
    this.pointer.destroy();
    this.tip.destroy();
  }

  private setAxes(chart: ScatterChart): void {
    const log = chart.scale === "log";
    const [x0, x1] = extent([this.dots.map((d) => d.x), ...this.paths.map((p) => p.xs)], 0, Infinity);
    let [y0, y1] = extent([this.dots.map((d) => d.y), ...this.paths.map((p) => p.ys)], 0, Infinity, log ? 0 : -Infinity);
    for (const r of chart.references) if (!log || r.value > 0) [y0, y1] = [Math.min(y0, r.value), Math.max(y1, r.value)];
    if (chart.ydomain) [y0, y1] = chart.ydomain;
    this.x = linearAxis(x0, x1, Math.max(2, Math.floor(this.box.width / 70)));
    const room = Math.max(2, Math.floor(this.box.height / 40));
    this.y = log ? logAxis(y0, y1, room) : linearAxis(y0, y1, room, chart.ydomain != null);
  }

  private px(x: number): number {
    return this.box.left + this.box.width * fraction(this.x, false, x);
  }

  private py(y: number): number {
    return this.box.top + this.box.height * (1 - fraction(this.y, this.chart?.scale === "log", y));
  }

  private places(): [number, number][] {
    return this.dots.map((d) => [this.px(d.x), this.py(d.y)]);
  }

  private color(dot: Dot): string {
    return this.scene.theme.series(dot.color, dot.shade);
  }

  private trace(ctx: CanvasRenderingContext2D, path: Path): void {
    ctx.strokeStyle = alpha(this.scene.theme.series(path.color), 0.35);
    ctx.lineWidth = 1;
    ctx.beginPath();
    for (let i = 0; i < path.xs.length; i++) ctx.lineTo(this.px(path.xs[i] ?? NaN), this.py(path.ys[i] ?? NaN));
    ctx.stroke();
  }

  private mark(ctx: CanvasRenderingContext2D, dot: Dot, hot: boolean): void {
    ctx.beginPath();
    ctx.arc(this.px(dot.x), this.py(dot.y), hot ? RADIUS + 2 : RADIUS, 0, 2 * Math.PI);
    ctx.fillStyle = this.color(dot);
    ctx.fill();
    ctx.strokeStyle = this.scene.theme.color(hot ? "ink" : "bg");
    ctx.lineWidth = 1.5;
    ctx.stroke();
  }

  private names(ctx: CanvasRenderingContext2D, others: Words[]): void {
    if (this.dots.length > NAMED || this.chart?.series.some((s) => s.labels.length)) return;
    const places = this.places();
    const found = namePlaces(places, this.dots.map((d) => ctx.measureText(d.name).width), this.box.left, this.box.left + this.box.width, others);
    ctx.fillStyle = this.scene.theme.color("ink2");
    ctx.textAlign = "left";
    found.forEach((from, i) => {
      if (from !== null) ctx.fillText(this.dots[i]?.name ?? "", from, places[i]?.[1] ?? 0);
    });
  }

  private show(): void {
    const { chart } = this;
    const dot = this.dots[this.pointer.hot];
    if (!chart || !dot) return;
    const rows = [[chart.xlabel, dot.x, chart.xunit], [chart.ylabel, dot.y, chart.yunit]] as const;
    const swatch = this.color(dot);
    this.tip.show(this.canvas.element, this.px(dot.x), `${dot.name} · step ${count(dot.step)}`, rows.map(([label, v, unit]) => ({ swatch, label, value: valued(v, unit) })));
  }

  private pick(i: number): void {
    const dot = this.dots[i];
    if (!dot || !this.chart) return;
    this.tip.hide();
    this.scene.pick({ over: this.canvas.element, x: this.px(dot.x), y: this.py(dot.y), step: dot.step, run: dot.run, runLabel: dot.label, label: this.chart.ylabel, value: valued(dot.y, this.chart.yunit), swatch: this.color(dot) });
  }

  private words(dot: Dot | undefined): string {
    const c = this.chart;
    if (!dot) return "";
    return c ? `${dot.name}, step ${count(dot.step)}: ${c.xlabel} ${valued(dot.x, c.xunit)}, ${c.ylabel} ${valued(dot.y, c.yunit)}` : dot.name;
  }
}

const titled = (label: string, unit: string): string => (unit ? `${label} (${unit})` : label);
const valued = (value: number, unit: string): string => (unit ? `${number(value)} ${unit}` : number(value));
