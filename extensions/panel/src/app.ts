/** The panel: one experiment's controls, charts and records, over any transport. */
import type { Scene } from "./charts/plot";
import { Client, type Link } from "./client";
import { attribute, h, rebuilt, text } from "./dom";
import { Drawer, recordTabs } from "./drawer";
import { bare } from "./format";
import { Grid } from "./grid";
import { ACTIVE, type ChartWish, type Control, type Finding, type Frame, type Intervention, type Run, type Spec, type Value, type Values } from "./protocol";
import { Sidebar, startValue } from "./sidebar";
import { StartForm } from "./start";
import css from "./style.css";
import uplotCss from "uplot/dist/uPlot.min.css";
import { currentTheme, FONT_CSS, watchTheme } from "./theme";
import { Timeline } from "./timeline";
import { Header, Toolbar } from "./toolbar";
import type { Transport } from "./transport";

export interface Options {
  /** Show only this chart. */
  chart?: string;
}

/** What tests and benchmarks read from the host element. */
export interface Counters {
  readonly frames: number;
  readonly rounds: number;
  readonly lastDrawMs: number;
}

const START_SIDE = 500;
const MIN_SIDE = 380; // pixels for controls beside few charts, and above them where there is one column
const NARROW_SIDE = 240;
let serial = 0;

export class App {
  readonly host = h("div.workbench-panel", { "data-lm-suppress-shortcuts": "true", "data-state": "connecting", "data-frames": 0, "data-rounds": 0 });
  private root: ShadowRoot;
  private panel = h("div.panel");
  private themeStyle = h("style");
  private cover = h("div.cover", { role: "alert", hidden: true });
  private alerts = h("div.alerts", { role: "alert" });
  private client: Client;
  private grid: Grid;
  private header: Header | null = null;
  private toolbar: Toolbar | null = null;
  private sidebar: Sidebar | null = null;
  private form: StartForm | null = null;
  private timeline: Timeline | null = null;
  private drawer: Drawer | null = null;
  private main = h("div.work");
  private stage = h("div.view");
  private scene: Scene;
  private typed: Values = {};
  private starting = false;
  private busy = false;
  private known: string | null = null;
  private onScreen = true;
  private notice = "";
  private cleanups: (() => void)[] = [];
  private lookTimer: ReturnType<typeof setTimeout> | null = null;

  constructor(
    transport: Transport,
    private options: Options = {},
  ) {
    this.root = this.host.attachShadow({ mode: "open" });
    const sheet = h("style");
    sheet.textContent = uplotCss + FONT_CSS + css;
    this.root.append(sheet, this.themeStyle, this.panel);
    this.scene = {
      theme: currentTheme(), runs: [], hidden: new Set(), findings: [], interventions: [], range: null, at: null,
      syncKey: `workbench-${String(++serial)}`, hotFinding: null,
      zoom: (range) => { this.zoom(range); },
      describe: (item) => this.describe(item),
    };
    this.themeStyle.textContent = this.scene.theme.css();
    this.grid = new Grid(this.scene, () => { this.look(); }, (chart, wish) => { void this.explore(chart, wish); });
    this.grid.onRound = () => { this.host.dataset["rounds"] = String(this.grid.rounds); };
    this.panel.append(h("div.connecting", null, "Connecting…"));
    this.client = new Client(transport);
    this.client.onSpec = (spec) => { this.build(spec); };
    this.client.onFrame = (frame) => { this.update(frame); };
    this.client.onCharts = (charts, floats) => { this.grid.show(charts, floats); };
    this.client.onLink = (link, why) => { this.linked(link, why); };
    this.watch();
    const counters = { client: this.client, grid: this.grid };
    Object.assign(this.host, {
      __workbench: {
        get frames() { return counters.client.frames; },
        get rounds() { return counters.grid.rounds; },
        get lastDrawMs() { return counters.grid.lastDrawMs; },
      } satisfies Counters,
    });
  }

  destroy(): void {
    for (const stop of this.cleanups) stop();
    if (this.lookTimer) clearTimeout(this.lookTimer);
    this.grid.clear();
    this.client.close();
    this.host.remove();
  }

  // ── building ──

  private build(spec: Spec): void {
    const { chart } = this.options;
    this.grid.build(spec.charts, chart);
    if (chart) {
      this.panel.className = "panel single";
      this.panel.replaceChildren(this.cover, this.grid.element);
      if (!spec.charts.some((c) => c.id === chart)) this.panel.append(h("div.connecting", null, `${spec.experiment.title} has no chart “${chart}”; it has ${spec.charts.map((c) => c.id).join(", ")}.`));
      return;
    }
    this.header = new Header(spec);
    this.toolbar = new Toolbar(spec, {
      ask: (op, args) => this.ask(op, args),
      selected: () => this.selected(),
      toggle: (run) => { this.toggle(run); },
      start: () => { void this.start(); },
      newRun: () => { this.newRun(); },
      cancel: () => { this.setStarting(false); },
      addArm: (arm) => { void this.addArm(arm); },
      attach: (runs) => { void this.ask("attach", { runs }).catch(() => undefined); },
      say: (sentence) => { this.say(sentence); },
    });
    this.sidebar = new Sidebar(spec.controls, { set: (control, value) => this.set(control, value) }, () => { this.newRun(); });
    this.form = new StartForm(spec, () => { this.refreshControls(); });
    this.timeline = new Timeline(this.scene, (at) => {
      this.scene.at = at;
      this.grid.redraw();
      this.timeline?.update();
      this.look();
    });
    this.drawer = new Drawer(recordTabs({
      describe: (i) => this.describe(i),
      show: (finding) => { this.showFinding(finding); },
      hover: (key) => { this.scene.hotFinding = key; this.grid.redraw(); },
      color: (run) => `var(--run${String((run?.color ?? 7) % 8)})`,
    }));
    this.stage.replaceChildren(this.grid.element, this.timeline.element);
    this.main.replaceChildren(this.sidebar.element, this.stage, this.form.element);
    this.panel.className = "panel";
    this.panel.setAttribute("role", "region");
    this.panel.setAttribute("aria-label", spec.experiment.title);
    this.panel.replaceChildren(this.header.element, h("div.bar-place", null, this.toolbar.element, this.cover), this.alerts, this.main, this.drawer.element);
    this.known = null;
    this.arrange();
  }

  private watch(): void {
    this.cleanups.push(watchTheme((theme) => {
      this.scene.theme = theme;
      this.themeStyle.textContent = theme.css();
      this.grid.redraw(true);
    }));
    const seen = new IntersectionObserver((entries) => {
      this.onScreen = entries.at(-1)?.isIntersecting ?? true;
      this.look();
    });
    seen.observe(this.host);
    let width = 0;
    const sizes = new ResizeObserver(() => {
      if (this.panel.clientWidth === width) return; // unfolding a group changes the height, and must fold no other
      width = this.panel.clientWidth;
      this.arrange();
    });
    sizes.observe(this.panel);
    const visibility = (): void => { this.look(); };
    document.addEventListener("visibilitychange", visibility);
    this.cleanups.push(() => { seen.disconnect(); sizes.disconnect(); document.removeEventListener("visibilitychange", visibility); });
    this.root.addEventListener("keydown", (e) => {
      if ((e as KeyboardEvent).key === "Escape") this.giveFocusBack();
    });
  }

  /** Lab's shortcuts are switched off while the panel has the focus: Escape hands it to the cell around. */
  private giveFocusBack(): void {
    (this.root.activeElement as HTMLElement | null)?.blur();
    const around = this.host.parentElement?.closest<HTMLElement>('[tabindex]:not([tabindex="-1"]), .jp-Notebook');
    around?.focus({ preventScroll: true });
  }

  // ── frames ──

  private update(frame: Frame): void {
    this.host.dataset["frames"] = String(this.client.frames);
    const { scene } = this;
    const marks = JSON.stringify([frame.findings.map((f) => [f.run, f.key, f.last]), frame.interventions.length, frame.interventions.at(-1)?.seq]);
    scene.runs = frame.runs;
    scene.findings = frame.findings;
    scene.interventions = frame.interventions;
    const ids = frame.runs.map((r) => r.id).join();
    if (ids !== this.known) this.newRuns(frame, ids);
    else if (marks !== this.host.dataset["marks"] && !frame.charts) this.grid.redraw();
    this.host.dataset["marks"] = marks;
    this.refreshControls();
    const lead = frame.runs.find((r) => r.exact) ?? frame.runs[0];
    const exact = lead?.exact as { text?: string } | string | null | undefined;
    this.drawer?.update(frame, (typeof exact === "string" ? exact : exact?.text) ?? "");
    this.timeline?.update();
    this.showAlerts(frame);
  }

  private newRuns(frame: Frame, ids: string): void {
    this.known = ids;
    this.scene.hidden = new Set([...this.scene.hidden].filter((id) => frame.runs.some((r) => r.id === id)));
    this.scene.at = null;
    this.scene.range = null;
    this.setStarting(frame.runs.length === 0);
    this.grid.redraw();
    this.look();
    requestAnimationFrame(() => { this.arrange(); });
  }

  private refreshControls(): void {
    const { frame } = this.client;
    if (!frame || !this.sidebar || !this.form) return;
    const selected = this.selected();
    const active = selected.filter((r) => ACTIVE.has(r.state));
    this.header?.update(frame, this.client.link, this.starting);
    this.toolbar?.update(frame, this.starting, this.form.choice().arms.length > 0, this.busy);
    if (this.starting) {
      const arms = this.form.chosenArms;
      const preset = this.form.presetValues;
      this.sidebar.offer((control) => startValue(control, this.typed, arms, preset), true);
    } else this.sidebar.follow(frame, selected, active);
    const states = new Set(frame.runs.map((r) => r.state));
    this.host.dataset["state"] = this.client.link !== "live" ? this.client.link : frame.runs.length === 0 ? "empty" : states.size > 1 ? "mixed" : states.has("lost") ? "run-lost" : ([...states][0] ?? "");
  }

  private showAlerts(frame: Frame): void {
    const lines: { level: string; text: string; run?: Run }[] = frame.runs
      .filter((r) => r.state === "failed" || r.state === "lost")
      .map((r) => ({ level: "error", run: r, text: `${r.state} at step ${r.step.toLocaleString("en-US")}${r.message ? `: ${r.message}` : "."}` }));
    if (frame.notice?.text) lines.push(frame.notice);
    if (this.notice) lines.push({ level: "warning", text: this.notice });
    rebuilt(this.alerts, JSON.stringify(lines.map((l) => [l.level, l.text, l.run?.id])), () =>
      lines.map((l) => h(`div.alert.${l.level}`, null, l.run ? h("b", null, `${l.run.label} `) : null, l.text, l.text === this.notice ? h("button.link", { onclick: () => { this.say(""); } }, "Dismiss") : null)));
  }

  private say(sentence: string): void {
    this.notice = sentence;
    if (this.client.frame) this.showAlerts(this.client.frame);
  }

  private linked(link: Link, why: string): void {
    this.host.dataset["state"] = link;
    this.cover.hidden = link === "live" || !why;
    text(this.cover, why);
    this.panel.classList.toggle("lost", link !== "live" && why !== "");
    const connecting = this.panel.querySelector(".connecting");
    if (connecting && why && !this.client.spec) text(connecting, why);
    this.main.inert = link === "lost";
    if (this.toolbar) this.toolbar.element.inert = link === "lost";
    this.refreshControls();
  }

  // ── what is looked at ──

  private look(): void {
    this.lookTimer ??= setTimeout(() => {
      this.lookTimer = null;
      if (!this.client.spec) return;
      const active = this.onScreen && document.visibilityState === "visible";
      const charts = this.starting && !this.options.chart ? {} : this.grid.wishes();
      this.client.look(active, charts, this.scene.at);
    }, 30);
  }

  private zoom(range: [number, number] | null): void {
    this.scene.range = range && range[1] > range[0] ? range : null;
    this.grid.redraw();
    this.timeline?.update();
    this.look();
  }

  private showFinding(finding: Finding): void {
    const run = this.scene.runs.find((r) => r.id === finding.run);
    const last = finding.last ?? run?.step ?? finding.first;
    const air = Math.max(10, (last - finding.first) * 0.4);
    this.zoom([Math.max(0, Math.round(finding.first - air)), Math.round(last + air)]);
    if (finding.charts[0]) this.grid.reveal(finding.charts[0]);
  }

  /** Sizes that style sheets cannot reckon: how many groups of controls fit beside the charts. */
  private arrange(): void {
    this.grid.layout();
    if (!this.sidebar || !this.timeline) return;
    const wide = this.panel.clientWidth >= 820;
    const { timeline } = this;
    const beside = (): number => (this.starting ? (this.form?.height ?? 0) : this.grid.height + timeline.element.offsetHeight);
    this.sidebar.fit(() => (wide ? Math.max(this.starting ? START_SIDE : MIN_SIDE, beside()) : NARROW_SIDE));
  }

  // ── doing ──

  private selected(): Run[] {
    return this.scene.runs.filter((r) => !this.scene.hidden.has(r.id));
  }

  private toggle(run: string): void {
    const { hidden } = this.scene;
    if (!hidden.delete(run)) hidden.add(run);
    this.grid.redraw();
    this.refreshControls();
    this.timeline?.update();
  }

  private async ask(op: string, args: object = {}): Promise<unknown> {
    const about = ["runs", "attach", "figure"].includes(op) ? args : { runs: this.selected().filter((r) => op === "mlflow" || ACTIVE.has(r.state)).map((r) => r.id), ...args };
    try {
      const result = await this.client.request(op, about);
      this.say("");
      return result;
    } catch (error) {
      this.say(error instanceof Error ? error.message : String(error));
      throw error;
    }
  }

  private async set(control: Control, value: Value): Promise<Record<string, number>> {
    if (this.starting) {
      this.typed[control.name] = value;
      this.refreshControls();
      return {};
    }
    const runs = this.selected().filter((r) => ACTIVE.has(r.state)).map((r) => r.id);
    const result = await this.client.request("set", { runs, values: { [control.name]: value } });
    return (result as { commands: Record<string, number> }).commands;
  }

  private setStarting(on: boolean): void {
    this.starting = on;
    this.panel.classList.toggle("starting", on);
    if (on) this.typed = {};
    this.refreshControls();
    this.arrange();
    this.look();
  }

  /** The form, filled in as the runs shown were started. */
  private newRun(): void {
    const { runs } = this.scene;
    const lead = runs[0];
    if (lead) this.form?.choose({ arms: [...new Set(runs.map((r) => r.arm))], preset: lead.preset, seed: lead.seed });
    this.setStarting(true);
  }

  private async start(): Promise<void> {
    if (!this.form) return;
    this.busy = true;
    this.form.fail("");
    this.refreshControls();
    try {
      await this.client.request("start", { ...this.form.choice(), values: this.typed });
      this.known = null; // whatever runs the next frame brings, the form makes way for them
    } catch (error) {
      this.form.fail(error instanceof Error ? error.message : String(error));
    }
    this.busy = false;
    this.refreshControls();
  }

  private async addArm(arm: string): Promise<void> {
    const { runs } = this.scene;
    const lead = runs[0];
    try {
      const { runs: started } = (await this.ask("start", { arms: [arm], preset: lead?.preset ?? this.client.spec?.defaults.preset, seed: lead?.seed ?? 0, values: {} })) as { runs: string[] };
      await this.ask("attach", { runs: [...new Set([...runs.map((r) => r.id), ...started])] });
    } catch {
      // the sentence is shown
    }
  }

  private async explore(chart: string, wish: ChartWish): Promise<void> {
    const page = window.open("", "_blank"); // at once: browsers allow a new tab only during the click
    page?.document.write("<title>Drawing…</title><p style='font:14px system-ui;padding:2em'>Drawing the figure…");
    try {
      const { html } = (await this.ask("figure", { chart, theme: this.scene.theme.mode, range: wish.range, component: wish.component, run: wish.run, at: this.scene.at })) as { html: string };
      const url = URL.createObjectURL(new Blob([html], { type: "text/html" }));
      if (page) page.location.href = url;
      else this.say("The browser did not allow a new tab; allow pop-ups for this page and click Explore again.");
      setTimeout(() => { URL.revokeObjectURL(url); }, 60_000);
    } catch {
      page?.close();
    }
  }

  /** An intervention in words: "target ε 0.100 → 0.120", "pause". */
  private describe(item: Intervention): string {
    if (item.kind !== "set") return item.name ? `${item.kind} ${item.name}` : item.kind;
    return Object.entries(item.new).map(([name, value]) => {
      const control = this.client.spec?.controls.find((c) => c.name === name);
      return control ? `${control.label} ${name in item.old ? `${bare(control, item.old[name])} → ` : ""}${bare(control, value)}` : `${name} ${String(value)}`;
    }).join(", ");
  }
}

/** Start the app in `place` as soon as that has a width: it may not be in the document yet. */
export function mount(place: HTMLElement, transport: Transport, options: Options = {}): () => void {
  let app: App | null = null;
  const begin = (): void => {
    if (app || place.clientWidth <= 0) return;
    observer.disconnect();
    app = new App(transport, options);
    attribute(app.host, "role", null);
    place.append(app.host);
  };
  const observer = new ResizeObserver(begin);
  observer.observe(place);
  return () => {
    observer.disconnect();
    if (app) app.destroy();
    else transport.close();
  };
}
