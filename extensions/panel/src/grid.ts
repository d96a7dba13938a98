/** The charts: which are looked at, and when each is drawn. */
import { Cell, type CellHost } from "./cell";
import type { Scene } from "./charts/plot";
import { h } from "./dom";
import type { ChartData, ChartSpec, ChartWish } from "./protocol";

const FRAME_MS = 17;
const AT_ONCE = 3; // charts an animation frame, once a whole round no longer fits into one

export class Grid {
  readonly element = h("div.charts", { role: "group", "aria-label": "Charts" });
  rounds = 0;
  lastDrawMs = 0;
  onRound: () => void = () => undefined;
  private cells: Cell[] = [];
  private queue: Cell[] = [];
  private next = new Set<Cell>();
  private scheduled = 0;
  private spread = false;
  private roundMs = 0;
  private roundStart = 0;
  private watcher: IntersectionObserver;
  private sizes: ResizeObserver;
  private host: CellHost;

  constructor(
    scene: Scene,
    private changed: () => void,
    explore: (chart: string, wish: ChartWish) => void,
  ) {
    this.host = {
      scene,
      changed,
      explore,
      enlarge: (cell) => {
        const on = !cell.element.classList.contains("big");
        for (const c of this.cells) c.setBig(on && c === cell);
        this.layout();
      },
    };
    this.watcher = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        const cell = this.cells.find((c) => c.element === entry.target);
        if (cell) cell.visible = entry.isIntersecting;
      }
      this.changed();
    });
    this.sizes = new ResizeObserver(() => {
      for (const cell of this.cells) cell.redraw();
      this.enqueue(this.cells);
      this.changed();
    });
  }

  /** One cell a group; ungrouped views stand alone. `only`: a single chart. */
  build(charts: ChartSpec[], only = ""): void {
    this.clear();
    const groups = new Map<string, ChartSpec[]>();
    for (const chart of charts) {
      if (only && chart.id !== only) continue;
      const key = only || !chart.group ? ` ${chart.id}` : chart.group;
      groups.set(key, [...(groups.get(key) ?? []), chart]);
    }
    this.cells = [...groups.values()].map((specs) => new Cell(specs, this.host));
    this.element.replaceChildren(...this.cells.map((c) => c.element));
    for (const cell of this.cells) {
      this.watcher.observe(cell.element);
      this.sizes.observe(cell.element);
    }
    this.layout();
  }

  wishes(): Record<string, ChartWish> {
    return Object.fromEntries(this.cells.filter((c) => c.visible).map((c) => [c.id, c.wish()]));
  }

  show(charts: ChartData[], floats: Float32Array): void {
    const byId = new Map(charts.map((c) => [c.id, c]));
    const fresh = this.cells.filter((cell) => {
      const data = byId.get(cell.id);
      return data && cell.take(data, floats);
    });
    this.enqueue(fresh);
  }

  /** Draw everything again with the data there is. */
  redraw(rebuild = false): void {
    for (const cell of this.cells) cell.redraw(rebuild);
    this.enqueue(this.cells);
  }

  reveal(chart: string): void {
    const cell = this.cells.find((c) => c.has(chart));
    cell?.choose(chart);
    cell?.element.scrollIntoView({ block: "nearest", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  }

  clear(): void {
    cancelAnimationFrame(this.scheduled);
    this.scheduled = 0;
    this.queue = [];
    this.next.clear();
    this.watcher.disconnect();
    this.sizes.disconnect();
    for (const cell of this.cells) cell.destroy();
    this.cells = [];
  }

  /** Height that the charts need, whatever stands beside them. */
  get height(): number {
    const [first, last] = [this.element.getBoundingClientRect(), ...this.cells.map((c) => c.element.getBoundingClientRect()).sort((a, b) => a.bottom - b.bottom).slice(-1)];
    return last ? last.bottom - first.top : 0;
  }

  /** The first chart takes the places that would stay empty in the last row. */
  layout(): void {
    const big = this.cells.some((c) => c.element.classList.contains("big"));
    const columns = getComputedStyle(this.element).gridTemplateColumns.split(" ").length;
    const flow = this.cells.filter((c) => !c.element.classList.contains("big"));
    flow.forEach((cell, i) => {
      const spare = i === 0 ? (columns - (flow.length % columns)) % columns : 0;
      cell.element.style.gridColumn = spare ? `span ${String(1 + spare)}` : "";
    });
    this.element.dataset["count"] = String(this.cells.length);
    this.element.dataset["density"] = this.cells.length <= 4 ? "roomy" : this.cells.length <= 6 ? "close" : this.cells.length <= 9 ? "tight" : "packed";
    this.element.classList.toggle("has-big", big);
  }

  /** Into the next round: the one being drawn is finished first, or some charts would never get their turn. */
  private enqueue(cells: Cell[]): void {
    for (const cell of cells) this.next.add(cell);
    if (this.next.size && !this.scheduled) this.start();
  }

  private start(): void {
    this.roundMs = 0;
    this.queue = [...this.next];
    this.next.clear();
    this.scheduled = requestAnimationFrame((now) => {
      this.roundStart = now;
      this.work();
    });
  }

  private work(): void {
    this.scheduled = 0;
    const begin = performance.now();
    const batch = this.spread ? this.queue.splice(0, AT_ONCE) : this.queue.splice(0);
    for (const cell of batch) cell.draw();
    this.roundMs += performance.now() - begin;
    if (this.queue.length) {
      this.scheduled = requestAnimationFrame(() => { this.work(); });
      return;
    }
    this.rounds += 1;
    this.lastDrawMs = this.roundMs;
    this.onRound();
    if (!this.spread) {
      // painting happens after our code: only the next frame's time tells what a round has cost
      const { roundStart } = this;
      const many = batch.length > AT_ONCE;
      requestAnimationFrame((now) => {
        if (many && (this.roundMs > FRAME_MS || now - roundStart > 2 * FRAME_MS)) this.spread = true;
      });
    }
    if (this.next.size) this.start();
  }
}
