/** The buttons: what can be done, and which runs are meant. */
import { attribute, h, rebuilt, text } from "./dom";
import { ago, count } from "./format";
import { leadRun } from "./header";
import { Menu, menuItem } from "./menu";
import { ACTIVE, RESTARTABLE, type Frame, type Run, type RunRow, type Spec } from "./protocol";
import { about } from "./runmenu";

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
  runMenu(run: Run, button: HTMLElement): void;
}

export class Toolbar {
  readonly element = h("div.bar", { role: "toolbar", "aria-label": "Runs" });
  private main: HTMLButtonElement;
  private cancel: HTMLButtonElement;
  private stepCount = h("input.count.num", { type: "number", min: 1, step: 1, value: "1", "aria-label": "Number of steps", title: "Number of steps" });
  private step: HTMLElement;
  private stepButton: HTMLButtonElement;
  private backCount = h("input.count.num", { type: "number", min: 1, step: 1, value: "10", "aria-label": "Number of steps to go back", title: "Number of steps" });
  private back: HTMLElement;
  private fresh: HTMLButtonElement;
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
    const ask = (op: string, args: object = {}) => (): void => { host.ask(op, args).catch(() => undefined); }; // the host has shown why
    this.main = h("button.primary", { "data-role": "start" });
    this.main.addEventListener("click", () => { this.press(); });
    this.cancel = h("button.plain", { "data-role": "cancel", hidden: true, onclick: () => { host.cancel(); } }, "Cancel");
    this.stepButton = h("button.plain", { "data-role": "step", title: "Train this many steps, then pause", onclick: () => { ask("step", { count: whole(this.stepCount) })(); } }, "Step");
    this.step = h("div.joined", null, this.stepButton, this.stepCount);
    this.back = h("div.joined", { hidden: true }, h("button.plain", { "data-role": "back", title: "Show the state this many steps earlier, paused: a fork without changes takes the run's place", onclick: () => { ask("back", { count: whole(this.backCount) })(); } }, "Back"), this.backCount);
    this.fresh = h("button.plain", { "data-role": "new", hidden: true, onclick: () => { host.newRun(); } }, "New run");
    this.stop = h("button.plain", { "data-role": "stop", title: "End the run before its next step; what was recorded stays", onclick: ask("stop") }, "Stop");
    this.checkpoint = h("button.plain.long", { "data-role": "checkpoint", title: "Keep the whole training state at the next step", onclick: ask("checkpoint") }, "Checkpoint");
    this.more = new Menu("Do", "more", (list, close) => {
      const item = (op: string) => (a: { name: string; label: string; help: string }): HTMLElement => menuItem(a.label, a.help, () => { ask(op, { name: a.name })(); close(); }, { [`data-${op}`]: a.name });
      list.append(menuItem("Checkpoint", "keep the whole training state at the next step", () => { ask("checkpoint")(); close(); }), ...spec.actions.map(item("action")), ...spec.probes.map(item("probe")));
    }, "plain.drop");
    this.addArm = new Menu("+ arm", "arm-add", (list, close) => {
      list.append(...spec.arms.map((a) => menuItem(a.label, a.help, () => { host.addArm(a.name); close(); }, { "data-arm": a.name })));
    }, "ghost.chip-like");
    this.runs = new Menu("Runs", "runs", (list, close) => { this.fillRuns(list, close); }, "ghost.drop");
    this.mlflow = new Menu("MLflow", "mlflow", (list, close) => { this.openMlflow(list, close); }, "link");
    this.mlflow.button.prepend(h("span.long", null, "Open in "));
    this.element.append(this.main, this.fresh, this.cancel, this.back, this.step, this.stop, h("i.sep"), this.checkpoint, this.more.element, h("i.sep"), h("div.chip-box", null, this.chips, this.addArm.element), h("div.bar-end", null, this.runs.element, this.mlflow.element));
  }

  update(frame: Frame, starting: boolean, canStart: boolean, busy: boolean): void {
    const selected = this.host.selected();
    const active = selected.filter((r) => ACTIVE.has(r.state));
    const paused = active.length > 0 && active.every((r) => r.state === "paused");
    const restartable = selected.filter((r) => RESTARTABLE.has(r.state));
    const role = starting ? "start" : active.length > 0 ? (paused ? "resume" : "pause") : restartable.length ? "restart" : "new";
    attribute(this.main, "data-role", role);
    text(this.main, busy ? "Starting…" : { start: "Start", new: "New run", restart: "Resume", pause: "Pause", resume: "Resume" }[role]);
    attribute(this.main, "title", role === "restart" ? "Go on from the last checkpoint" : null);
    this.fresh.hidden = role !== "restart";
    this.back.hidden = starting || !paused;
    this.main.disabled = busy || (role === "start" ? !canStart : role === "new" || role === "restart" ? false : active.every((r) => r.state === "queued" || r.state === "starting"));
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
    else {
      const runs = this.host.selected().filter((r) => RESTARTABLE.has(r.state)).map((r) => r.id);
      this.host.ask(role ?? "", role === "restart" ? { runs } : {}).catch(() => undefined);
    }
  }

  private showChips(frame: Frame, selected: Run[]): void {
    const on = new Set(selected.map((r) => r.id));
    const usual = leadRun(frame.runs)?.state; // the title line says it
    const names = labels(frame.runs);
    const key = JSON.stringify([frame.runs.map((r) => [r.id, names.get(r.id), r.color, r.star, r.note, r.state === usual || r.state, on.has(r.id)])]);
    rebuilt(this.chips, key, () =>
      frame.runs.map((r) => {
        const menu = h("button.chip-menu", { "data-role": "run-menu", "data-for": r.id, "aria-haspopup": "dialog", "aria-label": `More about ${r.label}`, title: `More about ${r.label}` });
        menu.addEventListener("click", () => { this.host.runMenu(this.host.selected().find((x) => x.id === r.id) ?? r, menu); });
        return h("span.chip", { "data-on": String(on.has(r.id)) },
          h("button.chip-main", {
            "aria-pressed": String(on.has(r.id)), "data-run": r.id, "data-arm": r.arm, "data-kind": r.kind,
            title: `${r.label}: ${about(r, frame.runs)}, preset ${r.preset || "none"}, run ${r.id}.${r.note ? `\n${r.note}` : ""}\nSwitched on, its curves are shown and controls and buttons move it.`,
            onclick: () => { this.host.toggle(r.id); },
          }, h(r.kind === "fork" ? "i.swatch.branch" : "i.swatch", { style: `--c:var(--run${String(r.color % 8)})` }), r.star ? h("span.starred", null, "★") : null, names.get(r.id) ?? r.label, r.state === usual ? null : h("small", null, r.state)),
          menu);
      }),
    );
  }

  private fillRuns(list: HTMLElement, close: () => void): void {
    list.append(h("div.menu-note", null, "Looking…"));
    this.host.ask("runs").then((result) => {
      const rows = (result as { runs: (RunRow & { label?: string; seed?: number })[] }).runs.filter((r) => !r.archived || this.chips.querySelector(`[data-run="${r.id}"]`));
      const shown = new Set([...this.chips.querySelectorAll<HTMLElement>("[data-run]")].map((c) => c.dataset["run"]));
      const boxes = rows.map((r) => h("input", { type: "checkbox", value: r.id, ...(shown.has(r.id) ? { checked: true } : {}) }) as HTMLInputElement);
      const apply = h("button.primary", { onclick: () => { close(); this.host.attach(boxes.filter((b) => b.checked).map((b) => b.value)); } }, "Show these");
      const newest = h("button.plain", { onclick: () => { close(); this.host.attach([]); } }, "Newest group");
      const fresh = h("button.plain", { "data-role": "menu-new", onclick: () => { close(); this.host.newRun(); } }, "New run…");
      list.replaceChildren(
        rows.length ? h("div.run-rows", null, ...rows.map((r, i) => h("label.run-row.num", null, boxes[i], h("b", null, r.star ? "★ " : null, r.label ?? r.arm), h("span", null, r.state), h("span", null, `${count(Math.max(0, r.step))}${r.steps ? ` / ${count(r.steps)}` : ""}`), h("span", null, r.started ? ago(r.started) : "")))) : h("div.menu-note", null, "No run of this experiment yet."),
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

const whole = (entry: HTMLInputElement): number => Math.max(1, Math.round(Number(entry.value) || 1));

/** What to call each run in a row of buttons: alike ones are told apart by what they came from, or by their seed. */
export function labels(runs: Run[]): Map<string, string> {
  const times = new Map<string, number>();
  for (const r of runs) times.set(r.label, (times.get(r.label) ?? 0) + 1);
  return new Map(runs.map((r) => {
    if ((times.get(r.label) ?? 0) < 2) return [r.id, r.label];
    const parent = runs.find((p) => p.id === r.parent);
    return [r.id, parent && parent.label !== r.label ? `${parent.label}, ${r.label}` : `${r.label} · ${String(r.seed)}`];
  }));
}
