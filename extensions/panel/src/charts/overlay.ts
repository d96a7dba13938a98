/** Findings (a strip above the plot) and interventions (triangles) over a chart, as elements one can point at. */
import type uPlot from "uplot";
import { count } from "../format";
import { h, rebuilt } from "../dom";
import { findingSpans, forkMarks, mergeMarks, movesOf } from "../marks";
import type { Scene } from "./plot";

export class Overlay {
  private box = h("div.over");

  constructor(private scene: Scene) {}

  attach(u: uPlot): void {
    u.over.parentElement?.append(this.box);
  }

  place(chart: string, u: uPlot, [low, high]: [number, number]): void {
    const { over } = u;
    const { scene } = this;
    this.box.style.cssText = `left:${over.style.left};width:${over.style.width};top:${over.style.top};--ph:${over.style.height}`;
    const width = over.clientWidth;
    const toPixel = (step: number): number => ((step - low) / (high - low)) * width;
    const shown = scene.findings.filter((f) => f.charts.includes(chart) && !scene.hidden.has(f.run));
    const spans = findingSpans(shown, toPixel, low, high, (run) => scene.runs.find((r) => r.id === run)?.step ?? 0);
    const marks = mergeMarks(scene.interventions.filter((i) => !scene.hidden.has(i.run)), toPixel, low, high);
    const forks = forkMarks(scene.runs, scene.hidden, scene.interventions, toPixel, low, high, (i) => scene.describe(i));
    const key = JSON.stringify([width, spans.map((s) => [Math.round(s.left), Math.round(s.width), s.finding.key, s.finding.run]), marks.map((m) => [Math.round(m.x), m.items.length]), forks.map((f) => [Math.round(f.x), f.run.color, f.words]), scene.hotFinding]);
    rebuilt(this.box, key, () => [
      ...spans.map((s) =>
        h(scene.hotFinding === `${s.finding.run} ${s.finding.key}` ? "div.span.hot" : "div.span", {
          style: `left:${s.left.toFixed(1)}px;width:${s.width.toFixed(1)}px`,
          title: `${s.finding.title}: ${s.finding.sentence}`,
        }),
      ),
      ...marks.map((m) => {
        const moves = movesOf(m.items);
        return h("div.mark", {
          style: `left:${m.x.toFixed(1)}px`,
          title: m.items.slice(0, 8).map((i) => `step ${count(i.step ?? 0)}: ${scene.describe(i)}`).join("\n"),
        }, moves > 1 ? h("b", null, String(moves)) : null);
      }),
      ...forks.map((f) => h("div.fork-mark", { style: `left:${f.x.toFixed(1)}px;--c:var(--run${String(f.run.color % 8)})`, title: f.words, "data-fork": f.run.id })),
    ]);
  }

  destroy(): void {
    this.box.remove();
  }
}
