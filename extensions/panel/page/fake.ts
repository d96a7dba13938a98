/** A made-up experiment for the development page: plausible frames, drawn, not measured. */
import type { Arm, ChartData, ChartSpec, ChartWish, Control, Finding, Frame, Intervention, LineSeries, LogLine, Run, Slot, Spec, Value, Values } from "../src/protocol";
import type { Transport } from "../src/transport";

const control = (name: string, kind: Control["kind"], value: Value, more: Partial<Control>): Control => ({
  name, label: name.replaceAll("_", " "), kind, default: value, min: null, max: null, exclusive_min: false, scale: "linear", unit: "", step: null,
  when: "live", stage: "", when_text: more.when === "stage" ? `next ${more.stage ?? ""}` : (more.when ?? "live"), choices: [], help: "", group: "Settings", fork: false, ...more,
});

const CONTROLS = [
  control("steps", "int", 4700, { min: 1, max: 1e7, scale: "log", when: "launch", group: "Run", help: "training batches" }),
  control("epsilon", "float", 0.1, { label: "target ε", min: 0, max: 0.4, step: 0.005, group: "Radius", help: "half-width of the box to certify" }),
  control("ramp_epochs", "int", 5, { label: "ramp length", min: 0, max: 100, unit: "epochs", when: "stage", stage: "epoch", group: "Radius" }),
  control("freeze_eps", "bool", false, { group: "Radius" }),
  control("ramp_mid", "float", 0.25, { min: 0, max: 1, when: "launch", group: "Radius" }),
  control("kappa", "float", 0, { min: 0, max: 1, step: 0.01, group: "Loss" }),
  control("reg_weight", "float", 0.5, { label: "weight λ", min: 0, max: 2, step: 0.05, group: "ReLU balance" }),
  control("tolerance", "float", 0.5, { min: 0.05, max: 1, step: 0.05, group: "ReLU balance" }),
  control("use_tightness", "bool", true, { group: "ReLU balance" }),
  control("use_balance", "bool", true, { group: "ReLU balance" }),
  control("init", "choice", "ibp", { label: "initialisation", choices: ["default", "kaiming", "ibp"], when: "launch", group: "Network" }),
  control("batch_norm", "choice", "full", { choices: ["none", "conv", "full"], when: "launch", group: "Network" }),
  control("width", "int", 8, { min: 4, max: 64, scale: "log2", unit: "channels", when: "launch", group: "Network" }),
  control("grad_clip", "float", 10, { label: "gradient clip", min: 0.1, max: 100, scale: "log", group: "Optimiser" }),
  control("optimizer.lr", "float", 5e-4, { label: "learning rate", min: 0, exclusive_min: true, max: 10, scale: "log", group: "Optimiser" }),
  control("optimizer.weight_decay", "float", 0, { label: "weight decay", min: 0, max: 1, group: "Optimiser" }),
  control("batch_size", "int", 128, { min: 2, max: 1024, scale: "log2", unit: "images", when: "stage", stage: "epoch", group: "Data" }),
];
const ARMS: Arm[] = [
  { name: "fast", label: "fast IBP", role: "remedy", help: "IBP initialisation, batch norm on every layer, both regularisers", overrides: { init: "ibp" } },
  { name: "vanilla_bn", label: "batch norm only", role: "phenomenon", help: "torch's initialisation, batch norm on every layer, no regularisers", overrides: { init: "default", reg_weight: 0 } },
  { name: "fast_no_init", label: "without init", role: "ablation", help: "batch norm and regularisers with torch's initialisation", overrides: { init: "default" } },
];
const chart = (id: string, title: string, kind: string, more: Partial<ChartSpec> = {}): ChartSpec => ({ id, title, kind, subtitle: "", unit: "", scale: "linear", group: "", tab: "", per_run: false, ...more });
const LAYERS = ["ReLU 1", "ReLU 2", "ReLU 3", "ReLU 4", "ReLU 5", "ReLU 6", "output"];
const CHARTS = [
  chart("errors", "Error", "line", { unit: "%", subtitle: "line certified, dashes clean; shaded: unknown" }),
  chart("bound_width", "Bound width by layer", "line", { scale: "log", subtitle: "mean half-width", group: "explosion", tab: "width" }),
  chart("bound_now", "Width now, layer by layer", "bars", { scale: "log", group: "explosion", tab: "bars" }),
  chart("width_map", "Width as a map", "heatmap", { group: "explosion", tab: "map" }),
  chart("relus", "ReLU states", "area", { per_run: true, subtitle: "shares of one layer" }),
  chart("schedules", "Radius and learning rate", "line", { subtitle: "ε (line), learning rate (right)" }),
  chart("losses", "Loss", "line", { scale: "log" }),
  chart("margins", "Certified margins", "histogram", { unit: "logit", subtitle: "certified right of 0" }),
  chart("front", "Clean against certified error", "scatter", { unit: "%", subtitle: "one dot a run" }),
  chart("pictures", "Probe images", "image", { per_run: true }),
  chart("responses", "What it answers", "responses", { per_run: true, subtitle: "a few of each step" }),
  chart("mixes", "Reward of merges", "ternary", { subtitle: "before training; rings: these runs" }),
  chart("routes", "Where each token went", "tokens", { per_run: true, subtitle: "validation text" }),
  chart("load", "Load by domain", "matrix", { per_run: true, subtitle: "share of tokens; neutral: 1/8" }),
];
const noise = (i: number, k: number): number => Math.sin(i * 12.9898 + k * 78.233) * 43758.5453 % 1;

export interface FakeOptions {
  runs: boolean;
  charts: number;
  step: number;
  crowd: boolean;
  fail: boolean;
  speed: number;
  fork: boolean;
  exact: boolean;
}

interface Child {
  id: string;
  kind: "fork" | "replay";
  parent: string;
  step: number;
  values: Values;
  begun: number;
}

const rootOf = (id: string): string => id.replace(/[~=].*$/, "");

export class FakeTransport implements Transport {
  private cb: (message: unknown, buffers: ArrayBufferView[]) => void = () => undefined;
  private view = "";
  private n = 0;
  private wishes: Record<string, ChartWish> = {};
  private at: number | null = null;
  private active = true;
  private step: number;
  private state = "running";
  private arms: string[];
  private values: Values;
  private seq = 10;
  private interventions: Intervention[] = [];
  private timer: ReturnType<typeof setInterval>;
  private silent = false;
  private children: Child[] = [];
  private notes: Record<string, Partial<Run>> = {};

  constructor(private options: FakeOptions) {
    this.step = options.step;
    this.arms = options.runs ? ["fast", "vanilla_bn"] : [];
    this.values = Object.fromEntries(CONTROLS.map((c) => [c.name, c.default]));
    if (options.runs) {
      this.did(870, { epsilon: 0.08 }, { epsilon: 0.1 });
      this.did(1870, { epsilon: 0.1 }, { epsilon: 0.12 });
      this.values["epsilon"] = 0.12;
      if (options.fork) this.branch("fast", 1500, { epsilon: 0.02 }, "fork", -1e9);
      if (options.crowd) for (let i = 0; i < 12; i++) this.did(1200 + i * 9, { tolerance: 0.5 }, { tolerance: 0.5 + i / 100 });
    }
    this.timer = setInterval(() => {
      if (this.state === "running" && this.arms.length) this.step = Math.min(4700, this.step + options.speed);
      if (this.active && this.view) this.frame();
    }, 250);
  }

  private did(step: number, old: Values, now: Values, outcome: Intervention["outcome"] = "applied", reason = "", run?: string, seq?: number): void {
    for (const arm of run ? [run] : this.arms) this.interventions.push({ run: arm, seq: seq ?? this.seq++, kind: "set", old, new: now, step, at_step: null, outcome, reason, source: "panel", time: Date.now() / 1000 });
  }

  private branch(parent: string, step: number, values: Values, kind: Child["kind"], begun = Date.now()): Child {
    const child = { id: `${parent}${kind === "fork" ? "~" : "="}${String(this.children.length + 1)}`, kind, parent, step, values, begun };
    this.children.push(child);
    if (Object.keys(values).length) this.interventions.push({ run: child.id, seq: this.seq++, kind: "set", old: Object.fromEntries(Object.keys(values).map((k) => [k, this.values[k] ?? null])), new: values, step, at_step: step, outcome: "applied", reason: "", source: "fork", time: Date.now() / 1000 });
    return child;
  }

  private ids(): string[] {
    const under = (id: string): string[] => [id, ...this.children.filter((c) => c.parent === id).flatMap((c) => under(c.id))];
    return this.arms.flatMap(under);
  }

  onMessage(cb: (message: unknown, buffers: ArrayBufferView[]) => void): void {
    this.cb = cb;
  }

  close(): void {
    clearInterval(this.timer);
  }

  hush(): void {
    this.silent = true;
  }

  send(raw: object): void {
    if (this.silent) return;
    const message = raw as Record<string, unknown> & { type: string; view: string };
    this.view = message.view;
    if (message.type === "hello") this.post(this.spec());
    if (message.type === "view") {
      this.wishes = message["charts"] as Record<string, ChartWish>;
      this.at = message["at"] as number | null;
      this.active = message["active"] as boolean;
      this.frame();
    }
    if (message.type === "request") this.answer(message["id"] as number, message["op"] as string, message["args"] as Record<string, unknown>);
  }

  private post(message: object, buffer?: Float32Array): void {
    if (this.silent) return;
    queueMicrotask(() => { this.cb({ view: this.view, ...message }, buffer ? [new DataView(buffer.buffer)] : []); });
  }

  private answer(id: number, op: string, args: Record<string, unknown>): void {
    const reply = (result: unknown): void => { this.post({ type: "reply", id, ok: true, result }); };
    if (op === "start") {
      this.arms = args["arms"] as string[];
      this.step = 0;
      this.interventions = [];
      this.state = "running";
      reply({ runs: this.arms });
    } else if (op === "set") {
      const values = args["values"] as Values;
      const [name, value] = Object.entries(values)[0] as [string, Value];
      const seq = this.seq++;
      reply({ commands: Object.fromEntries((args["runs"] as string[]).map((r) => [r, seq])) });
      const high = CONTROLS.find((c) => c.name === name)?.max;
      setTimeout(() => {
        for (const run of args["runs"] as string[]) {
          if (typeof value === "number" && high != null && value > high) this.did(this.step, {}, values, "refused", `${name} must lie between 0 and ${String(high)}; got ${String(value)}.`, run, seq);
          else this.did(this.step, { [name]: this.values[name] ?? null }, values, "applied", "", run, seq);
        }
        if (!(typeof value === "number" && high != null && value > high)) this.values[name] = value;
        this.frame();
      }, name === "kappa" ? 4000 : 60);
    } else if (op === "pause" || op === "resume" || op === "stop") {
      this.state = { pause: "paused", resume: "running", stop: "stopped" }[op];
      reply({ commands: {} });
      this.frame();
    } else if (op === "fork" && (args["step"] as number) === 13) this.post({ type: "reply", id, ok: false, error: "epsilon must lie between 0 and 0.4; got 7." });
    else if (op === "fork") reply({ run: this.branch(args["run"] as string, args["step"] as number, args["values"] as Values, "fork").id });
    else if (op === "replay") reply({ run: this.branch(args["run"] as string, 0, {}, "replay").id });
    else if (op === "restart") {
      this.state = "running";
      reply({ runs: [] });
    } else if (op === "note") {
      this.notes[args["run"] as string] = { ...this.notes[args["run"] as string], ...(args as Partial<Run>) };
      reply({});
    } else if (op === "delete") {
      this.children = this.children.filter((c) => c.id !== args["run"]);
      this.arms = this.arms.filter((a) => a !== args["run"]);
      reply({});
    } else if (op === "compare") {
      const step = this.children.find((c) => c.id === args["b"])?.step ?? 0;
      setTimeout(() => { reply({
        a: args["a"], b: args["b"], aligned_at: step,
        config: { differing: [["epsilon", 0.1, 0.02], ["init", "ibp", "default"]], identical: CONTROLS.filter((c) => c.name !== "epsilon").map((c) => [c.name, c.default]) },
        interventions: { a_only: [{ step: 1870, kind: "set", new: { epsilon: 0.12 } }], b_only: [{ step, kind: "set", new: { epsilon: 0.02 } }], both: [{ step: 870, kind: "set", new: { epsilon: 0.1 } }] },
        first_difference: { signal: "loss", step: step + 1, a: 2.1834412, b: 2.1834391 },
        text: `Not identical: loss first differs at step ${String(step + 1)} (2.1834412 and 2.1834391).`,
      }); }, 300);
    } else if (op === "runs") reply({ runs: this.arms.map((a, i) => ({ id: a, arm: a, label: a, state: this.state, started: Date.now() / 1000 - 300 - i, group: "g", steps: 4700, step: this.step, seed: 3 })) });
    else if (op === "mlflow") reply({ url: null, command: "mlflow ui --backend-store-uri sqlite:///.workbench/mlflow.db" });
    else if (op === "figure") reply({ html: "<h1>figure</h1>" });
    else reply({ commands: {}, runs: this.arms });
  }

  private spec(): object {
    return {
      type: "spec", protocol: 1,
      experiment: { id: "drawn/ibp", title: "Fast certified IBP", subtitle: "bounds explode at initialisation; a short warm-up keeps them tight", phenomenon: "At initialisation the bounds grow by a factor a layer, so that the certified loss is astronomically large.", remedy: "An initialisation that keeps widths constant, batch norm on every layer and two warm-up regularisers.", paper: { title: "Fast Certified Robust Training with Short Warmup", venue: "NeurIPS", year: 2021, url: "https://arxiv.org/abs/2103.17268" }, reconstruction: "", notes: ["With batch norm everywhere the initialisation does not change the bounds at step 0."] },
      controls: CONTROLS, arms: ARMS,
      presets: [{ name: "smoke", help: "a few steps, to see that it works", steps: 8, arms: [], overrides: {} }, { name: "tour", help: "a few minutes on two cores", steps: 4700, arms: ["fast", "vanilla_bn"], overrides: {} }, { name: "full", help: "all images", steps: 46900, arms: [], overrides: {} }],
      defaults: { preset: "tour", arms: ["fast", "vanilla_bn"], seed: 3 },
      actions: [{ name: "shock", label: "Shock the weights", help: "adds noise to every weight once" }], probes: [{ name: "attack", label: "Strong attack", help: "200 PGD steps on 500 images, isolated from training" }],
      charts: this.charts(), store: ".workbench",
    } satisfies Omit<Spec, "view">;
  }

  private charts(): ChartSpec[] {
    if (this.options.charts <= CHARTS.length) return CHARTS.slice(0, this.options.charts);
    return Array.from({ length: this.options.charts }, (_, i) => ({ ...chart(`errors${String(i)}`, `Error ${String(i + 1)}`, "line", { unit: "%" }) }));
  }

  private frame(): void {
    const parts: number[][] = [];
    let offset = 0;
    const put = (values: number[]): Slot => {
      parts.push(values);
      offset += values.length;
      return [offset - values.length, values.length];
    };
    const charts = Object.keys(this.wishes).map((id) => this.chart(id, put));
    const step = this.step;
    const runs: Run[] = this.ids().map((id) => {
      const arm = rootOf(id);
      const child = this.children.find((c) => c.id === id);
      const young = child != null && Date.now() - child.begun < 2500;
      const name = this.notes[id]?.name ?? "";
      return {
        id, arm, label: name || (child?.kind === "fork" ? `fork at ${child.step.toLocaleString("en-US")}` : child ? `replay of ${child.parent}` : (ARMS.find((a) => a.name === arm)?.label ?? arm)), color: this.colorOf(id), state: young ? "starting" : this.options.fail && id === "vanilla_bn" ? "failed" : step >= 4700 ? "finished" : this.state,
        message: young ? `replaying steps ${String(child.step - 90)} to ${String(child.step)} …` : this.options.fail && id === "vanilla_bn" ? "RuntimeError: the loss is not finite at step 2,101 (probability tensor contains inf)" : "", step: young ? child.step - 1 : step, steps: 4700, rate: 38.2, eta_s: (4700 - step) / 38.2, seed: 3, preset: "tour", started: 0,
        exact: this.options.exact ? { ok: true, text: "replays bit for bit" } : { ok: false, text: "replays may differ: the data loader's workers keep no state" }, values: { ...this.values, ...child?.values }, pending: [], launch: this.values,
        kind: child?.kind ?? "", parent: child?.parent ?? "", fork_step: child?.kind === "fork" ? child.step : null, star: false, note: "", archived: false, disk: 34.2e6, ...this.notes[id], name,
      };
    });
    const findings: Finding[] = this.arms.includes("vanilla_bn") && step > 120 ? [
      { run: "vanilla_bn", key: "a", id: "exploded_bounds", title: "exploded bounds", first: 120, last: Math.min(step, 910), severity: "serious", sentence: "The last hidden layer's bounds are 8.7×10⁴ times as wide as the first's.", remedy: "Try the IBP initialisation with batch norm on every layer, or a longer ramp.", signals: [], charts: ["bound_width", "errors"] },
      ...(step > 1640 ? [{ run: "vanilla_bn", key: "b", id: "inactive_units", title: "inactive units", first: 1640, last: null, severity: "warning", sentence: "83 % of the units of layer 4 can never fire inside the box.", remedy: "Try batch norm on every layer or the ReLU term.", signals: [], charts: ["relus"] }] : []),
    ] : [];
    const log: LogLine[] = this.arms.map((run) => ({ run, time: Date.now() / 1000, step: 0, level: "info", text: "running" }));
    this.n += 1;
    const head: Omit<Frame, "view"> = { type: "frame", n: this.n, full: true, full_n: this.n, at: this.at, time: Date.now() / 1000, runs, charts, findings, interventions: this.interventions, log, notice: null };
    this.post(head, Float32Array.from(parts.flat()));
  }

  private colorOf(run: string): number {
    return run === rootOf(run) ? ARMS.findIndex((a) => a.name === run) : this.ids().indexOf(run) + 2;
  }

  private chart(id: string, put: (v: number[]) => Slot): ChartData {
    const wish = this.wishes[id];
    const spec = this.charts().find((c) => c.id === id);
    const [lo, hi] = wish?.range ?? [0, 4700];
    const width = Math.max(2, Math.round(wish?.width ?? 300));
    const xs: number[] = [];
    for (let i = 0; i < width; i++) {
      const s = lo + ((hi - lo) * i) / (width - 1);
      if (s <= this.step) xs.push(s);
    }
    const head = { id, version: this.n, empty: xs.length ? null : "Waiting for the first value of loss.", xdomain: [lo, hi] as [number, number], ydomain: null, scale: spec?.scale ?? "linear", unit: spec?.unit ?? "", references: [] };
    const series = (run: string, label: string, f: (s: number, i: number) => number, more: Partial<LineSeries> = {}, spread = 0): LineSeries => {
      const child = this.children.find((c) => c.id === run);
      const mean = xs.map((x, i) => !child ? f(x, i) : x < child.step ? NaN : f(x, i) * (child.kind === "fork" ? 0.75 + 0.25 * Math.exp((child.step - x) / 300) : 1));
      const wide = spread > 0 ? mean.map((v, i) => v * spread * (1 + Math.abs(noise(i, 3)))) : null;
      return { key: `${run}:${label}:${String(more.shade ?? 1)}`, run, label, signal: label, color: { run: this.colorOf(run) }, shade: 1, dash: false, axis: "left", mean: put(mean), lo: wide && put(mean.map((v, i) => v - (wide[i] ?? 0))), hi: wide && put(mean.map((v, i) => v + (wide[i] ?? 0))), gaps: mean.some((v) => !Number.isFinite(v)), nonfinite: [], ...more };
    };
    const lines = (kind: "line" | "area", all: LineSeries[], bands: { lo: string; hi: string; run: string }[] = [], more: object = {}): ChartData => ({ ...head, kind, x: { at: put(xs.map((x) => x - lo)), base: lo }, series: all, bands, ...more });
    const each = <T>(f: (arm: string, k: number) => T[]): T[] => this.ids().flatMap((a, k) => f(a, k));
    if (id.startsWith("errors")) {
      const all = each((a, k) => [
        series(a, "certified", (s, i) => (rootOf(a) === "fast" ? 24 + 70 * Math.exp(-s / 1900) : 60 + 38 * Math.exp(-s / 2600)) + noise(i, k), {}, 0.012),
        series(a, "clean", (s, i) => (rootOf(a) === "fast" ? 18 + 42 * Math.exp(-s / 900) : 45 + 30 * Math.exp(-s / 1200)) + noise(i, k + 4), { dash: true }),
      ]);
      return lines("line", all, this.arms.map((a) => ({ lo: `${a}:clean:1`, hi: `${a}:certified:1`, run: a })), { ydomain: [0, 100], references: [{ value: 90, label: "constant guess" }] });
    }
    const wide = (a: string, l: number, s: number, i: number): number => Math.exp((rootOf(a) === "fast" ? -2 + l * 0.1 : -1.5 + l * 1.4 * Math.exp(-s / 2500)) + noise(i, l) * 0.16);
    if (id === "bound_width") return lines("line", each((a) => LAYERS.map((_, l) => series(a, LAYERS[l] ?? "", (s, i) => wide(a, l, s, i), { shade: (l + 1) / 7 }))), [], { references: [{ value: 0.1, label: "input" }] });
    if (id === "bound_now") return { ...head, kind: "bars", step: this.step, labels: LAYERS, series: this.arms.map((a, k) => ({ key: a, run: a, label: a, color: { run: k }, values: put(LAYERS.map((_, l) => wide(a, l, this.at ?? this.step, 1))) })) };
    if (id === "width_map") return { ...head, kind: "heatmap", rows: LAYERS, x: { at: put(xs), base: 0 }, values: put(LAYERS.flatMap((_, l) => xs.map((s, i) => Math.log10(wide("vanilla_bn", l, s, i))))), vdomain: [-1, 4] };
    if (id === "relus") {
      const run = wish?.run ?? this.arms[0] ?? "fast";
      const act = (s: number): number => 0.3 + 0.12 * Math.sin(s / 900);
      const uns = (s: number): number => 0.28 + 0.08 * Math.cos(s / 1400);
      return lines("area", [series(run, "active", act, { color: { token: "blue" } }), series(run, "unstable", uns, { color: { token: "ink2" } }), series(run, "inactive", (s) => 1 - act(s) - uns(s), { color: { token: "orange" } })], [], { ydomain: [0, 1], component: wish?.component ?? 6, components: LAYERS, run });
    }
    if (id === "schedules") return lines("line", each((a) => [series(a, "ε", (s) => (s < 2000 ? (s / 2000) * 0.1 : s < 2600 ? 0.1 : 0.12)), series(a, "learning rate", (s) => (s < 3000 ? 5e-4 : 1e-4), { axis: "right", dash: true })]));
    if (id === "losses") return lines("line", each((a, k) => [series(a, "robust loss", (s, i) => (rootOf(a) === "fast" ? 1.2 : 2.4) * (1 + 30 * Math.exp(-s / 300)) * (1 + 0.1 * noise(i, k)), {}, 0.12), series(a, "clean", (s, i) => (a === "vanilla_bn" && s > 2000 && s < 2300 ? Infinity : i % 3 ? NaN : 0.4 + 2 * Math.exp(-s / 700)), { dash: true, nonfinite: a === "vanilla_bn" ? [2001, 2050, 2101, 2200] : [] })]), [], { references: [{ value: 2.302585, label: "ln 10: a constant guess" }] });
    if (id === "margins") return { ...head, kind: "histogram", step: this.step, edges: [-10, 10, 40], series: this.arms.map((a, k) => ({ key: a, run: a, label: a, color: { run: k }, counts: put(Array.from({ length: 40 }, (_, i) => Math.round(60 * Math.exp(-((i - (k ? 12 : 22)) ** 2) / 40)))) })) };
    if (id === "front") {
      const end = this.at ?? this.step;
      const [clean, certified] = [(a: string, s: number) => (rootOf(a) === "fast" ? 18 + 42 * Math.exp(-s / 900) : 45 + 30 * Math.exp(-s / 1200)), (a: string, s: number) => (rootOf(a) === "fast" ? 24 + 70 * Math.exp(-s / 1900) : 60 + 38 * Math.exp(-s / 2600))];
      const way = xs.filter((s, i) => i % 6 === 0 && s <= end).concat(end);
      return { ...head, kind: "scatter", step: end, ydomain: [0, 100], references: [{ value: 90, label: "constant guess" }], xlabel: "test clean err", xunit: "%", ylabel: "test certified err", yunit: "%",
        series: this.ids().map((a) => ({ key: a, run: a, label: ARMS.find((m) => m.name === a)?.label ?? a, color: { run: this.colorOf(a) }, x: put([clean(a, end)]), y: put([certified(a, end)]), step: end, labels: [], apart: "", path_x: put(way.map((s) => clean(a, s))), path_y: put(way.map((s) => certified(a, s))) })) };
    }
    if (id === "responses") {
      const newest = this.step - (this.step % 20);
      const step = Math.min(newest, (this.wishes[id]?.range?.[0] ?? this.at ?? newest));
      const lines = [["R 3 5 1 =", "3 3 5 8 1 9 V 3 3 5 8 1 9 A 9 <eos>", 1, "2 passes"], ["R 4 4 7 2 8 =", "4 4 4 8 7 5 2 7 8 4 V 4 4 4 8 7 5 2 7 8 5 V 4 4 4 8 7 5 2 7 8 5 A 5 <eos>", 1, "3 passes"], ["C a b d =", "A d b a <eos>", 1, ""], ["R 9 2 6 =", "9 9 2 2 6 8 A 8 <eos>", 0, ""], ["C g a =", "g 3 3 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7", 0, "cut off"], ["", "Let me think.\n<think>3 + 4 is 7</think> The answer is 7", 0.5, ""], ["", "no reward was given", null, ""]] as const;
      return { ...head, kind: "responses", step, run: this.arms[0] ?? null, marks: ["V"], held: this.wishes[id]?.range != null, earlier: step >= 20 ? step - 20 : null, later: step + 20 <= newest ? step + 20 : null, newest,
        responses: lines.map((l, i) => ({ prompt: l[0], text: l[1], reward: l[2] != null && (i + step / 20) % 5 === 0 ? 1 - l[2] : l[2], note: l[3] })).map((r) => ({ ...r, grade: r.reward == null ? "" : r.reward > 0.6 ? "good" : r.reward < 0.4 ? "bad" : "fair" })) };
    }
    if (id === "mixes") {
      const points = Array.from({ length: 66 }, (_, k) => k).map((k) => { const a = Math.floor((Math.sqrt(8 * k + 1) - 1) / 2); const b = k - (a * (a + 1)) / 2; return [(10 - a) / 10, (a - b) / 10, b / 10] as const; });
      return { ...head, kind: "ternary", step: 0, unit: "", corners: ["instruct", "distilled", "pretrained"], vlabel: "reward", vdomain: [0, 0.8], weights: put(points.flat()), values: put(points.map(([a, b, c]) => 0.75 * a + 0.8 * b + 0.9 * a * b - 0.8 * c * b + 0.05 * c)),
        series: this.arms.map((a, k) => ({ key: a, run: a, label: ARMS.find((m) => m.name === a)?.label ?? a, color: { run: this.colorOf(a) }, at: k ? [0, 1, 0] : [0.45, 0.45, 0.1] })) };
    }
    if (id === "routes") {
      const text = `def mean(values):\n    return sum(values) / len(values)\n\n“Once upon a time” she said, and 3 + 4 = 7.\n\tThe cat sat on the mat; <eos>`;
      const pieces = [...text].map((c) => (c === "“" ? "<0x93>" : c)).concat("<0xC3>", "<0xA9>");
      const layer = wish?.component ?? 3;
      const names = Array.from({ length: 16 }, (_, e) => `expert ${String(e + 1)}`);
      const categories = pieces.map((c, i) => (i % 29 === 28 ? -1 : Math.floor(((c.codePointAt(0) ?? 0) * (layer + 3) + Math.floor((this.at ?? this.step) / 400)) % 16)));
      return { ...head, kind: "tokens", step: this.step, run: wish?.run ?? this.arms[0] ?? null, component: layer, components: ["layer 1", "layer 2", "layer 3", "layer 4"], pieces, categories: put(categories), names, shares: names.map((_, e) => categories.filter((c) => c === e).length / categories.length) };
    }
    if (id === "load") {
      const layer = wish?.component ?? 3;
      return { ...head, kind: "matrix", step: this.step, run: wish?.run ?? this.arms[0] ?? null, component: layer, components: ["layer 1", "layer 2", "layer 3", "layer 4"], rows: ["code", "prose", "sums"], columns: Array.from({ length: 8 }, (_, e) => `expert ${String(e + 1)}`), vdomain: [0, 0.5], center: 1 / 8,
        values: put(Array.from({ length: 24 }, (_, i) => Math.max(0, 0.125 + 0.12 * Math.sin(i * 1.7 + layer) + 0.1 * Math.cos(i * 0.6)))) };
    }
    return { ...head, kind: "image", step: this.step, run: this.arms[0] ?? null, images: Array.from({ length: 8 }, (_, k) => ({ label: `probe ${String(k + 1)}`, caption: k % 3 ? "certified" : "not certified", width: 28, height: 28, channels: 1, data: put(Array.from({ length: 784 }, (__, p) => Math.max(0, Math.min(1, 0.5 + 0.5 * Math.sin((p % 28) / (2 + k)) * Math.cos(Math.floor(p / 28) / 4))))) })) };
  }
}
