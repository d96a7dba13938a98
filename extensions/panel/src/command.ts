/** What became of a moved control: pending, applied, refused, superseded, or no answer yet. */
import { bare } from "./format";
import { count } from "./format";
import type { Control, Frame, Intervention, Value } from "./protocol";

export interface Move {
  control: string;
  value: Value;
  /** Where it was, for the words while nothing is decided. */
  from: Value;
  since: number;
  /** Command numbers by run; null until the request is answered. */
  commands: Record<string, number> | null;
}

export type Outcome =
  | { kind: "pending"; words: string }
  | { kind: "slow"; words: string; command: string }
  | { kind: "applied"; words: string }
  | { kind: "refused"; words: string };

const SLOW_MS = 1000;

/** How a move stands, as of this frame. */
export function outcomeOf(move: Move, control: Control, frame: Frame, now: number): Outcome {
  const change = `${bare(control, move.from)} → ${bare(control, move.value)}`;
  const asked = Object.entries(move.commands ?? {});
  const decided = asked.flatMap(([run, seq]) => frame.interventions.filter((i) => i.run === run && i.seq === seq));
  if (move.commands && decided.length === asked.length && asked.length > 0) return decision(decided, control);
  if (now - move.since < SLOW_MS) return { kind: "pending", words: `${change}, pending` };
  const waiting = asked.filter(([run, seq]) => !decided.some((i) => i.run === run && i.seq === seq));
  const pending = waiting.map(([run, seq]) => frame.runs.find((r) => r.id === run)?.pending.find((p) => p.seq === seq));
  const at = pending.find((p) => p?.at_step != null)?.at_step;
  const paused = waiting.some(([run]) => frame.runs.find((r) => r.id === run)?.state === "paused");
  if (at != null && now - move.since < 4 * SLOW_MS) return { kind: "pending", words: `${change}, at step ${count(at)}` };
  if (at != null && paused) return { kind: "pending", words: `${change}, at step ${count(at)}, once resumed` };
  const run = waiting[0]?.[0] ?? frame.runs[0]?.id ?? "RUN";
  return {
    kind: "slow",
    words: `${change}: no answer yet. In a terminal:`,
    command: `workbench set ${run} ${move.control}=${String(move.value)}`,
  };
}

/** The words of decided commands: the refusal if there is one, else the application that came last. */
export function decision(decided: Intervention[], control: Control): Outcome {
  const refused = decided.find((i) => i.outcome === "refused" || i.outcome === "expired");
  if (refused) return { kind: "refused", words: refused.reason || `${refused.outcome}, without a reason.` };
  const last = decided.reduce((a, b) => ((b.step ?? -1) >= (a.step ?? -1) ? b : a));
  if (last.outcome === "superseded") return { kind: "applied", words: last.reason || "superseded by a later change" };
  return { kind: "applied", words: `${appliedChange(last, control)}, applied at step ${count(last.step ?? 0)}${laterText(control)}` };
}

function appliedChange(item: Intervention, control: Control): string {
  return `${bare(control, item.old[control.name])} → ${bare(control, item.new[control.name])}`;
}

const laterText = (control: Control): string => (control.when === "stage" ? `, from the next ${control.stage}` : "");

/** The newest decided change of a control among some runs: what another panel, a rule or the command line did. */
export function newestChange(control: string, runs: Set<string>, interventions: Intervention[]): Intervention | null {
  return interventions.findLast((i) => i.kind === "set" && control in i.new && runs.has(i.run)) ?? null;
}
