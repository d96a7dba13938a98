/** Heat maps (components over steps) and matrices, one rectangle a value. */
import { count, number } from "../format";
import type { ChartData, GridChart } from "../protocol";
import { niceStep } from "../ticks";
import { Canvas, xLabel, type Box } from "./canvas";
import type { Plot, Readout, Scene } from "./plot";
import { extent, slice } from "./series";
import { Shades } from "./shades";
import { Tip } from "./tip";

export class GridPlot implements Plot {
  readonly kind = "grid";
  private canvas: Canvas;
  private tip: Tip;
  private chart: GridChart | null = null;
  private values: Float32Array = new Float32Array();
  private xs: Float64Array | null = null;
  private shades: Shades | null = null;
  private box: Box = { left: 60, top: 14, width: 1, height: 1 };

  constructor(
    place: HTMLElement,
    private scene: Scene,
    _readout: Readout,
    private size: () => { width: number; height: number },
  ) {
    this.canvas = new Canvas(place);
    this.tip = new Tip(place);
    this.canvas.element.addEventListener("pointermove", (e) => { this.point(e.offsetX, e.offsetY); });
    this.canvas.element.addEventListener("pointerleave", () => { this.tip.hide(); });
  }

  get inner(): number {
    return Math.max(16, Math.round(this.size().width - 110));
  }

  update(data: ChartData, floats: Float32Array): void {
    const chart = data as GridChart;
    this.chart = chart;
    this.values = slice(floats, chart.values);
    this.xs = chart.x ? Float64Array.from(slice(floats, chart.x.at), (x) => x + (chart.x?.base ?? 0)) : null;
    this.refresh();
  }

  refresh(): void {
    const { chart } = this;
    if (!chart) return;
    const { theme } = this.scene;
    const { width, height } = this.size();
    const ctx = this.canvas.begin({ width, height });
    ctx.fillStyle = theme.color("ink3");
    const widest = Math.max(24, ...chart.rows.map((r) => ctx.measureText(r).width));
    const box = (this.box = { left: Math.min(110, widest + 10), top: 10, width: 1, height: height - 10 - 19 });
    box.width = width - box.left - 52;
    const rows = chart.rows.length;
    const columns = this.columns();
    if (!rows || !columns) return;
    const log = chart.scale === "log";
    const shades = (this.shades = new Shades(theme, chart.vdomain ?? extent([this.values], 0, Infinity, log ? 0 : -Infinity), log, chart.center));
    const h = box.height / rows;
    for (let r = 0; r < rows; r++)
      for (let c = 0; c < columns; c++) {
        const v = this.values[r * columns + c] ?? NaN;
        if (Number.isNaN(v)) continue;
        ctx.fillStyle = Number.isFinite(v) ? shades.of(v) : theme.color("verm");
        const [x0, x1] = this.edges(c, columns, chart);
        if (x1 <= box.left || x0 >= box.left + box.width) continue;
        const left = Math.floor(Math.max(box.left, x0));
        const top = Math.floor(box.top + h * r);
        ctx.fillRect(left, top, Math.max(1, Math.ceil(Math.min(box.left + box.width, x1)) - left), Math.ceil(box.top + h * (r + 1)) - top - (h > 8 ? 1 : 0));
      }
    this.labels(ctx, chart, rows, columns, h);
    shades.bar(ctx, box);
    this.canvas.element.setAttribute("aria-label", `${chart.title ?? chart.id}, ${String(rows)} rows`);
  }

  destroy(): void {
    this.canvas.element.remove();
    this.tip.destroy();
  }

  private columns(): number {
    const rows = this.chart?.rows.length ?? 0;
    return rows ? Math.floor(this.values.length / rows) : 0;
  }

  /** Left and right edge of a column in pixels: buckets of steps, or equal columns. */
  private edges(c: number, columns: number, chart: GridChart): [number, number] {
    const { box, xs } = this;
    if (!xs) return [box.left + (box.width * c) / columns, box.left + (box.width * (c + 1)) / columns];
    const [low, high] = this.scene.range ?? chart.xdomain;
    const pixel = (step: number): number => box.left + ((step - low) / (high - low || 1)) * box.width;
    const at = xs[c] ?? 0;
    const before = c > 0 ? (xs[c - 1] ?? at) : at - ((xs[c + 1] ?? at + 1) - at);
    const after = c + 1 < xs.length ? (xs[c + 1] ?? at) : at + (at - before);
    return [pixel((before + at) / 2), pixel((at + after) / 2)];
  }

  private labels(ctx: CanvasRenderingContext2D, chart: GridChart, rows: number, columns: number, h: number): void {
    const { box } = this;
    ctx.fillStyle = this.scene.theme.color("ink3");
    ctx.textAlign = "right";
    const every = Math.max(1, Math.ceil(12 / h));
    for (let r = 0; r < rows; r += every) ctx.fillText(chart.rows[r] ?? "", box.left - 6, box.top + h * (r + 0.5));
    const foot = box.top + box.height + 11;
    if (this.xs) {
      const [low, high] = this.scene.range ?? chart.xdomain;
      const step = niceStep((high - low) / Math.max(2, box.width / 70));
      for (let s = Math.ceil(low / step) * step; s <= high; s += step) xLabel(ctx, count(s), box.left + ((s - low) / (high - low || 1)) * box.width, foot, box.left - 8, box.left + box.width + 8);
    } else {
      const names = chart.columns ?? [];
      const widest = Math.max(40, ...names.map((n) => ctx.measureText(n).width + 10));
      const skip = Math.max(1, Math.ceil(widest / (box.width / columns)));
      for (let c = 0; c < columns; c += skip) xLabel(ctx, names[c] ?? "", box.left + (box.width * (c + 0.5)) / columns, foot);
    }
  }

  private point(x: number, y: number): void {
    const { box, chart } = this;
    const columns = this.columns();
    if (!chart || x < box.left || x > box.left + box.width || y < box.top || y > box.top + box.height) {
      this.tip.hide();
      return;
    }
    const r = Math.min(chart.rows.length - 1, Math.floor(((y - box.top) / box.height) * chart.rows.length));
    let c = Math.floor(((x - box.left) / box.width) * columns);
    if (this.xs) for (c = 0; c < columns - 1 && this.edges(c, columns, chart)[1] < x; ) c++;
    const v = this.values[r * columns + c] ?? NaN;
    const head = this.xs ? `step ${count(Math.round(this.xs[c] ?? 0))}` : (chart.columns?.[c] ?? `column ${String(c + 1)}`);
    this.tip.show(this.canvas.element, x, head, [{ swatch: this.shades?.of(v) ?? "", label: chart.rows[r] ?? "", value: `${Number.isNaN(v) ? "no value" : number(v)}${chart.unit ? ` ${chart.unit}` : ""}` }]);
  }
}
