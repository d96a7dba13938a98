/** What follows from a spec and a frame alone: the group's state, its progress, the values a new run would have. */
import { bare, count } from "./format";
import type { Arm, Control, Intervention, Run, Spec, Value, Values } from "./protocol";
import { ACTIVE } from "./protocol";

/** From most to least worth saying when runs differ. */
const ORDER = ["running", "starting", "paused", "queued", "failed", "lost", "stopped", "finished"];

export function groupState(runs: Run[]): string {
  return ORDER.find((s) => runs.some((r) => r.state === s)) ?? runs[0]?.state ?? "";
}

export const isActive = (run: Run): boolean => ACTIVE.has(run.state);

/** The run whose progress stands for the group: of those still at work the one furthest from its end. */
export function pacemaker(runs: Run[]): Run | null {
  const active = runs.filter(isActive);
  const left = (r: Run): number => (r.steps == null ? -r.step : r.steps - r.step);
  return [...(active.length ? active : runs)].sort((a, b) => left(b) - left(a))[0] ?? null;
}

/** First and last step of all runs together; the planned end where there is one. */
export function span(runs: Run[]): { now: number; end: number } {
  const now = Math.max(0, ...runs.map((r) => r.step));
  return { now, end: Math.max(1, now, ...runs.map((r) => r.steps ?? 0)) };
}

/** Values a run of this arm would start with: defaults, preset, arm, then what the user chose. */
export function startValues(spec: Spec, arm: Arm | null, preset: string, chosen: Values): Values {
  const values: Values = {};
  for (const c of spec.controls) values[c.name] = c.default;
  const layers = [spec.presets.find((p) => p.name === preset)?.overrides, arm?.overrides, chosen];
  for (const layer of layers) for (const [name, value] of Object.entries(layer ?? {})) if (name in values) values[name] = value;
  return values;
}

/** The launch values somebody chose for this run, beyond its preset and arm: another arm beside it gets the same. */
export function chosenFor(spec: Spec, run: Run): Values {
  const arm = spec.arms.find((a) => a.name === run.arm) ?? null;
  const usual = startValues(spec, arm, run.preset, {});
  return Object.fromEntries(Object.entries(run.launch).filter(([name, value]) => name in usual && usual[name] !== value && name !== "seed"));
}

/** `label old → new`, `pause`, `probe margins`: what was done, in words. */
export function describe(controls: Map<string, Control>, item: Intervention): string {
  if (item.kind !== "set") return item.name ? `${item.kind} ${item.name}` : item.kind === "step" ? "single steps" : item.kind;
  return Object.entries(item.new)
    .map(([name, value]) => {
      const control = controls.get(name);
      if (!control) return `${name} → ${String(value)}`;
      const old = item.old[name];
      return old === undefined ? `${control.label} → ${bare(control, value)}` : `${control.label} ${bare(control, old)} → ${bare(control, value)}`;
    })
    .join(", ");
}

/** A value as the command line takes it. */
export function argument(value: Value): string {
  return typeof value === "boolean" ? (value ? "true" : "false") : String(value);
}

export function stepWords(run: Run): string {
  return run.steps == null ? `step ${count(run.step)}` : `step ${count(run.step)} of ${count(run.steps)}`;
}
