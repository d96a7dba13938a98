/** The controls by group. Groups fold; what a running experiment cannot change stands last, folded. */
import { attribute, h } from "./dom";
import type { Control, Frame, Run, Value, Values } from "./protocol";
import { Row, type RowHost } from "./row";

const SLACK = 14; // pixels the controls may be higher than the charts beside them

interface Group {
  name: string;
  rows: Row[];
  element: HTMLElement;
  head: HTMLElement;
}

export class Sidebar {
  private body = h("div.side-body");
  readonly element = h("div.side", { role: "group", "aria-label": "Controls" }, this.body);
  private groups: Group[] = [];
  private mode: "" | "run" | "start" = "";
  private folded = new Map<string, boolean>();

  constructor(
    private controls: Control[],
    private host: RowHost,
    private newRun: () => void,
  ) {}

  follow(frame: Frame, selected: Run[], active: Run[]): void {
    this.arrange("run");
    for (const group of this.groups)
      for (const row of group.rows) row.follow(frame, row.control.when === "launch" ? selected : active, selected.length ? selected : frame.runs, row.control.when !== "launch" && active.length > 0);
  }

  offer(valueOf: (control: Control) => { value: Value; note: string }, enabled: boolean): void {
    this.arrange("start");
    for (const group of this.groups)
      for (const row of group.rows) {
        const { value, note } = valueOf(row.control);
        row.offer(value, note, enabled);
      }
  }

  /**
   * Unfold groups from the first on as far as they fit into the height that `room` reports while all are folded;
   * what the user has folded or unfolded stays so. The sidebar thus needs no scroll bar of its own.
   */
  fit(room: () => number): void {
    for (const group of this.groups) this.fold(group, true);
    const height = room() + SLACK;
    for (const group of this.groups) this.fold(group, this.folded.get(this.key(group)) ?? true);
    for (const group of this.groups) {
      if (this.folded.has(this.key(group))) continue;
      this.fold(group, false);
      if (group !== this.groups[0] && this.body.offsetHeight > height) this.fold(group, true);
    }
  }

  private key(group: Group): string {
    return `${this.mode} ${group.name}`;
  }

  private arrange(mode: "run" | "start"): void {
    if (mode === this.mode) return;
    this.mode = mode;
    const launch = "Needs a new run";
    const byName = new Map<string, Control[]>();
    const usual = new Set(this.controls.filter(isUsual).map((c) => c.group));
    const own = [...this.controls.filter((c) => !usual.has(c.group)), ...this.controls.filter((c) => usual.has(c.group) && c.name !== "steps"), ...this.controls.filter((c) => c.name === "steps")];
    const order = mode === "run" ? [...own.filter((c) => c.when !== "launch"), ...own.filter((c) => c.when === "launch")] : own;
    for (const control of order) {
      const name = mode === "run" && control.when === "launch" ? launch : control.group || "Settings";
      byName.set(name, [...(byName.get(name) ?? []), control]);
    }
    this.groups = [...byName].map(([name, controls]) => {
      const rows = controls.map((c) => new Row(c, this.host));
      const head = h("button.group-head", { "aria-expanded": "true" }, h("i.chevron", { "aria-hidden": "true" }), name, h("small.num", null, String(rows.length)));
      const hint = mode === "run" && name === launch ? h("div.hint", null, "Fixed while a run lasts. ", h("button.link", { "data-role": "new", onclick: this.newRun }, "Start a new run with other values")) : null;
      const group: Group = { name, rows, head, element: h("div.group", { "data-group": name }, head, h("div.group-body", null, hint, ...rows.map((r) => r.element))) };
      head.addEventListener("click", () => {
        const fold = head.getAttribute("aria-expanded") === "true";
        this.folded.set(this.key(group), fold);
        this.fold(group, fold);
      });
      if (hint && !this.folded.has(this.key(group))) this.folded.set(this.key(group), true);
      return group;
    });
    this.body.replaceChildren(...this.groups.map((g) => g.element));
  }

  private fold(group: Group, fold: boolean): void {
    attribute(group.head, "aria-expanded", String(!fold));
    group.element.classList.toggle("folded", fold);
  }
}

/** What every experiment has (length, optimiser) stands after what is this experiment's own. */
export const isUsual = (control: Control): boolean => control.name === "steps" || control.name.startsWith("optimizer.");

/** What a control starts with: typed here, else by the arms (where they agree), the preset, the card. */
export function startValue(control: Control, typed: Values, arms: { label: string; overrides: Values }[], preset: Values): { value: Value; note: string } {
  const { name } = control;
  if (name in typed) return { value: typed[name] ?? null, note: "" };
  const base = preset[name] ?? control.default;
  const byArm = arms.map((a) => ({ label: a.label, value: a.overrides[name] ?? base }));
  const first = byArm[0]?.value ?? base;
  if (byArm.some((a) => a.value !== first)) return { value: first, note: `set by arm: ${byArm.map((a) => String(a.value)).join(" / ")}` };
  return { value: first, note: "" };
}
