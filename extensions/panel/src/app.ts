/** The panel: one experiment's controls, charts and records, over any transport. */
import type { Scene } from "./charts/plot";
import { Alerts } from "./alerts";
import { Client, type Link } from "./client";
import { CompareTab } from "./compare";
import { h, text } from "./dom";
import { Drawer, recordTabs } from "./drawer";
import { explore } from "./explore";
import { inWords } from "./format";
import { Grid } from "./grid";
import { Header } from "./header";
import { ACTIVE, type Control, type Finding, type Frame, type Report, type Run, type Spec, type Value, type Values } from "./protocol";
import { Sidebar, startValue } from "./sidebar";
import { StartForm } from "./start";
import css from "./style.css";
import uplotCss from "uplot/dist/uPlot.min.css";
import { currentTheme, FONT_CSS, watchTheme } from "./theme";
import { Timeline } from "./timeline";
import { Toolbar } from "./toolbar";
import type { Transport } from "./transport";
import { Travel } from "./travel";
import travelCss from "./travel.css";

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
  private alerts = new Alerts();
  private client: Client;
  private grid: Grid;
  private header: Header | null = null;
  private toolbar: Toolbar | null = null;
  private sidebar: Sidebar | null = null;
  private form: StartForm | null = null;
  private timeline: Timeline | null = null;
  private drawer: Drawer | null = null;
  private compare: CompareTab | null = null;
  private travel: Travel;
  private main = h("div.work");
  private stage = h("div.view");
  private scene: Scene;
  private typed: Values = {};
  private starting = false;
  private busy = false;
  private known: string | null = null;
  private onScreen = true;
  private cleanups: (() => void)[] = [];
  private lookTimer: ReturnType<typeof setTimeout> | null = null;

  constructor(
    transport: Transport,
    private options: Options = {},
  ) {
    this.root = this.host.attachShadow({ mode: "open" });
    const sheet = h("style");
    sheet.textContent = uplotCss + FONT_CSS + travelCss + css;
    this.root.append(sheet, this.themeStyle, this.panel);
    this.scene = {
      theme: currentTheme(), runs: [], hidden: new Set(), findings: [], interventions: [], range: null, at: null, quiet: false,
      syncKey: `workbench-${String(++serial)}`, hotFinding: null,
      zoom: (range) => { this.zoom(range); },
      describe: (item) => inWords(item, this.client.spec?.controls ?? []),
      pick: (pick) => { this.travel.pick(pick); },
    };
    this.themeStyle.textContent = this.scene.theme.css();
    this.grid = new Grid(this.scene, () => { this.look(); }, (chart, wish) => { void explore(chart, wish, this.scene, (args) => this.ask("figure", args), (sentence) => { this.alerts.say(sentence); }); });
    this.grid.onRound = () => { this.host.dataset["rounds"] = String(this.grid.rounds); };
    this.panel.append(h("div.connecting", null, "Connecting…"));
    this.travel = new Travel(this.scene, this.panel, {
      request: (op, args) => this.client.request(op, args),
      controls: () => this.client.spec?.controls ?? [],
      show: (step) => { this.showStep(step); },
      selected: () => this.selected(),
      say: (sentence) => { this.alerts.say(sentence); },
      compare: (a, b) => { this.compareRuns(a, b); },
    });
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
      this.panel.replaceChildren(this.cover, this.grid.element, ...this.travel.elements);
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
      say: (sentence) => { this.alerts.say(sentence); },
      runMenu: (run, button) => { this.travel.runMenu(run, button); },
    });
    this.sidebar = new Sidebar(spec.controls, { set: (control, value) => this.set(control, value) }, () => { this.newRun(); });
    this.form = new StartForm(spec, () => { this.refreshControls(); });
    this.timeline = new Timeline(this.scene, (at) => { this.showStep(at); }, (button) => { this.travel.forkFrom(button); });
    const color = (run: Run | undefined): string => `var(--run${String((run?.color ?? 7) % 8)})`;
    this.compare = new CompareTab({ compare: (a, b) => this.client.request("compare", { a, b }) as Promise<Report>, controls: () => spec.controls, color });
    this.drawer = new Drawer(recordTabs({
      describe: (i) => this.scene.describe(i),
      show: (finding) => { this.showFinding(finding); },
      hover: (key) => { this.scene.hotFinding = key; this.grid.redraw(); },
      forkBefore: (button, run, step, item) => { this.travel.forkBefore(button, run, step, item); },
      color,
    }, this.compare));
    this.stage.replaceChildren(this.grid.element, this.timeline.element);
    this.main.replaceChildren(this.sidebar.element, this.stage, this.form.element);
    this.panel.className = "panel";
    this.panel.setAttribute("role", "region");
    this.panel.setAttribute("aria-label", spec.experiment.title);
    this.panel.replaceChildren(this.header.element, h("div.bar-place", null, this.toolbar.element, this.cover), this.alerts.element, this.main, this.drawer.element, ...this.travel.elements);
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
    this.drawer?.update(frame, (frame.runs.find((r) => r.exact && !r.exact.ok) ?? frame.runs.find((r) => r.exact))?.exact ?? null);
    this.timeline?.update();
    this.alerts.show(frame);
  }

  private newRuns(frame: Frame, ids: string): void {
    const before = (this.known ?? "").split(",");
    this.known = ids;
    this.scene.hidden = new Set([...this.scene.hidden].filter((id) => frame.runs.some((r) => r.id === id)));
    const stays = frame.runs.some((r) => before.includes(r.id)); // a fork beside its parent: what was looked at stays in view
    if (!stays) this.scene.range = null;
    this.scene.at = null;
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
    this.travel.popover.close(false);
    this.scene.range = range && range[1] > range[0] ? range : null;
    this.grid.redraw();
    this.timeline?.update();
    this.look();
  }

  /** Where the time slider stands; null: at the newest step. */
  private showStep(at: number | null): void {
    this.scene.at = at;
    this.grid.redraw();
    this.timeline?.update();
    this.look();
  }

  private compareRuns(a: string, b: string): void {
    this.compare?.choose(a, b);
    this.drawer?.choose("compare");
    this.drawer?.element.scrollIntoView({ block: "nearest" });
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
    const about = ["runs", "attach", "figure", "restart"].includes(op) ? args : { runs: this.selected().filter((r) => op === "mlflow" || ACTIVE.has(r.state)).map((r) => r.id), ...args };
    try {
      const result = await this.client.request(op, about);
      this.alerts.say("");
      return result;
    } catch (error) {
      this.alerts.say(error instanceof Error ? error.message : String(error));
      throw error;
    }
  }

  private async set(control: Control, value: Value): Promise<Record<string, number>> {
    if (this.starting) {
      this.typed[control.name] = value;
      if (control.name === "steps") this.form?.plan(Number(value));
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
    this.form?.plan(null);
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
}
