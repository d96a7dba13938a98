/** A place in the grid: the views of one group as tabs, their selectors, caption and drawing. */
import { PLOTS } from "./charts";
import type { Plot, Scene } from "./charts/plot";
import { attribute, h, rebuilt, text } from "./dom";
import { count } from "./format";
import type { ChartData, ChartSpec, ChartWish, Run } from "./protocol";

export interface CellHost {
  scene: Scene;
  /** What this cell wishes to see has changed. */
  changed(): void;
  explore(chart: string, wish: ChartWish): void;
  enlarge(cell: Cell): void;
}

export class Cell {
  readonly element: HTMLElement;
  visible = false;
  dirty = true;
  private spec: ChartSpec;
  private plot: Plot | null = null;
  private plotKind = "";
  private pending: { data: ChartData; floats: Float32Array } | null = null;
  private drawnVersion = "";
  private component: number | null = null;
  private run: string | null = null;
  private held: number | null = null;

  private title = h("span.title");
  private tabs = h("div.chart-tabs", { role: "tablist" });
  private menu = h("select.chart-menu", { "aria-label": "View", onchange: () => { this.choose(this.menu.value); } });
  private subtitle = h("span.subtitle");
  private components = h("select.pick", { "aria-label": "Component", onchange: () => { this.component = this.components.value === "" ? null : Number(this.components.value); this.host.changed(); } });
  private runs = h("select.pick", { "aria-label": "Run", onchange: () => { this.run = this.runs.value; this.host.changed(); } });
  private empty = h("div.empty", { hidden: true });
  private place = h("div.plot", null, this.empty);
  private big = h("button.icon", { "aria-label": "Enlarge", title: "Enlarge", onclick: () => { this.host.enlarge(this); } });

  constructor(
    private specs: ChartSpec[],
    private host: CellHost,
  ) {
    this.spec = specs[0] as ChartSpec;
    this.big.innerHTML = '<svg viewBox="0 0 16 16" width="12" height="12" aria-hidden="true"><path d="M9.5 2H14v4.5M6.5 14H2V9.5M13.5 2.5 9 7M2.5 13.5 7 9" fill="none" stroke="currentColor" stroke-width="1.5"/></svg>';
    this.element = h(
      "section.cell",
      { "data-chart": this.spec.id },
      h("div.caption", null, this.title, specs.length > 1 && this.menu, this.subtitle, this.components, this.runs, specs.length > 1 && this.tabs,
        h("div.tools", null,
          h("button.ghost", { "data-role": "explore", title: "Open as an interactive figure in a new tab", onclick: () => { this.host.explore(this.spec.id, this.wish()); } }, "Explore"),
          this.big)),
      this.place,
    );
    for (const s of specs) {
      this.menu.append(h("option", { value: s.id }, s.title));
      this.tabs.append(h("button.chart-tab", { role: "tab", "data-tab": s.id, title: s.title, onclick: () => { this.choose(s.id); } }, s.tab || s.title));
    }
    this.tabs.addEventListener("keydown", (e) => {
      const way = e.key === "ArrowRight" ? 1 : e.key === "ArrowLeft" ? -1 : 0;
      if (!way) return;
      const next = specs[(specs.indexOf(this.spec) + way + specs.length) % specs.length] as ChartSpec;
      this.choose(next.id);
      this.tabs.querySelector<HTMLElement>(`[data-tab="${next.id}"]`)?.focus();
    });
    this.showSpec();
  }

  get id(): string {
    return this.spec.id;
  }

  has(id: string): boolean {
    return this.specs.some((s) => s.id === id);
  }

  choose(id: string): void {
    const spec = this.specs.find((s) => s.id === id);
    if (!spec || spec === this.spec) return;
    this.spec = spec;
    this.component = null;
    this.held = null;
    this.pending = null;
    this.dropPlot();
    this.showSpec();
    this.host.changed();
  }

  wish(): ChartWish {
    const width = this.plot?.inner ?? Math.max(16, this.place.clientWidth - 52);
    if (this.held != null) return { width, range: [this.held, this.held + 1], component: this.component, run: this.run };
    return { width, range: this.spec.kind === "line" || this.spec.kind === "area" || this.spec.kind === "heatmap" ? this.host.scene.range : null, component: this.component, run: this.run };
  }

  /** Take new data; it is drawn by `draw`. False if nothing changed. */
  take(data: ChartData, floats: Float32Array): boolean {
    const version = `${String(data.version)} ${String(data.xdomain)}`;
    if (version === this.drawnVersion && !this.dirty) return false;
    this.pending = { data, floats };
    this.drawnVersion = version;
    this.dirty = true;
    return true;
  }

  draw(): void {
    if (!this.pending || this.place.clientWidth < 20) return;
    const { data, floats } = this.pending;
    this.dirty = false;
    this.showWords(data);
    if (data.kind !== this.plotKind) {
      this.dropPlot();
      const Maker = PLOTS[data.kind];
      if (!Maker) return;
      this.plotKind = data.kind;
      this.plot = new Maker(this.place, this.host.scene, (what) => { this.readout(what); }, () => ({ width: this.place.clientWidth, height: this.place.clientHeight }), (step) => {
        this.held = step;
        this.host.changed();
      });
    }
    this.plot?.update(data, floats);
  }

  /** Theme, arms or marks changed: draw the same data again. */
  redraw(rebuild = false): void {
    if (rebuild) this.dropPlot();
    this.dirty = true;
  }

  destroy(): void {
    this.dropPlot();
    this.element.remove();
  }

  setBig(on: boolean): void {
    this.element.classList.toggle("big", on);
    attribute(this.big, "aria-label", on ? "Make small" : "Enlarge");
    attribute(this.big, "title", on ? "Make small" : "Enlarge");
  }

  private dropPlot(): void {
    this.plot?.destroy();
    this.plot = null;
    this.plotKind = "";
    this.drawnVersion = "";
    this.dirty = true;
  }

  private showSpec(): void {
    const { spec } = this;
    this.element.dataset["chart"] = spec.id;
    attribute(this.element, "aria-label", spec.title);
    text(this.title, spec.title);
    this.menu.value = spec.id;
    text(this.subtitle, spec.subtitle);
    attribute(this.subtitle, "title", spec.subtitle);
    for (const tab of this.tabs.children) attribute(tab, "aria-selected", String((tab as HTMLElement).dataset["tab"] === spec.id));
    for (const tab of this.tabs.children) attribute(tab, "tabindex", (tab as HTMLElement).dataset["tab"] === spec.id ? 0 : -1);
    this.components.hidden = this.runs.hidden = true;
  }

  private showWords(data: ChartData): void {
    const { spec } = this;
    const { runs, hidden } = this.host.scene;
    const shown = runs.filter((r) => !hidden.has(r.id));
    const { components = [] } = data;
    text(this.title, components.length ? spec.title : (data.title ?? spec.title));
    const step = "step" in data && data.step != null ? `step ${count(data.step)}` : "";
    const subtitle = [spec.per_run && runs.length > 1 ? "" : step, data.subtitle ?? spec.subtitle, data.note].filter(Boolean).join(" · ");
    if (!this.subtitle.dataset["live"]) text(this.subtitle, subtitle);
    this.subtitle.dataset["words"] = subtitle;
    attribute(this.subtitle, "title", subtitle);
    this.components.hidden = !components.length;
    rebuilt(this.components, JSON.stringify(components), () => components.map((label, i) => h("option", { value: String(i) }, label)));
    if (data.component != null && this.components !== this.place.ownerDocument.activeElement) this.components.value = String(data.component);
    this.runs.hidden = !spec.per_run || runs.length < 2;
    rebuilt(this.runs, runs.map((r: Run) => r.id + r.label).join(), () => runs.map((r) => h("option", { value: r.id }, r.label)));
    if (data.run) this.runs.value = data.run;
    const empty = data.empty ?? (runs.length && !shown.length ? "No run is switched on above." : null);
    this.empty.hidden = empty == null;
    text(this.empty, empty ?? "");
  }

  private readout(what: { swatch: string; text: string }[] | null): void {
    if (!what?.length) {
      if (!this.subtitle.dataset["live"]) return;
      delete this.subtitle.dataset["live"];
      text(this.subtitle, this.subtitle.dataset["words"] ?? "");
      return;
    }
    this.subtitle.dataset["live"] = "1";
    this.subtitle.replaceChildren(...what.flatMap((w) => [h("i.swatch", { style: `--c:${w.swatch}` }), h("span.num", null, w.text)]));
  }
}
