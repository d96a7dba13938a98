/** A value over the mixtures of three: dots in a triangle, coloured by value, and rings where the runs themselves lie. */
import { number } from "../format";
import type { ChartData, TernaryChart } from "../protocol";
import { Canvas } from "./canvas";
import type { Plot, Readout, Scene } from "./plot";
import { Pointer } from "./pointer";
import { slice } from "./series";
import { Shades } from "./shades";
import { Tip } from "./tip";

const TOP = 28; // room for a corner's name beyond its dot and ring
const BOTTOM = 30;
const BAR = 56; // right of the triangle, for the colours' bar
const TALL = Math.sqrt(3) / 2;

type Weights = readonly [number, number, number];
type Point = [x: number, y: number];

/** Where a mixture lies in a triangle of that side: the first corner on top, the second left, the third right. */
export const placed = ([a, , c]: Weights, side: number, left: number, top: number): Point => [left + side * (c + a / 2), top + side * TALL * (1 - a)];

/** Half as wide as dots of an even grid lie apart: they nearly touch. */
export const radius = (points: number, side: number): number => Math.min(10, Math.max(2.5, (0.42 * side) / Math.max(1, (Math.sqrt(8 * points + 1) - 3) / 2)));

export class TernaryPlot implements Plot {
  readonly kind = "ternary";
  readonly inner = 256;
  private canvas: Canvas;
  private tip: Tip;
  private pointer: Pointer;
  private chart: TernaryChart | null = null;
  private points: Weights[] = [];
  private values: Float32Array = new Float32Array();
  private runs: TernaryChart["series"] = [];
  private shades: Shades | null = null;
  private side = 1;
  private left = 0;

  constructor(
    place: HTMLElement,
    private scene: Scene,
    _readout: Readout,
    private size: () => { width: number; height: number },
  ) {
    this.canvas = new Canvas(place);
    this.tip = new Tip(place);
    this.pointer = new Pointer(place, this.canvas.element, {
      places: () => [...this.points, ...this.runs.map((r) => r.at)].map((w) => this.at(w)),
      words: (i) => this.words(i),
      changed: () => { this.refresh(); },
      quiet: () => scene.quiet,
    });
  }

  update(data: ChartData, floats: Float32Array): void {
    const chart = (this.chart = data as TernaryChart);
    this.values = slice(floats, chart.values);
    const flat = slice(floats, chart.weights);
    this.points = Array.from(this.values, (_, i): Weights => [flat[3 * i] ?? 0, flat[3 * i + 1] ?? 0, flat[3 * i + 2] ?? 0]);
    this.runs = chart.series.filter((s) => !this.scene.hidden.has(s.run));
    if (this.pointer.hot >= this.points.length + this.runs.length) this.pointer.hot = -1;
    this.refresh();
  }

  refresh(): void {
    const { chart, points } = this;
    if (!chart) return;
    const { theme } = this.scene;
    const { width, height } = this.size();
    const ctx = this.canvas.begin({ width, height });
    if (!points.length) {
      this.tip.hide();
      return;
    }
    const [wide, high] = [width - BAR - 24, height - TOP - BOTTOM];
    this.side = Math.max(20, Math.min(wide, high / TALL));
    this.left = 12 + (wide - this.side) / 2;
    this.frame(ctx, chart);
    const shades = (this.shades = new Shades(theme, chart.vdomain ?? [0, 1]));
    const r = radius(points.length, this.side);
    points.forEach((w, i) => {
      circle(ctx, this.at(w), r);
      ctx.fillStyle = shades.of(this.values[i] ?? NaN);
      ctx.fill();
      ctx.lineWidth = i === this.pointer.hot ? 2 : 0.5;
      ctx.strokeStyle = theme.color(i === this.pointer.hot ? "ink" : "line_strong");
      ctx.stroke();
    });
    this.runs.forEach((run, i) => {
      const hot = this.pointer.hot === points.length + i;
      for (const [color, line] of [[theme.color("bg"), 6], [hot ? theme.color("ink") : theme.series(run.color), 3]] as const) {
        circle(ctx, this.at(run.at), Math.max(6, r + 2));
        ctx.lineWidth = line;
        ctx.strokeStyle = color;
        ctx.stroke();
      }
    });
    shades.bar(ctx, { left: this.left, top: TOP, width: Math.min(this.side + 16, width - BAR - this.left), height: this.side * TALL });
    const best = this.values.indexOf(Math.max(...this.values));
    this.canvas.element.setAttribute("aria-label", [`${chart.title ?? chart.id}: ${String(points.length)} mixtures of ${chart.corners.join(", ")}; highest: ${this.words(best)}`, ...this.runs.map((_, i) => this.words(points.length + i))].join("; "));
    this.show();
  }

  destroy(): void {
    this.canvas.element.remove();
    this.pointer.destroy();
    this.tip.destroy();
  }

  private at(w: Weights): Point {
    return placed(w, this.side, this.left, TOP);
  }

  /** The triangle with lines at each quarter, and the corners' names. */
  private frame(ctx: CanvasRenderingContext2D, chart: TernaryChart): void {
    const { theme } = this.scene;
    ctx.lineWidth = 1;
    for (const share of [0.25, 0.5, 0.75, 0]) {
      ctx.strokeStyle = theme.color(share ? "line" : "line_strong");
      const rest = 1 - share;
      for (const [from, to] of [[[share, rest, 0], [share, 0, rest]], [[rest, share, 0], [0, share, rest]], [[rest, 0, share], [0, rest, share]]] as const) {
        ctx.beginPath();
        ctx.moveTo(...this.at(from));
        ctx.lineTo(...this.at(to));
        ctx.stroke();
      }
    }
    ctx.fillStyle = theme.color("ink2");
    const foot = TOP + this.side * TALL + 22;
    const [first = "", second = "", third = ""] = chart.corners;
    ctx.textAlign = "center";
    ctx.fillText(first, this.left + this.side / 2, TOP - 20);
    ctx.textAlign = "left";
    ctx.fillText(second, Math.max(2, this.left - ctx.measureText(second).width / 2), foot);
    ctx.textAlign = "right";
    ctx.fillText(third, Math.min(this.canvas.width - 2, this.left + this.side + ctx.measureText(third).width / 2), foot);
  }

  private show(): void {
    const { chart, points } = this;
    const { hot } = this.pointer;
    const run = this.runs[hot - points.length];
    const w = points[hot] ?? run?.at;
    if (!chart || !w) {
      this.tip.hide();
      return;
    }
    const value = this.values[hot];
    const swatch = run ? this.scene.theme.series(run.color) : (this.shades?.of(value ?? NaN) ?? "");
    this.tip.show(this.canvas.element, this.at(w)[0], run?.label ?? this.valued(value), chart.corners.map((label, i) => ({ swatch, label, value: number(w[i]) })));
  }

  private valued(value: number | undefined): string {
    return [this.chart?.vlabel, number(value), this.chart?.unit].filter(Boolean).join(" ");
  }

  private words(i: number): string {
    const run = this.runs[i - this.points.length];
    const w = this.points[i] ?? run?.at;
    const parts = this.chart?.corners.map((label, k) => `${label} ${number(w?.[k])}`) ?? [];
    return `${run?.label ?? this.valued(this.values[i])} at ${parts.join(", ")}`;
  }
}

function circle(ctx: CanvasRenderingContext2D, [x, y]: Point, r: number): void {
  ctx.beginPath();
  ctx.arc(x, y, r, 0, 2 * Math.PI);
}
