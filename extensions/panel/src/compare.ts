/** The tab that says how two runs differ: first in which step, then in configuration and interventions. */
import { attribute, h, rebuilt } from "./dom";
import type { Tab } from "./drawer";
import { bare, count, number, plural } from "./format";
import type { Control, Done, Frame, Report, Run, Value } from "./protocol";

export interface CompareHost {
  compare(a: string, b: string): Promise<Report>;
  controls(): Control[];
  color(run: Run | undefined): string;
}

type Answer = { report: Report; steps: [number, number] } | { error: string } | null;

export class CompareTab implements Tab {
  readonly id = "compare";
  readonly label = "Compare";
  readonly none = "";
  private frame: Frame | null = null;
  private pair: [string, string] | null = null;
  private answer: Answer = null;
  private asking = "";
  private first = h("select.entry.pick-run", { "aria-label": "First run", "data-role": "compare-a", onchange: () => { this.chose(); } });
  private second = h("select.entry.pick-run", { "aria-label": "Second run", "data-role": "compare-b", onchange: () => { this.chose(); } });
  private again = h("button.link", { "data-role": "compare-again", onclick: () => { this.ask(); } }, "Compare again");
  private head = h("div.compare-head", null, this.first, h("span.subtle", null, "with"), this.second, h("span.grow"), this.again);
  private body = h("div.compare-body");
  private element = h("div.compare", null, this.head, this.body);

  constructor(private host: CompareHost) {}

  count(): null {
    return null;
  }

  key(): string {
    return "";
  }

  rows(): HTMLElement[] {
    return [];
  }

  /** Compare these two, whatever stood there. */
  choose(a: string, b: string): void {
    this.pair = [a, b];
    this.answer = null;
    this.asking = "";
  }

  content(frame: Frame): HTMLElement {
    this.frame = frame;
    const ids = frame.runs.map((r) => r.id);
    if (!this.pair || !this.pair.every((id) => ids.includes(id))) {
      this.pair = likelyPair(frame.runs);
      this.answer = null;
    }
    for (const [i, select] of [this.first, this.second].entries()) {
      rebuilt(select, JSON.stringify(frame.runs.map((r) => [r.id, r.label])), () => frame.runs.map((r) => h("option", { value: r.id }, r.label)));
      if (this.pair) select.value = this.pair[i] ?? "";
    }
    this.head.hidden = !this.pair;
    if (this.pair && !this.answer && this.asking !== this.pair.join()) this.ask();
    this.render();
    return this.element;
  }

  private chose(): void {
    this.choose(this.first.value, this.second.value);
    this.ask();
    this.render();
  }

  private ask(): void {
    const { pair, frame } = this;
    if (!pair || !frame) return;
    const key = pair.join();
    this.asking = key;
    this.again.disabled = true;
    const steps = pair.map((id) => frame.runs.find((r) => r.id === id)?.step ?? -1) as [number, number];
    this.host.compare(...pair).then(
      (report) => ({ report, steps }),
      (error: unknown) => ({ error: error instanceof Error ? error.message : String(error) }),
    ).then((answer: Answer) => {
      if (this.pair?.join() !== key) return;
      this.answer = answer;
      this.again.disabled = false;
      this.render();
    }).catch(() => undefined);
  }

  private render(): void {
    const { answer, frame, pair } = this;
    if (!frame) return;
    const stale = answer && "steps" in answer && pair?.some((id, i) => (frame.runs.find((r) => r.id === id)?.step ?? -1) > (answer.steps[i] ?? 0));
    this.again.hidden = !stale;
    attribute(this.element, "aria-busy", String(!answer && pair != null));
    rebuilt(this.body, JSON.stringify([pair, answer, frame.runs.map((r) => [r.id, r.label, r.color])]), () => {
      if (!pair) return [h("div.subtle", null, "There is one run here. Fork it or replay it, and the two can be compared.")];
      if (!answer) return [h("div.subtle", null, "Comparing…")];
      if ("error" in answer) return [h("div.error", null, answer.error)];
      return this.report(answer.report, frame);
    });
  }

  private report(report: Report, frame: Frame): HTMLElement[] {
    const name = (id: string): HTMLElement => {
      const run = frame.runs.find((r) => r.id === id);
      return h("span.run-name", null, h("i.swatch", { style: `--c:${this.host.color(run)}` }), run?.label ?? id);
    };
    const { config, interventions } = report;
    const control = (n: string): Control | undefined => this.host.controls().find((c) => c.name === n);
    const shown = (n: string, v: Value): string => {
      const c = control(n);
      return c ? bare(c, v) : typeof v === "number" ? number(v) : v == null ? "–" : String(v);
    };
    const label = (n: string): string => control(n)?.label ?? n;
    const pick = report.first_difference;
    const words = [report.a, report.b].reduce((said, id) => said.replaceAll(id, frame.runs.find((r) => r.id === id)?.label ?? id), report.text);
    const parts = [h("div.verdict.num", { "data-verdict": pick ? "differs" : "same" }, words)];
    const table = h("div.diff.num", null,
      h("span.subtle", null, "Configuration"), name(report.a), name(report.b),
      ...config.differing.flatMap(([n, a, b]) => [h("span", { title: n }, label(n)), h("span", null, shown(n, a)), h("span", null, shown(n, b))]));
    const same = h("details.identical", null, h("summary", null, `${count(config.identical.length)} identical`), h("div.same.num", null, ...config.identical.map(([n, v]) => h("span", { title: n }, `${label(n)} ${shown(n, v)}`))));
    parts.push(h("div.compare-part", null, config.differing.length ? table : h("span.subtle", null, "The configurations do not differ."), config.identical.length ? same : null));
    const only = (id: string, items: Done[]): HTMLElement | null => items.length ? h("div.compare-only", null, h("div", null, name(id), h("span.subtle", null, "only")), ...items.map((i) => h("div.num", null, h("span.when", null, i.step == null ? "–" : `step ${count(i.step)}`), ` ${this.done(i, label, shown)}`))) : null;
    const both = typeof interventions.both === "number" ? interventions.both : interventions.both.length;
    parts.push(h("div.compare-part", null,
      interventions.a_only.length + interventions.b_only.length ? h("div.compare-two", null, only(report.a, interventions.a_only), only(report.b, interventions.b_only)) : null,
      h("span.subtle", null, both ? `${plural(both, "intervention")} in both.` : interventions.a_only.length + interventions.b_only.length ? "" : "Neither was changed while it trained.")));
    return parts;
  }

  private done(item: Done, label: (n: string) => string, shown: (n: string, v: Value) => string): string {
    if (item.text) return item.text;
    const values = Object.entries(item.new ?? {}).map(([n, v]) => `${label(n)} → ${shown(n, v)}`).join(", ");
    return values || [item.kind, item.name].filter(Boolean).join(" ");
  }
}

/** A child with its parent if there is one, the newest first; else the first two runs; null where there is only one. */
export function likelyPair(runs: Run[]): [string, string] | null {
  const child = runs.filter((r) => r.kind && runs.some((p) => p.id === r.parent)).sort((a, b) => b.id.localeCompare(a.id))[0];
  if (child) return [child.parent, child.id];
  const [a, b] = runs;
  return a && b ? [a.id, b.id] : null;
}
