/** A control moved here: what became of it. The truth comes from frames; this only waits for it. */
import { bare, count } from "./format";
import type { Control, Frame, Intervention, Run, Value } from "./protocol";
import { argument } from "./state";

export interface Move {
  value: Value;
  runs: string[];
  /** Run → number of its command, once the kernel has taken it. */
  seqs: Record<string, number> | null;
  error: string | null;
  /** When it was asked, in milliseconds. */
  sent: number;
}

export type Verdict = { state: "waiting" | "late" | "applied" | "refused"; text: string; command?: string };

const LATE = 1000;

export function judge(move: Move, control: Control, frame: Frame, now: number): Verdict {
  if (move.error != null) return { state: "refused", text: move.error };
  const { seqs } = move;
  if (seqs) {
    const found = frame.interventions.filter((i) => seqs[i.run] === i.seq);
    if (found.length >= Object.keys(seqs).length) {
      const refused = found.find((i) => i.outcome === "refused" || i.outcome === "expired");
      if (refused) return { state: "refused", text: refused.reason || `Not applied (${refused.outcome}).` };
      return { state: "applied", text: appliedText(control, found) };
    }
    const waiting = frame.runs.flatMap((r) => r.pending.filter((p) => seqs[r.id] === p.seq).map((p) => ({ run: r, at: p.at_step })));
    const at = waiting.find((w) => w.at != null && w.at > w.run.step)?.at;
    if (at != null) return { state: "waiting", text: `to be applied at step ${count(at)}` };
    if (waiting.some((w) => w.run.state === "paused")) return { state: "waiting", text: "paused: applied when the run goes on" };
    if (waiting.some((w) => w.run.state === "queued" || w.run.state === "starting")) return { state: "waiting", text: "applied as soon as the run has started" };
    if (waiting.length && control.when === "stage") return { state: "waiting", text: `waits for the ${control.when_text}` };
  }
  if (now - move.sent < LATE) return { state: "waiting", text: "" };
  const command = `workbench set ${move.runs[0] ?? "RUN"} ${control.name}=${argument(move.value)}`;
  return { state: "late", text: "No answer yet: the kernel or the run is busy. A terminal does not wait:", command };
}

/** `0.100 → 0.120, applied at step 2,871`, for one or more runs. */
export function appliedText(control: Control, items: Intervention[]): string {
  const applied = items.filter((i) => i.outcome === "applied");
  if (!applied.length) return "replaced by a later move";
  const one = (values: (string | null)[]): string | null => (new Set(values).size === 1 ? (values[0] ?? null) : null);
  const old = one(applied.map((i) => (i.old[control.name] === undefined ? null : bare(control, i.old[control.name]))));
  const steps = [...new Set(applied.map((i) => i.step ?? 0))].sort((a, b) => a - b);
  const at = steps.length === 1 ? `step ${count(steps[0] ?? 0)}` : `steps ${steps.map(count).join(" and ")}`;
  const source = applied[0]?.source;
  const by = source && source !== "panel" && source !== "user" ? ` (${source})` : "";
  return `${old == null ? "" : `${old} `}→ ${bare(control, applied[0]?.new[control.name])}, applied at ${at}${by}`;
}

/** What last happened to a control of these runs, whoever did it. */
export function latest(control: Control, interventions: Intervention[], runs: Run[]): { verdict: Verdict; time: number } | null {
  const ids = new Set(runs.map((r) => r.id));
  const mine = interventions.filter((i) => i.kind === "set" && ids.has(i.run) && control.name in i.new && i.outcome !== "superseded");
  const last = mine.at(-1);
  if (!last) return null;
  const refused = last.outcome !== "applied";
  const together = mine.filter((i) => i.outcome === last.outcome && i.new[control.name] === last.new[control.name] && Math.abs(i.time - last.time) < 2);
  const newestEach = [...new Map(together.map((i) => [i.run, i])).values()];
  return {
    verdict: refused ? { state: "refused", text: last.reason } : { state: "applied", text: appliedText(control, newestEach) },
    time: last.time,
  };
}
