/** Title line and buttons: what runs, what can be done to it, which runs are meant. */
import { attribute, h, rebuilt, text } from "./dom";
import { ago, count, duration, rate } from "./format";
import { Menu, menuItem } from "./menu";
import { ACTIVE, type Frame, type Run, type RunRow, type Spec } from "./protocol";

export interface ToolbarHost {
  /** A request about the runs that are switched on; errors are shown by the host. */
  ask(op: string, args?: object): Promise<unknown>;
  selected(): Run[];
  toggle(run: string): void;
  start(): void;
  newRun(): void;
  cancel(): void;
  addArm(arm: string): void;
  attach(runs: string[]): void;
  say(sentence: string): void;
}

export class Header {
  readonly element: HTMLElement;
  private pill = h("span.pill", { role: "status" }, h("i"), h("span"));
  private step = h("span.step.num");
  private pace = h("span.pace.num");

  constructor(spec: Spec) {
    const { title, subtitle } = spec.experiment;
    this.element = h("div.header", null, h("div.h1", { role: "heading", "aria-level": 2, title }, title), h("div.sub", { title: subtitle }, subtitle), this.pill, this.step, this.pace);
  }

  update(frame: Frame, link: string, starting: boolean): void {
    const { runs } = frame;
    const lead = leadRun(runs);
    const state = link !== "live" ? "not connected" : starting && !lead ? "ready" : lead ? phase(lead) : "ready";
    attribute(this.pill, "data-state", state.replace(/ .*/, ""));
    text(this.pill.lastElementChild as HTMLElement, state);
    const step = Math.max(0, ...runs.map((r) => r.step));
    const steps = lead?.steps;
    text(this.step, runs.length ? `step ${count(step)}${steps ? ` of ${count(steps)}` : ""}` : "");
    const moving = runs.filter((r) => r.rate != null && r.state === "running");
    const mean = moving.length ? moving.reduce((s, r) => s + (r.rate ?? 0), 0) / moving.length : null;
    const left = Math.max(...moving.map((r) => r.eta_s ?? -1));
    text(this.pace, mean == null || mean <= 0 ? "" : [rate(mean), left >= 0 ? `${duration(left)} left` : ""].filter(Boolean).join(" · "));
    attribute(this.pace, "title", moving.length > 1 ? moving.map((r) => `${r.label}: ${rate(r.rate ?? 0)}`).join("\n") : null);
  }
}

const ORDER = ["running", "starting", "queued", "paused", "failed", "lost", "stopped", "finished"];

function leadRun(runs: Run[]): Run | undefined {
  return [...runs].sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state))[0];
}

/** The state in words, with what has been asked for and not happened yet. */
function phase(run: Run): string {
  const asked = run.pending.at(-1)?.kind;
  const doing: Record<string, string> = { pause: "pausing", resume: "resuming", stop: "stopping" };
  return (asked && doing[asked]) ?? run.state;
}

export class Toolbar {
  readonly element = h("div.bar", { role: "toolbar", "aria-label": "Runs" });
  private main: HTMLButtonElement;
  private cancel: HTMLButtonElement;
  private stepCount = h("input.count.num", { type: "number", min: 1, step: 1, value: "1", "aria-label": "Number of steps", title: "Number of steps" });
  private step: HTMLElement;
  private stepButton: HTMLButtonElement;
  private stop: HTMLButtonElement;
  private checkpoint: HTMLButtonElement;
  private more: Menu;
  private chips = h("div.chips", { role: "group", "aria-label": "Runs shown and steered" });
  private addArm: Menu;
  private runs: Menu;
  private mlflow: Menu;

  constructor(
    spec: Spec,
    private host: ToolbarHost,
  ) {
    const ask = (op: string, args: object = {}) => (): void => { void host.ask(op, args); };
    this.main = h("button.primary", { "data-role": "start" });
    this.main.addEventListener("click", () => { this.press(); });
    this.cancel = h("button.plain", { "data-role": "cancel", hidden: true, onclick: () => { host.cancel(); } }, "Cancel");
    this.stepButton = h("button.plain", { "data-role": "step", title: "Train this many steps, then pause", onclick: () => { void host.ask("step", { count: Math.max(1, Math.round(Number(this.stepCount.value) || 1)) }); } }, "Step");
    this.step = h("div.joined", null, this.stepButton, this.stepCount);
    this.stop = h("button.plain", { "data-role": "stop", title: "End the run before its next step; what was recorded stays", onclick: ask("stop") }, "Stop");
    this.checkpoint = h("button.plain.long", { "data-role": "checkpoint", title: "Keep the whole training state at the next step", onclick: ask("checkpoint") }, "Checkpoint");
    this.more = new Menu("Do", "more", (list, close) => {
      const item = (op: string) => (a: { name: string; label: string; help: string }): HTMLElement => menuItem(a.label, a.help, () => { void host.ask(op, { name: a.name }); close(); }, { [`data-${op}`]: a.name });
      list.append(menuItem("Checkpoint", "keep the whole training state at the next step", () => { void host.ask("checkpoint"); close(); }), ...spec.actions.map(item("action")), ...spec.probes.map(item("probe")));
    }, "plain.drop");
    this.addArm = new Menu("+ arm", "arm-add", (list, close) => {
      list.append(...spec.arms.map((a) => menuItem(a.label, a.help, () => { host.addArm(a.name); close(); }, { "data-arm": a.name })));
    }, "ghost.chip-like");
    this.runs = new Menu("Runs", "runs", (list, close) => { this.fillRuns(list, close); }, "ghost.drop");
    this.mlflow = new Menu("MLflow", "mlflow", (list, close) => { this.openMlflow(list, close); }, "link");
    this.mlflow.button.prepend(h("span.long", null, "Open in "));
    this.element.append(this.main, this.cancel, this.step, this.stop, h("i.sep"), this.checkpoint, this.more.element, h("i.sep"), this.chips, this.addArm.element, h("span.grow"), this.runs.element, this.mlflow.element);
  }

  update(frame: Frame, starting: boolean, canStart: boolean, busy: boolean): void {
    const selected = this.host.selected();
    const active = selected.filter((r) => ACTIVE.has(r.state));
    const paused = active.length > 0 && active.every((r) => r.state === "paused");
    const role = starting ? "start" : active.length === 0 ? "new" : paused ? "resume" : "pause";
    attribute(this.main, "data-role", role);
    text(this.main, busy ? "Starting…" : { start: "Start", new: "New run", pause: "Pause", resume: "Resume" }[role]);
    this.main.disabled = busy || (role === "start" ? !canStart : role === "new" ? false : active.every((r) => r.state === "queued" || r.state === "starting"));
    this.cancel.hidden = !starting || frame.runs.length === 0;
    for (const part of [this.step, this.stop, this.checkpoint, this.more.element, this.chips, this.addArm.element]) part.classList.toggle("gone", starting);
    this.element.classList.toggle("starting", starting);
    const none = active.length === 0;
    this.stepButton.disabled = this.stepCount.disabled = this.stop.disabled = this.checkpoint.disabled = none;
    this.more.button.disabled = none;
    this.showChips(frame, selected);
  }

  private press(): void {
    const { role } = this.main.dataset;
    if (role === "start") this.host.start();
    else if (role === "new") this.host.newRun();
    else void this.host.ask(role ?? "");
  }

  private showChips(frame: Frame, selected: Run[]): void {
    const on = new Set(selected.map((r) => r.id));
    const same = new Set(frame.runs.map((r) => r.state)).size <= 1;
    const twins = new Set(frame.runs.map((r) => r.label)).size < frame.runs.length;
    const key = JSON.stringify([frame.runs.map((r) => [r.id, r.label, r.color, same || r.state, on.has(r.id)])]);
    rebuilt(this.chips, key, () =>
      frame.runs.map((r) =>
        h("button.chip", {
          "aria-pressed": String(on.has(r.id)), "data-run": r.id, "data-arm": r.arm,
          title: `${r.label}: ${r.state}, seed ${String(r.seed)}, preset ${r.preset || "none"}, run ${r.id}.\nSwitched on, its curves are shown and controls and buttons move it.`,
          onclick: () => { this.host.toggle(r.id); },
        }, h("i.swatch", { style: `--c:var(--run${String(r.color % 8)})` }), twins ? `${r.label} · ${String(r.seed)}` : r.label, same ? null : h("small", null, r.state))),
    );
  }

  private fillRuns(list: HTMLElement, close: () => void): void {
    list.append(h("div.menu-note", null, "Looking…"));
    this.host.ask("runs").then((result) => {
      const rows = (result as { runs: (RunRow & { label?: string; seed?: number })[] }).runs;
      const shown = new Set([...this.chips.querySelectorAll<HTMLElement>("[data-run]")].map((c) => c.dataset["run"]));
      const boxes = rows.map((r) => h("input", { type: "checkbox", value: r.id, ...(shown.has(r.id) ? { checked: true } : {}) }) as HTMLInputElement);
      const apply = h("button.primary", { onclick: () => { close(); this.host.attach(boxes.filter((b) => b.checked).map((b) => b.value)); } }, "Show these");
      const newest = h("button.plain", { onclick: () => { close(); this.host.attach([]); } }, "Newest group");
      const fresh = h("button.plain", { "data-role": "menu-new", onclick: () => { close(); this.host.newRun(); } }, "New run…");
      list.replaceChildren(
        rows.length ? h("div.run-rows", null, ...rows.map((r, i) => h("label.run-row.num", null, boxes[i], h("b", null, r.label ?? r.arm), h("span", null, r.state), h("span", null, `${count(Math.max(0, r.step))}${r.steps ? ` / ${count(r.steps)}` : ""}`), h("span", null, r.started ? ago(r.started) : "")))) : h("div.menu-note", null, "No run of this experiment yet."),
        h("div.menu-foot", null, rows.length ? apply : null, rows.length ? newest : null, fresh),
      );
      boxes[0]?.focus();
    }, () => { close(); });
  }

  private openMlflow(list: HTMLElement, close: () => void): void {
    list.append(h("div.menu-note", null, "Looking…"));
    this.host.ask("mlflow").then((result) => {
      const { url, command } = result as { url?: string | null; command: string };
      if (url && window.open(url, "_blank")) {
        close();
        return;
      }
      const copy = h("button.plain", null, "Copy");
      copy.addEventListener("click", () => { void navigator.clipboard.writeText(command).then(() => { text(copy, "Copied"); }); });
      list.replaceChildren(url ? h("a", { href: url, target: "_blank", rel: "noopener" }, url) : h("div.menu-note", null, "In a terminal, then open the address it prints:"), h("code.command", null, command), h("div.menu-foot", null, copy));
    }, () => { close(); });
  }
}
