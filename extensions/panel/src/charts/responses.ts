/** What a language model answered at one step: a line a response, to follow, to hold and to leaf through. */
import { attribute, h, rebuilt, text } from "../dom";
import { count } from "../format";
import type { ChartData, ResponsesChart } from "../protocol";
import type { Hold, Plot, Readout, Scene } from "./plot";

// a sign beside the colour, for those who do not tell the colours apart
const SIGNS = { good: "✓", fair: "~", bad: "✗", "": "·" } as const;

export interface Token {
  text: string;
  chip: boolean;
}

/** A response cut where a marked token, one in angle brackets, or a line's end is to stand apart. */
export function tokensOf(response: string, marks: readonly string[]): Token[] {
  const known = new Set(marks);
  const tokens: Token[] = [];
  for (const part of response.split(/(<[^<>\s]+>|\n|[^\S\n]+)/)) {
    if (!part) continue;
    const chip = part === "\n" || known.has(part) || /^<[^<>\s]+>$/.test(part);
    const last = tokens.at(-1);
    if (chip || !last || last.chip) tokens.push({ text: part === "\n" ? "⏎" : part, chip });
    else last.text += part;
  }
  return tokens;
}

export class ResponsesPlot implements Plot {
  readonly kind = "responses";
  readonly inner = 256;
  private chart: ResponsesChart | null = null;
  private list = h("ol.responses");
  private view = h("div.responses-view", { tabindex: 0, role: "group" }, this.list);
  private earlier = this.button("earlier", "‹", "Earlier step", () => { this.leaf(-1); });
  private hold = this.button("hold", "", "", () => { this.toggle(); });
  private later = this.button("later", "›", "Later step", () => { this.leaf(1); });
  private where = h("span.responses-where.num");
  private said = h("span.unseen", { role: "status" });
  private bar = h("div.responses-bar", { role: "group", "aria-label": "Which responses", "aria-keyshortcuts": "ArrowLeft ArrowRight" }, this.earlier, this.hold, this.later, this.where, this.said);
  private acted = false;

  constructor(
    place: HTMLElement,
    _scene: Scene,
    _readout: Readout,
    _size: () => { width: number; height: number },
    private ask: Hold,
  ) {
    this.bar.addEventListener("keydown", (e) => {
      const way = e.key === "ArrowRight" ? 1 : e.key === "ArrowLeft" ? -1 : 0;
      if (!way) return;
      this.leaf(way);
      e.preventDefault();
    });
    place.append(this.bar, this.view);
  }

  update(data: ChartData): void {
    const chart = data as ResponsesChart;
    this.chart = chart;
    this.bar.hidden = this.view.hidden = chart.step == null;
    if (chart.step == null) return;
    const { step, responses, marks, held, newest } = chart;
    attribute(this.view, "aria-label", `Responses at step ${count(step)}`);
    rebuilt(this.list, JSON.stringify([step, responses, marks]), () => responses.map((r) => line(r, marks)));
    this.show(held);
    attribute(this.earlier, "aria-disabled", String(chart.earlier == null));
    attribute(this.later, "aria-disabled", String(chart.later == null));
    const behind = newest != null && newest > step ? `, newest ${count(newest)}` : "";
    text(this.where, `step ${count(step)}${held ? `${behind} · held` : ""}`);
    if (this.acted) text(this.said, `${held ? "held at" : "following, now"} step ${count(step)}, ${String(responses.filter((r) => r.grade === "good").length)} of ${String(responses.length)} good`);
    this.acted = false;
  }

  refresh(): void {
    // all of it is laid out by the style sheet
  }

  destroy(): void {
    this.bar.remove();
    this.view.remove();
  }

  private button(role: string, sign: string, label: string, onclick: () => void): HTMLButtonElement {
    return h("button.ghost.responses-button", { "data-role": `responses-${role}`, "aria-label": label || null, title: label || null, onclick }, sign);
  }

  private show(held: boolean): void {
    text(this.hold, held ? "Follow" : "Hold");
    attribute(this.hold, "title", held ? "Show each new step again" : "Stay at this step; training goes on");
    this.hold.classList.toggle("on", held);
  }

  private toggle(): void {
    if (this.chart?.step == null) return;
    this.move(this.chart.held ? null : this.chart.step);
  }

  private leaf(way: number): void {
    const to = way < 0 ? this.chart?.earlier : this.chart?.later;
    if (to != null) this.move(to);
  }

  private move(step: number | null): void {
    this.acted = true;
    this.show(step != null);
    this.ask(step);
  }
}

function line(response: ResponsesChart["responses"][number], marks: readonly string[]): HTMLElement {
  const { grade, reward, prompt, note } = response;
  const number = reward == null ? "" : String(Number(reward.toPrecision(3)));
  const worth = number ? `reward ${number}` : "no reward";
  return h(
    "li.response",
    { "data-grade": grade || null },
    h("span.grade.num", { role: "img", "aria-label": grade ? `${worth}, ${grade}` : worth, title: worth }, h("b", null, SIGNS[grade]), h("span", null, number)),
    h(
      "span.said",
      { title: response.text },
      prompt && h("span.prompt", null, `${prompt} `),
      ...tokensOf(response.text, marks).map((t) => (t.chip ? h("span.token-chip", null, t.text) : t.text)),
      note && h("span.response-note", null, note),
    ),
  );
}
