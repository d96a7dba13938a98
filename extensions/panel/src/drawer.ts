/** Below the charts: findings, interventions, log; other tabs can be added. */
import { attribute, h, rebuilt, text } from "./dom";
import { clock, count } from "./format";
import type { Finding, Frame, Intervention, Run } from "./protocol";

/** A tab shows the newest `FEW` rows until asked for all: there is no scroll bar inside the page's own. */
const FEW = 2;

export interface Tab {
  id: string;
  label: string;
  count(frame: Frame): number | null;
  /** Changes when the rows do. */
  key(frame: Frame): string;
  rows(frame: Frame): HTMLElement[];
  none: string;
  /** A tab that draws itself instead of rows. */
  content?(frame: Frame): HTMLElement;
}

export class Drawer {
  readonly element: HTMLElement;
  private bar = h("div.tabs", { role: "tablist", "aria-label": "Records" });
  private body = h("div.records", { role: "tabpanel" });
  private side = h("div.exact.num");
  private open: string;
  private all = new Set<string>();
  private frame: Frame | null = null;

  constructor(private tabs: Tab[]) {
    this.open = tabs[0]?.id ?? "";
    for (const tab of tabs) {
      this.bar.append(h("button.tab", { role: "tab", "data-tab": tab.id, onclick: () => { this.choose(tab.id); } }, tab.label, h("span.n.num")));
    }
    this.bar.addEventListener("keydown", (e) => {
      const way = e.key === "ArrowRight" ? 1 : e.key === "ArrowLeft" ? -1 : 0;
      const next = tabs[(tabs.findIndex((t) => t.id === this.open) + way + tabs.length) % tabs.length];
      if (!way || !next) return;
      this.choose(next.id);
      this.bar.querySelector<HTMLElement>(`[data-tab="${next.id}"]`)?.focus();
    });
    this.element = h("div.drawer", null, h("div.tab-line", null, this.bar, this.side), this.body);
  }

  /** `exact`: whether and why the runs can be repeated to the bit. */
  update(frame: Frame, exact: { ok: boolean; text: string } | null): void {
    this.frame = frame;
    text(this.side, exact?.text ?? "");
    attribute(this.side, "title", exact?.text ?? null);
    this.side.classList.toggle("warn", exact != null && !exact.ok);
    this.render();
  }

  choose(id: string): void {
    this.open = id;
    this.render();
  }

  private render(): void {
    const { frame } = this;
    if (!frame) return;
    for (const tab of this.tabs) {
      const button = this.bar.querySelector<HTMLElement>(`[data-tab="${tab.id}"]`);
      if (!button) continue;
      const on = tab.id === this.open;
      attribute(button, "aria-selected", String(on));
      attribute(button, "tabindex", on ? 0 : -1);
      const n = tab.count(frame);
      text(button.querySelector(".n") as HTMLElement, n == null ? "" : ` ${count(n)}`);
    }
    const tab = this.tabs.find((t) => t.id === this.open);
    if (!tab) return;
    attribute(this.body, "aria-label", tab.label);
    this.body.classList.toggle("own", tab.content != null);
    if (tab.content) {
      const own = tab.content(frame);
      if (this.body.firstElementChild !== own || this.body.children.length > 1) this.body.replaceChildren(own);
      delete this.body.dataset["key"];
      return;
    }
    const all = this.all.has(tab.id);
    this.body.classList.toggle("all", all);
    rebuilt(this.body, `${tab.id}|${String(all)}|${tab.key(frame)}`, () => {
      const rows = tab.rows(frame);
      if (!rows.length) return [h("div.record.none", null, tab.none)];
      const more = rows.length - FEW;
      const toggle = more > 0 ? h("button.link.more", { onclick: () => { if (all) this.all.delete(tab.id); else this.all.add(tab.id); this.render(); } }, all ? "Show fewer" : `Show ${count(more)} more`) : null;
      return [...(all ? rows : rows.slice(0, FEW)), toggle];
    });
  }
}

export interface DrawerHost {
  describe(i: Intervention): string;
  show(finding: Finding): void;
  forkBefore(button: HTMLElement, run: string, step: number, before?: Intervention): void;
  hover(key: string | null): void;
  color(run: Run | undefined): string;
}

const steps = (first: number, last: number | null): string => `${count(first)} – ${last == null ? "now" : count(last)}`;

export function recordTabs(host: DrawerHost, compare: Tab): Tab[] {
  const runName = (frame: Frame, id: string): HTMLElement => {
    const run = frame.runs.find((r) => r.id === id);
    return h("span.run-name", null, h("i.swatch", { style: `--c:${host.color(run)}` }), run?.label ?? id);
  };
  const forkBefore = (run: string, step: number, item?: Intervention): HTMLElement => {
    const button = h("button.link", { "data-role": "fork-before", title: item ? "Start a child from just before this change" : "Start a child from just before this was found" }, "fork before");
    button.addEventListener("click", () => { host.forkBefore(button, run, step, item); });
    return button;
  };
  return [
    {
      id: "findings",
      label: "Findings",
      none: "Nothing found so far.",
      count: (f) => f.findings.length,
      key: (f) => JSON.stringify([f.findings.map((x) => [x.run, x.key, x.last, x.sentence, x.severity]), f.runs.map((r) => r.color)]),
      rows: (f) =>
        [...f.findings]
          .sort((a, b) => Number(b.last == null) - Number(a.last == null) || b.first - a.first)
          .map((x) => {
            const row = h("div.record", { "data-finding": x.id }, h("span.when.num", null, steps(x.first, x.last)), h(`span.finding.${String(x.severity)}`, null, x.title), h("span.what", { title: `${x.sentence} ${x.remedy}` }, runName(f, x.run), x.sentence, x.remedy ? h("span.remedy", null, ` ${x.remedy}`) : null), h("span.row-end", null, h("button.link", { onclick: () => { host.show(x); } }, "show"), forkBefore(x.run, x.first)));
            row.addEventListener("mouseenter", () => { host.hover(`${x.run} ${x.key}`); });
            row.addEventListener("mouseleave", () => { host.hover(null); });
            return row;
          }),
    },
    {
      id: "interventions",
      label: "Interventions",
      none: "Nothing was changed so far. Move a slider while the run trains.",
      count: (f) => f.interventions.length,
      key: (f) => `${String(f.interventions.length)} ${JSON.stringify(f.interventions.at(-1) ?? "")} ${String(f.runs.length)}`,
      rows: (f) =>
        [...f.interventions].reverse().map((i) => h("div.record", null, h("span.when.num", null, i.step != null ? `step ${count(i.step)}` : "–"), h(`span.outcome.${i.outcome}`, null, i.outcome), h("span.what.num", null, runName(f, i.run), host.describe(i), i.reason ? h("span.remedy", null, ` ${i.reason}`) : null), h("span.row-end.num", null, h("span.when", null, `${i.source} · ${clock(i.time)}`), i.outcome === "applied" && i.step != null ? forkBefore(i.run, i.step, i) : null))),
    },
    compare,
    {
      id: "log",
      label: "Log",
      none: "The log is empty.",
      count: () => null,
      key: (f) => `${String(f.log.length)} ${JSON.stringify(f.log.at(-1) ?? "")}`,
      rows: (f) => [...f.log].reverse().map((l) => h("div.record", null, h("span.when.num", null, clock(l.time)), h(`span.level.${l.level}`, null, l.step == null ? l.level : `step ${count(l.step)}`), h("span.what", null, runName(f, l.run), l.text), h("span"))),
    },
  ];
}
