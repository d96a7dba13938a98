/** The form of a fork: which run, before which step, what is to be different. */
import { changed, forkable, ownerOf, valuesAsOf } from "./asof";
import { attribute, h, rebuilt, text } from "./dom";
import { bare, count, plural } from "./format";
import type { Control, Intervention, Run, Value, Values } from "./protocol";
import { parseEntry } from "./scale";

export interface ForkWish {
  run: string;
  step: number;
  values: Values;
  before: number | null;
  paused: boolean;
  name: string;
}

export interface ForkStart {
  run: string;
  step: number;
  /** Fork before this intervention rather than before all of its step. */
  before?: Intervention;
}

export interface ForkHost {
  runs(): Run[];
  interventions(): Intervention[];
  describe(item: Intervention): string;
  /** Rejects with the sentence to show. */
  fork(wish: ForkWish): Promise<void>;
  close(): void;
}

interface Field {
  control: Control;
  row: HTMLElement;
  was: HTMLElement;
  show(value: Value): void;
}

export class ForkForm {
  readonly element: HTMLElement;
  private run: string;
  private before: Intervention | null;
  private typed: Values = {};
  private wrong = new Map<string, string>();
  private fields: Field[];
  private runs = h("select.entry.pick-run", { "aria-label": "Run to fork", onchange: () => { this.run = this.runs.value; this.before = null; this.update(); } });
  private step: HTMLInputElement;
  private summary = h("div.subtle.num", { "aria-live": "polite" });
  private without = h("div.subtle.num.fork-before");
  private error = h("div.error", { role: "alert", hidden: true });
  private paused = h("input", { type: "checkbox", "data-role": "fork-paused" });
  private name = h("input.entry.fork-name", { type: "text", placeholder: "name", "aria-label": "Name of the fork", "data-role": "fork-name" });
  private go = h("button.primary", { type: "submit", "data-role": "fork-go" }, "Fork");

  constructor(
    controls: Control[],
    start: ForkStart,
    private host: ForkHost,
  ) {
    this.run = start.run;
    this.before = start.before ?? null;
    this.step = h("input.entry.num", { type: "number", min: 0, step: 1, value: String(start.step), "aria-label": "Fork before step", "data-role": "fork-step", oninput: () => { this.before = null; this.update(); } });
    this.fields = forkable(controls).map((c) => this.field(c));
    if (this.before) this.go.dataset["first"] = "";
    const form = h("form.fork", { novalidate: true, onsubmit: (e: Event) => { e.preventDefault(); void this.submit(); } },
      h("div.fork-head", null, h("b", null, "Fork"), this.runs, h("span.grow"), h("span.subtle", null, "before step"), this.step),
      this.without,
      h("div.fork-fields", null, ...this.fields.map((f) => f.row)),
      this.summary,
      this.error,
      h("div.fork-foot", null, this.name, h("label.check", null, this.paused, "start paused"), h("span.grow"), h("button.plain", { type: "button", onclick: () => { host.close(); } }, "Cancel"), this.go));
    this.element = form;
    this.update();
  }

  private get at(): number {
    return Number(this.step.value);
  }

  private owner(): Run | undefined {
    const runs = this.host.runs();
    const run = runs.find((r) => r.id === this.run) ?? runs[0];
    return run && ownerOf(run, runs, this.at);
  }

  /** What the fork would have if nothing were changed. */
  private base(): Values {
    const owner = this.owner();
    return owner ? valuesAsOf(owner, this.host.interventions(), this.at, this.before?.seq ?? null) : {};
  }

  private update(): void {
    const runs = this.host.runs();
    rebuilt(this.runs, JSON.stringify(runs.map((r) => [r.id, r.label])), () => runs.map((r) => h("option", { value: r.id }, r.label)));
    this.runs.value = this.run;
    this.runs.hidden = runs.length < 2;
    this.without.hidden = !this.before;
    if (this.before) text(this.without, `Without “${this.host.describe(this.before)}” and all that came after.`);
    const owner = this.owner();
    attribute(this.step, "max", owner ? owner.step + 1 : null);
    const base = this.base();
    for (const { control, row, was, show } of this.fields) {
      const typed = this.typed[control.name];
      const moved = typed !== undefined && control.name in changed({ [control.name]: typed }, base);
      if (typed === undefined && !this.wrong.has(control.name)) show(base[control.name] ?? control.default);
      row.classList.toggle("changed", moved);
      row.classList.toggle("wrong", this.wrong.has(control.name));
      text(was, moved ? `was ${bare(control, base[control.name])}` : "");
    }
    const n = Object.keys(changed(this.typed, base)).length;
    const wrong = [...this.wrong.values()][0];
    text(this.summary, n ? `${plural(n, "change")}, from step ${count(this.at)} on.` : this.before ? "" : "Nothing changed yet: it would repeat its parent.");
    this.fail(wrong ?? (owner && this.at > owner.step + 1 ? `${owner.label} has only come to step ${count(owner.step + 1)}.` : ""));
    this.go.disabled = wrong !== undefined || !Number.isInteger(this.at) || this.at < 0 || this.step.value === "" || (owner != null && this.at > owner.step + 1);
  }

  private field(control: Control): Field {
    const id = `wb-fork-${control.name}`;
    const was = h("small.was.num");
    const put = (value: Value): void => {
      this.wrong.delete(control.name);
      this.typed[control.name] = value;
      this.update();
    };
    let input: HTMLInputElement | HTMLSelectElement;
    let show: (value: Value) => void;
    if (control.kind === "bool") {
      const box = h("input", { id, type: "checkbox" });
      box.addEventListener("change", () => { put(box.checked); });
      show = (v) => { box.checked = v === true; };
      input = box;
    } else if (control.kind === "choice") {
      const select = h("select.entry", { id }, ...control.choices.map((c) => h("option", { value: c }, c.replaceAll("_", " "))));
      select.addEventListener("change", () => { put(select.value); });
      show = (v) => { select.value = String(v ?? ""); };
      input = select;
    } else {
      const entry = h("input.entry.num", { id, type: "text", inputmode: control.kind === "text" ? "text" : "decimal", autocomplete: "off" });
      entry.addEventListener("input", () => {
        const parsed = control.kind === "text" ? { value: entry.value } : parseEntry(control, entry.value);
        if ("error" in parsed) {
          this.wrong.set(control.name, `${control.label}: ${parsed.error}`);
          this.update();
        } else put(parsed.value);
      });
      show = (v) => { entry.value = v == null ? "" : String(v); };
      input = entry;
    }
    input.dataset["fork"] = control.name;
    const mark = control.when === "launch" ? h("span.badge.launch", { title: "Decided at launch: the fork is built anew with it" }, "rebuilt") : control.when === "stage" ? h("span.badge.stage", { title: `Takes effect at the next ${control.stage}` }, control.stage) : null;
    const row = h("div.fork-row", null, h("label", { for: id, title: control.help || control.label }, control.label, control.unit ? h("small", null, ` ${control.unit}`) : null), mark, was, input);
    return { control, row, was, show };
  }

  private fail(sentence: string): void {
    text(this.error, sentence);
    this.error.hidden = !sentence;
  }

  private async submit(): Promise<void> {
    const owner = this.owner();
    if (this.go.disabled || !owner) return;
    this.go.disabled = true;
    text(this.go, "Forking…");
    try {
      await this.host.fork({ run: owner.id, step: this.at, values: changed(this.typed, this.base()), before: this.before?.seq ?? null, paused: this.paused.checked, name: this.name.value.trim() });
    } catch (error) {
      text(this.go, "Fork");
      this.go.disabled = false;
      this.fail(error instanceof Error ? error.message : String(error));
    }
  }
}
