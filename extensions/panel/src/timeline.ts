/** The time slider: the step that charts show, with findings and interventions along it. At its end it follows the run. */
import { attribute, h, rebuilt, text } from "./dom";
import { count } from "./format";
import { findingSpans, forkMarks, mergeMarks, movesOf } from "./marks";
import type { Scene } from "./charts/plot";

export class Timeline {
  readonly element: HTMLElement;
  private range = h("input.time", { type: "range", min: 0, step: 1, "aria-label": "Step shown", "data-role": "time" });
  private marks = h("div.time-marks");
  private live = h("button.ghost.num", { "data-role": "live", title: "Follow the newest step", onclick: () => { this.choose(null); } });
  private fork: HTMLElement;
  private done = h("div.time-done");
  private zoom = h("button.ghost", { hidden: true, title: "Show all steps again (double-click in a chart)", onclick: () => { this.scene.zoom(null); } }, "reset zoom");
  private newest = 0;
  private timer: ReturnType<typeof setTimeout> | null = null;

  constructor(
    private scene: Scene,
    private choose: (at: number | null) => void,
    fork: (button: HTMLElement) => void,
  ) {
    this.fork = h("button.ghost.num", { "data-role": "fork-at", title: "Start a child from this step, with other values", onclick: () => { fork(this.fork); } });
    this.element = h("div.timeline", null, h("div.track", null, h("div.rail"), this.done, this.marks, this.range), this.zoom, this.live, this.fork);
    this.range.addEventListener("input", () => {
      const step = Math.min(Number(this.range.value), this.newest);
      this.range.value = String(step);
      if (this.timer) clearTimeout(this.timer);
      this.say(step);
      this.timer = setTimeout(() => {
        this.timer = null;
        this.choose(step >= this.newest ? null : step);
      }, 60);
    });
  }

  update(): void {
    const { scene } = this;
    const shown = scene.runs.filter((r) => !scene.hidden.has(r.id));
    const runs = shown.length ? shown : scene.runs;
    this.newest = Math.max(0, ...runs.map((r) => r.step));
    const end = Math.max(1, this.newest, ...runs.map((r) => r.steps ?? 0));
    attribute(this.range, "max", end);
    attribute(this.range, "disabled", this.newest <= 0);
    if (!this.timer) {
      this.range.value = String(scene.at ?? this.newest);
      this.say(scene.at);
    }
    this.element.style.setProperty("--done", `${String((this.newest / end) * 100)}%`);
    this.element.style.setProperty("--at", `${String(((scene.at ?? this.newest) / end) * 100)}%`);
    this.zoom.hidden = scene.range == null;
    const width = this.marks.clientWidth || 600;
    const toPixel = (step: number): number => (step / end) * width;
    const spans = findingSpans(scene.findings.filter((f) => !scene.hidden.has(f.run)), toPixel, 0, end, (run) => scene.runs.find((r) => r.id === run)?.step ?? 0);
    const marks = mergeMarks(scene.interventions.filter((i) => !scene.hidden.has(i.run)), toPixel, 0, end, 7);
    const forks = forkMarks(scene.runs, scene.hidden, scene.interventions, toPixel, 0, end, (i) => scene.describe(i));
    const window = scene.range;
    const key = JSON.stringify([spans.map((s) => [Math.round(s.left), Math.round(s.width), s.finding.key]), marks.map((m) => [Math.round(m.x), m.items.length]), forks.map((f) => [Math.round(f.x), f.run.color, f.words]), window, end, Math.round(width)]);
    rebuilt(this.marks, key, () => [
      ...spans.map((s) => h("div.time-find", { style: `left:${s.left.toFixed(1)}px;width:${s.width.toFixed(1)}px`, title: `${s.finding.title}: ${s.finding.sentence}` })),
      window && h("div.time-window", { style: `left:${toPixel(window[0]).toFixed(1)}px;width:${(toPixel(window[1]) - toPixel(window[0])).toFixed(1)}px` }),
      ...marks.map((m) => {
        const n = movesOf(m.items);
        return h("div.mark", { style: `left:${m.x.toFixed(1)}px`, title: m.items.slice(0, 8).map((i) => `step ${count(i.step ?? 0)}: ${scene.describe(i)}`).join("\n") }, n > 1 ? h("b", null, String(n)) : null);
      }),
      ...forks.map((f) => h("div.fork-mark", { style: `left:${f.x.toFixed(1)}px;--c:var(--run${String(f.run.color % 8)})`, title: f.words })),
    ]);
  }

  private say(at: number | null): void {
    const following = at == null || at >= this.newest;
    text(this.live, following ? "newest" : `step ${count(at)} · to newest`);
    this.live.classList.toggle("on", !following);
    this.fork.hidden = this.newest <= 0;
    text(this.fork, following ? "Fork…" : `Fork at ${count(at)}…`);
    attribute(this.range, "aria-valuetext", following ? `newest step, ${count(this.newest)}` : `step ${count(at)}`);
  }
}
