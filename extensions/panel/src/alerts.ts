/** Lines over the charts: runs that failed, what the feed has to say, what went wrong with a request. */
import { h, rebuilt } from "./dom";
import { count } from "./format";
import type { Frame } from "./protocol";

interface Line {
  level: string;
  text: string;
  who?: string;
}

export class Alerts {
  readonly element = h("div.alerts", { role: "alert" });
  private own = "";
  private frame: Frame | null = null;

  show(frame: Frame): void {
    this.frame = frame;
    this.render();
  }

  /** A sentence of the panel's own, until it is dismissed or the next request succeeds. */
  say(sentence: string): void {
    this.own = sentence;
    this.render();
  }

  private render(): void {
    const { frame, own } = this;
    if (!frame) return;
    const lines: Line[] = frame.runs
      .filter((r) => r.state === "failed" || r.state === "lost")
      .map((r) => ({ level: "error", who: r.label, text: `${r.state} at step ${count(r.step)}${r.message ? `: ${r.message}` : "."}` }));
    if (frame.notice?.text) lines.push(frame.notice);
    if (own) lines.push({ level: "warning", text: own });
    rebuilt(this.element, JSON.stringify(lines), () =>
      lines.map((l) => h(`div.alert.${l.level}`, null, l.who ? h("b", null, `${l.who} `) : null, l.text, l.text === own ? h("button.link", { onclick: () => { this.say(""); } }, "Dismiss") : null)));
  }
}
