/** Time travel from the panel: the box on a clicked curve, the form of a fork, a run's own menu. */
import type { Pick, Scene } from "./charts/plot";
import { h } from "./dom";
import { count } from "./format";
import { ForkForm, type ForkStart, type ForkWish } from "./forkform";
import { boxOf, Popover, type Anchor } from "./popover";
import type { Control, Intervention, Run } from "./protocol";
import { RunMenu } from "./runmenu";

export interface TravelHost {
  request(op: string, args: object): Promise<unknown>;
  controls(): Control[];
  /** Move the time slider. */
  show(step: number): void;
  selected(): Run[];
  say(sentence: string): void;
  compare(a: string, b: string): void;
}

export class Travel {
  readonly popover: Popover;
  /** Where the clicked curve's point lies. */
  readonly dot = h("i.pick-dot", { hidden: true });
  private menu: RunMenu;

  constructor(
    private scene: Scene,
    private panel: HTMLElement,
    private host: TravelHost,
  ) {
    this.popover = new Popover(panel, (open) => {
      scene.quiet = open;
      if (!open) this.dot.hidden = true;
    });
    this.menu = new RunMenu({
      request: (op, args) => host.request(op, args),
      runs: () => scene.runs,
      fork: (run, anchor, back) => { this.openFork(anchor, { run: run.id, step: Math.max(0, scene.at ?? run.step) }, back); },
      compare: (a, b) => { host.compare(a, b); },
      close: () => { this.popover.close(); },
      say: (sentence) => { host.say(sentence); },
    });
  }

  get elements(): HTMLElement[] {
    return [this.dot, this.popover.element];
  }

  /** A curve was clicked: what stands there, and what can be done with it. */
  pick(pick: Pick): void {
    const box = boxOf(pick.over, this.panel);
    const anchor: Anchor = { how: "beside", left: box.left + pick.x - 5, top: box.top + pick.y - 5, width: 10, height: 10 };
    const several = this.scene.runs.length > 1;
    const place = h("div.picked", null,
      h("div.picked-words.num", null, h("i.swatch", { style: `--c:${pick.swatch}` }), h("b", null, `step ${count(pick.step)}`), ` · ${several ? `${pick.runLabel}, ` : ""}${pick.label} ${pick.value}`),
      h("div.picked-do", null,
        h("button.primary", { "data-role": "pick-fork", "data-first": "", onclick: () => { this.openFork(anchor, { run: pick.run, step: pick.step }, null); } }, "Fork here…"),
        h("button.plain", { "data-role": "pick-show", onclick: () => { this.popover.close(); this.host.show(pick.step); } }, "Show this step")));
    this.popover.open(anchor, `Step ${count(pick.step)}`, place, null);
    this.dot.style.cssText = `left:${String(anchor.left)}px;top:${String(anchor.top)}px;--c:${pick.swatch}`;
    this.dot.hidden = false;
  }

  /** From a button: the newest step, or the one that the time slider shows. */
  forkFrom(button: HTMLElement): void {
    const run = this.host.selected()[0] ?? this.scene.runs[0];
    if (!run) return;
    const step = this.scene.at ?? Math.max(0, run.step);
    const fit = this.host.selected().find((r) => r.step >= step) ?? run;
    this.openFork({ how: "under", ...boxOf(button, this.panel) }, { run: fit.id, step }, button, true);
  }

  forkBefore(row: HTMLElement, run: string, step: number, before?: Intervention): void {
    this.openFork({ how: "under", ...boxOf(row, this.panel) }, { run, step, ...(before ? { before } : {}) }, row);
  }

  runMenu(run: Run, button: HTMLElement): void {
    const anchor: Anchor = { how: "under", ...boxOf(button, this.panel) };
    this.popover.toggle(anchor, `Run ${run.label}`, this.menu.fill(run, anchor, button), button);
  }

  private openFork(anchor: Anchor, start: ForkStart, back: HTMLElement | null, again = false): void {
    const form = new ForkForm(this.host.controls(), start, {
      runs: () => this.scene.runs,
      interventions: () => this.scene.interventions,
      describe: (i) => this.scene.describe(i),
      close: () => { this.popover.close(); },
      fork: async (wish: ForkWish) => {
        await this.host.request("fork", wish);
        this.popover.close();
      },
    });
    if (again && back) this.popover.toggle(anchor, "Fork", form.element, back);
    else this.popover.open(anchor, "Fork", form.element, back);
  }
}
