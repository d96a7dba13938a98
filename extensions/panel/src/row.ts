/** One control: label, when a change takes effect, slider (switch, choice, text), and what became of the last move. */
import { decision, newestChange, outcomeOf, type Move } from "./command";
import { attribute, h, text } from "./dom";
import { bare } from "./format";
import type { Control, Frame, Run, Value } from "./protocol";
import { Slider } from "./slider";

const DEBOUNCE_MS = 120;
let ids = 0;

export interface RowHost {
  /** Ask for a change; resolves to the commands' numbers by run. */
  set(control: Control, value: Value): Promise<Record<string, number>>;
}

export class Row {
  readonly element: HTMLElement;
  private slider: Slider | null = null;
  private input: HTMLElement;
  private note = h("div.note.num", { "aria-live": "polite" });
  private move: Move | null = null;
  private timer: ReturnType<typeof setTimeout> | null = null;
  private lastShown: Value = null;
  private local = "";
  private offered = false;
  private wordsKey = "";

  constructor(
    readonly control: Control,
    private host: RowHost,
  ) {
    const id = `wb-${String(++ids)}`;
    this.input = this.makeInput(id);
    const label = h("label", { for: this.slider || control.kind !== "bool" ? id : undefined, id: `${id}-l`, title: [control.label, control.help].filter(Boolean).join(": ") }, control.label);
    const badge = h(`span.badge.${control.when}`, { title: { live: "Takes effect at the next step", stage: `Takes effect at the next ${control.stage}`, launch: "Can only be chosen for a new run" }[control.when] }, control.when === "stage" ? h("span.long", null, "next ") : null, control.when === "stage" ? control.stage : control.when_text);
    this.element = h("div.row", { "data-control": control.name, "data-when": control.when, "data-kind": control.kind },
      h("div.row-head", null, label, badge, h("span.grow"), this.slider?.value, this.slider?.entry, !this.slider && this.input),
      this.slider && this.input,
      this.note);
  }

  /** As a control of runs: `runs` are those it moves; `live` whether it can move now. */
  follow(frame: Frame, runs: Run[], all: Run[], live: boolean): void {
    const lead = runs[0] ?? all[0];
    const { name } = this.control;
    const truth = (this.control.when === "launch" ? (lead?.launch[name] ?? lead?.values[name]) : lead?.values[name]) ?? null;
    this.disable(!live);
    if (this.move) {
      const outcome = outcomeOf(this.move, this.control, frame, performance.now());
      if (outcome.kind === "pending") this.say(outcome.words, "pending");
      else if (outcome.kind === "slow") this.say(outcome.words, "slow", outcome.command);
      else {
        this.move = null;
        this.say(outcome.words, outcome.kind);
      }
    } else if (!this.timer && !this.local) this.sayNewest(frame, runs, all);
    if (!this.move && !this.timer && !this.slider?.dragging) this.show(truth);
  }

  /** As a value for a new run. */
  offer(value: Value, note: string, enabled = true): void {
    this.offered = true;
    this.disable(!enabled);
    if (!this.slider?.dragging) this.show(value);
    if (!this.local) this.say(note, "");
  }

  private sayNewest(frame: Frame, runs: Run[], all: Run[]): void {
    const { name } = this.control;
    const among = new Set((runs.length ? runs : all).map((r) => r.id));
    const newest = newestChange(name, among, frame.interventions);
    const others = runs.slice(1).filter((r) => r.values[name] !== runs[0]?.values[name]);
    const same = frame.interventions.filter((i) => newest && among.has(i.run) && i.kind === "set" && i.new[name] === newest.new[name] && i.step === newest.step);
    const outcome = newest && decision(same, this.control);
    // A refusal stays until the next change, also where the runs differ anyway.
    if (others.length && outcome?.kind !== "refused") this.say(others.map((r) => `${r.label}: ${bare(this.control, r.values[name])}`).join(" · "), "");
    else this.say(outcome?.words ?? "", outcome?.kind ?? "");
  }

  private show(value: Value): void {
    this.lastShown = value;
    const { kind } = this.control;
    if (this.slider) this.slider.show(typeof value === "number" ? value : null);
    else if (kind === "bool") attribute(this.input, "aria-checked", String(value === true));
    else if (this.input !== (this.input.getRootNode() as Document | ShadowRoot).activeElement) (this.input as HTMLSelectElement | HTMLInputElement).value = value == null ? "" : String(value);
  }

  private disable(off: boolean): void {
    this.slider?.disable(off);
    if ("disabled" in this.input) (this.input as HTMLButtonElement).disabled = off;
    this.element.classList.toggle("off", off);
  }

  private makeInput(id: string): HTMLElement {
    const { control } = this;
    if (control.kind === "float" || control.kind === "int") {
      this.slider = new Slider(control, id, (v, final) => { this.moved(v, final); }, (sentence) => { this.complain(sentence); });
      return this.slider.range;
    }
    if (control.kind === "bool") {
      const toggle = h("button.switch", { id, role: "switch", "aria-checked": "false", "aria-labelledby": `${id}-l` });
      toggle.addEventListener("click", () => {
        const on = toggle.getAttribute("aria-checked") !== "true";
        attribute(toggle, "aria-checked", String(on));
        this.moved(on, true);
      });
      return toggle;
    }
    if (control.kind === "choice") {
      const select = h("select.choice", { id }, ...control.choices.map((c) => h("option", { value: c }, c.replaceAll("_", " ")))) as HTMLSelectElement;
      select.addEventListener("change", () => { this.moved(select.value, true); });
      return select;
    }
    const input = h("input.choice", { id, type: "text" });
    input.addEventListener("change", () => { this.moved(input.value, true); });
    return input;
  }

  private moved(value: Value, final: boolean): void {
    this.local = "";
    if (this.timer) clearTimeout(this.timer);
    if (!this.offered) this.say(`${bare(this.control, this.move?.from ?? this.lastShown)} → ${bare(this.control, value)}, pending`, "pending");
    this.timer = setTimeout(() => {
      this.timer = null;
      this.ask(value);
    }, final ? 0 : DEBOUNCE_MS);
  }

  private ask(value: Value): void {
    if (value === this.lastShown && !this.move) return;
    const move: Move = { control: this.control.name, value, from: this.move?.from ?? this.lastShown, since: performance.now(), commands: null };
    this.move = move;
    this.host.set(this.control, value).then(
      (commands) => {
        move.commands = commands;
        if (Object.keys(commands).length === 0 && this.move === move) this.move = null;
      },
      (error: unknown) => {
        if (this.move !== move) return;
        this.move = null;
        this.complain(error instanceof Error ? error.message : String(error));
        this.show(move.from);
      },
    );
  }

  /** A sentence of our own, kept until the next move. */
  private complain(sentence: string): void {
    this.move = null;
    this.local = sentence;
    this.say(sentence, "refused");
    this.show(this.lastShown);
  }

  private say(words: string, kind: string, command = ""): void {
    const key = words + kind + command;
    if (key === this.wordsKey) return;
    this.wordsKey = key;
    attribute(this.element, "data-outcome", kind || null);
    attribute(this.note, "title", words || null);
    if (command) this.note.replaceChildren(words, h("code", null, command));
    else text(this.note, words);
  }
}
