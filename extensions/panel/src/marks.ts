/** Interventions and findings as marks on a step axis. */
import { count } from "./format";
import type { Finding, Intervention, Run } from "./protocol";

export interface Mark {
  /** Position in pixels: of the first one gathered. */
  x: number;
  step: number;
  items: Intervention[];
}

/**
 * Marks closer than `apart` pixels become one with a count; what lies outside [low, high] is left out, and so is what
 * a fork was told on its way: its own mark says that.
 */
export function mergeMarks(items: Intervention[], toPixel: (step: number) => number, low: number, high: number, apart = 6): Mark[] {
  const placed = items
    .filter((i): i is Intervention & { step: number } => i.outcome === "applied" && i.source !== "fork" && i.step != null && i.step >= low && i.step <= high)
    .sort((a, b) => a.step - b.step);
  const marks: Mark[] = [];
  for (const item of placed) {
    const x = toPixel(item.step);
    const last = marks.at(-1);
    // a mark with a count needs room for the number
    if (last && x - last.x < (movesOf(last.items) > 1 ? apart + 12 : apart)) last.items.push(item);
    else marks.push({ x, step: item.step, items: [item] });
  }
  return marks;
}

/** One per thing done: the same move of several runs at the same step counts once. */
export function movesOf(items: Intervention[]): number {
  return new Set(items.map((i) => `${String(i.step)}|${i.kind}|${i.name ?? ""}|${JSON.stringify(i.new)}`)).size;
}

export interface Span {
  left: number;
  width: number;
  finding: Finding;
}

/** Findings as pixel spans inside [low, high]; an open one reaches to `now`. At least 3 px wide. */
export function findingSpans(findings: Finding[], toPixel: (step: number) => number, low: number, high: number, now: (run: string) => number): Span[] {
  const spans: Span[] = [];
  for (const finding of findings) {
    const last = finding.last ?? Math.max(finding.first, now(finding.run));
    if (last < low || finding.first > high) continue;
    const left = toPixel(Math.max(low, finding.first));
    spans.push({ left, width: Math.max(3, toPixel(Math.min(high, last)) - left), finding });
  }
  return spans;
}

export interface ForkMark {
  x: number;
  run: Run;
  words: string;
}

/** Where shown runs left their parents' path, and with what changes. */
export function forkMarks(runs: Run[], hidden: Set<string>, items: Intervention[], toPixel: (step: number) => number, low: number, high: number, describe: (item: Intervention) => string): ForkMark[] {
  return runs
    .filter((r): r is Run & { fork_step: number } => r.kind === "fork" && r.fork_step != null && r.fork_step >= low && r.fork_step <= high && !hidden.has(r.id))
    .map((run) => {
      const parent = runs.find((r) => r.id === run.parent)?.label ?? "an earlier run";
      const changes = items.filter((i) => i.run === run.id && i.source === "fork" && i.kind === "set" && i.outcome === "applied").map(describe);
      const named = run.name ? `${run.name}: ` : "";
      return { x: toPixel(run.fork_step), run, words: `${named}fork of ${parent} at ${count(run.fork_step)}${changes.length ? `\n${changes.join("\n")}` : ""}` };
    });
}
