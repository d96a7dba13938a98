/** Title line: what runs, in which state, how far and how fast. */
import { attribute, h, text } from "./dom";
import { count, duration, rate } from "./format";
import type { Frame, Run, Spec } from "./protocol";

export class Header {
  readonly element: HTMLElement;
  private pill = h("span.pill", { role: "status" }, h("i"), h("span"));
  private step = h("span.step.num");
  private pace = h("span.pace.num");
  private sub = h("div.sub.num", { "aria-live": "polite" });

  constructor(private spec: Spec) {
    const { title } = spec.experiment;
    this.element = h("div.header", null, h("div.h1", { role: "heading", "aria-level": 2, title }, title), this.sub, this.pill, this.step, this.pace);
  }

  update(frame: Frame, link: string, starting: boolean): void {
    const { runs } = frame;
    const lead = leadRun(runs);
    const state = link !== "live" ? "not connected" : starting && !lead ? "ready" : lead ? phase(lead) : "ready";
    attribute(this.pill, "data-state", state.replace(/ .*/, ""));
    text(this.pill.lastElementChild as HTMLElement, state);
    const doing = catchingUp(runs);
    const { subtitle } = this.spec.experiment;
    text(this.sub, doing || subtitle);
    attribute(this.sub, "title", doing || subtitle);
    this.sub.classList.toggle("doing", doing !== "");
    const step = Math.max(0, ...runs.map((r) => r.step));
    const steps = lead?.steps;
    text(this.step, runs.length ? `step ${count(step)}${steps ? ` of ${count(steps)}` : ""}` : "");
    const moving = runs.filter((r) => r.rate != null && r.state === "running");
    const mean = moving.length ? moving.reduce((s, r) => s + (r.rate ?? 0), 0) / moving.length : null;
    const left = Math.max(...moving.map((r) => r.eta_s ?? -1));
    text(this.pace, mean == null || mean <= 0 ? "" : [rate(mean), left >= 0 ? `${duration(left)} left` : ""].filter(Boolean).join(" · "));
    attribute(this.pace, "title", moving.length > 1 ? moving.map((r) => `${r.label}: ${rate(r.rate ?? 0)}`).join("\n") : null);
  }
}

const ORDER = ["running", "starting", "queued", "paused", "failed", "lost", "stopped", "finished"];

/** The run that the title line speaks of: one that trains, if any does. */
export function leadRun(runs: Run[]): Run | undefined {
  return [...runs].sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state))[0];
}

/** The state in words, with what has been asked for and not happened yet. */
function phase(run: Run): string {
  const asked = run.pending.at(-1)?.kind;
  const doing: Record<string, string> = { pause: "pausing", resume: "resuming", stop: "stopping" };
  return (asked && doing[asked]) ?? run.state;
}

/** What starting runs say of how far they are: a fork that replays the steps since the last checkpoint. */
export function catchingUp(runs: Run[]): string {
  return runs.filter((r) => (r.state === "starting" || r.state === "queued") && r.message).map((r) => `${r.label}: ${r.message}`).join(" · ");
}
