/** Interventions and findings as marks on a step axis. */
import type { Finding, Intervention } from "./protocol";

export interface Mark {
  /** Position in pixels: of the first one gathered. */
  x: number;
  step: number;
  items: Intervention[];
}

/** Marks closer than `apart` pixels become one with a count; what lies outside [low, high] is left out. */
export function mergeMarks(items: Intervention[], toPixel: (step: number) => number, low: number, high: number, apart = 6): Mark[] {
  const placed = items
    .filter((i): i is Intervention & { step: number } => i.outcome === "applied" && i.step != null && i.step >= low && i.step <= high)
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
