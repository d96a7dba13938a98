/** The form to start runs: which arms, how large, which seed. The values stand in the sidebar beside it. */
import { attribute, h, rebuilt, text } from "./dom";
import { count, plural } from "./format";
import type { Preset, Spec, Values } from "./protocol";

export interface Choice {
  arms: string[];
  preset: string;
  seed: number;
}

type WithOverrides = Preset & { overrides?: Values };

export class StartForm {
  readonly element: HTMLElement;
  private arms = new Set<string>();
  private preset: string;
  private steps: number | null = null;
  private seed: HTMLInputElement;
  private summary = h("div.summary.num", { "aria-live": "polite" });
  private error = h("div.error", { role: "alert", hidden: true });
  private presets = h("div.segments", { role: "radiogroup", "aria-label": "Size" });
  private presetHelp = h("span.subtle");
  private boxes = new Map<string, HTMLInputElement>();

  constructor(
    private spec: Spec,
    private changed: () => void,
  ) {
    const { experiment, defaults } = spec;
    this.preset = defaults.preset;
    this.arms = new Set(defaults.arms);
    this.seed = h("input.entry.num.wide", { type: "number", min: 0, step: 1, value: String(defaults.seed), "aria-label": "Seed", "data-role": "seed", onchange: () => { this.changed(); this.update(); } });
    const { paper } = experiment;
    this.element = h("div.start", { role: "form", "aria-label": "Start runs" },
      h("div.story", null,
        h("p", null, h("b", null, "What goes wrong "), experiment.phenomenon),
        h("p", null, h("b", null, "What mends it "), experiment.remedy),
        paper.title ? h("p.subtle", null, paper.url ? h("a", { href: paper.url, target: "_blank", rel: "noopener" }, paper.title) : paper.title, ` · ${paper.venue} ${String(paper.year)}`) : null),
      h("div.label", null, "Arms, trained side by side"),
      h("div.arms", null, ...spec.arms.map((a) => this.armBox(a.name, a.label, a.role, a.help))),
      h("div.sizes", null,
        h("div", null, h("div.label", null, "Size"), h("div.inline", null, this.presets, this.presetHelp)),
        h("div", null, h("label.label", { for: "seed" }, "Seed"), this.seed)),
      this.summary,
      this.error,
      experiment.notes.length || experiment.reconstruction
        ? h("details.remarks", null, h("summary", null, "Before you believe a chart"), h("ul", null, ...[...experiment.notes, experiment.reconstruction && `Not checked against the authors' code: ${experiment.reconstruction}`].filter(Boolean).map((n) => h("li", null, String(n)))))
        : null);
    this.update();
  }

  choice(): Choice {
    return { arms: this.spec.arms.map((a) => a.name).filter((n) => this.arms.has(n)), preset: this.preset, seed: Math.max(0, Math.round(Number(this.seed.value) || 0)) };
  }

  /** Height that the form needs, whatever stands beside it. */
  get height(): number {
    const last = this.element.lastElementChild?.getBoundingClientRect();
    return last ? last.bottom - this.element.getBoundingClientRect().top + 16 : 0;
  }

  choose(choice: Partial<Choice>): void {
    if (choice.arms) this.arms = new Set(choice.arms);
    if (choice.preset && this.spec.presets.some((p) => p.name === choice.preset)) this.preset = choice.preset;
    if (choice.seed !== undefined) this.seed.value = String(choice.seed);
    this.update();
  }

  /** A number of steps that was typed instead of the preset's; null: none. */
  plan(steps: number | null): void {
    this.steps = steps;
    this.update();
  }

  get presetValues(): Values {
    return (this.current() as WithOverrides | undefined)?.overrides ?? {};
  }

  get chosenArms(): { label: string; overrides: Values }[] {
    return this.spec.arms.filter((a) => this.arms.has(a.name));
  }

  fail(sentence: string): void {
    text(this.error, sentence);
    this.error.hidden = !sentence;
  }

  private current(): Preset | undefined {
    return this.spec.presets.find((p) => p.name === this.preset);
  }

  private armBox(name: string, label: string, role: string, help: string): HTMLElement {
    const box = h("input", { type: "checkbox", "data-arm": name });
    box.addEventListener("change", () => {
      if (box.checked) this.arms.add(name);
      else this.arms.delete(name);
      this.update();
      this.changed();
    });
    this.boxes.set(name, box);
    return h("label.arm-box", null, box, h("span", null, h("b", null, label), h(`span.role.${role}`, null, role), h("span.help", null, help)));
  }

  private update(): void {
    for (const [name, box] of this.boxes) box.checked = this.arms.has(name);
    rebuilt(this.presets, "once", () => this.spec.presets.map((p) => h("button", { role: "radio", "data-preset": p.name, title: p.help, onclick: () => { this.preset = p.name; this.update(); this.changed(); } }, p.name)));
    for (const button of this.presets.children) attribute(button, "aria-checked", String((button as HTMLElement).dataset["preset"] === this.preset));
    const preset = this.current();
    text(this.presetHelp, preset?.help ?? "");
    const steps = this.steps ?? preset?.steps;
    const n = this.arms.size;
    text(this.summary, n === 0 ? "Choose at least one arm." : `Start trains ${plural(n, "run")}${steps ? ` of ${count(steps)} steps${n > 1 ? " each" : ""}` : ""}, ${n > 1 ? "each in a process" : "in a process"} of its own.`);
    this.fail("");
  }
}
