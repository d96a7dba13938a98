/** The box beside the cursor that says what stands there. */
import { h, text } from "../dom";

export interface TipRow {
  swatch: string;
  label: string;
  value: string;
  spread?: string;
  dash?: boolean;
}

export class Tip {
  private head = h("div.tip-head.num");
  private body = h("div.tip-rows.num");
  private more = h("div.tip-more");
  private box = h("div.tip", { role: "presentation", hidden: true }, this.head, this.body, this.more);

  constructor(private place: HTMLElement) {
    place.append(this.box);
  }

  /** Beside x (pixels from the left of `over`), on the side with more room. */
  show(over: HTMLElement, x: number, title: string, rows: TipRow[], left = 0): void {
    text(this.head, title);
    this.body.replaceChildren(
      ...rows.flatMap((r) => [
        h(r.dash ? "i.swatch.dash" : "i.swatch", { style: `--c:${r.swatch}` }),
        h("span.tip-label", null, r.label),
        h("span.tip-value", null, r.value, r.spread ? h("small", null, ` ${r.spread}`) : null),
      ]),
    );
    text(this.more, left > 0 ? `and ${String(left)} more` : "");
    this.box.hidden = false;
    const origin = over.getBoundingClientRect().left - this.place.getBoundingClientRect().left;
    const right = x > over.clientWidth / 2;
    this.box.style.left = right ? "auto" : `${String(origin + x + 12)}px`;
    this.box.style.right = right ? `${String(this.place.clientWidth - origin - x + 12)}px` : "auto";
  }

  hide(): void {
    this.box.hidden = true;
  }

  destroy(): void {
    this.box.remove();
  }
}
