/** What a run's controls stood at before an earlier step, and what a fork there may change. */
import { isUsual } from "./sidebar";
import type { Control, Intervention, Run, Value, Values } from "./protocol";

/**
 * Values before `step`: today's, with every later move taken back. What happened at `step` itself counts as later,
 * except the commands recorded before the one of number `before`.
 */
export function valuesAsOf(run: Run, interventions: Intervention[], step: number, before: number | null = null): Values {
  const values: Values = { ...run.launch, ...run.values };
  const later = interventions
    .filter((i) => i.run === run.id && i.kind === "set" && i.outcome === "applied" && i.step != null)
    .filter((i) => (i.step as number) > step || (i.step === step && (before == null || i.seq >= before)))
    .sort((a, b) => (b.step as number) - (a.step as number) || b.seq - a.seq);
  for (const i of later) Object.assign(values, i.old);
  return values;
}

/** What a fork may change: all that moves while a run lasts, then what is declared to change in a fork. */
export function forkable(controls: Control[]): Control[] {
  const rank = (c: Control): number => (c.when === "launch" ? 2 : isUsual(c) ? 1 : 0);
  return controls.filter((c) => c.when !== "launch" || c.fork).sort((a, b) => rank(a) - rank(b));
}

/** The run that recorded a step: what lies before a fork is its parent's. */
export function ownerOf(run: Run, runs: Run[], step: number): Run {
  const parent = run.kind === "fork" && run.fork_step != null && step < run.fork_step ? runs.find((r) => r.id === run.parent) : undefined;
  return parent ? ownerOf(parent, runs, step) : run;
}

/** Only what differs from `base`. */
export function changed(typed: Values, base: Values): Values {
  return Object.fromEntries(Object.entries(typed).filter(([name, value]) => !same(value, base[name])));
}

const same = (a: Value, b: Value | undefined): boolean => a === b || (typeof a === "number" && typeof b === "number" && Math.abs(a - b) <= Math.abs(b) * 1e-12);
