/** One small box over the panel, beside what it is about. Escape and a press elsewhere close it; the focus goes back. */
import { attribute, h } from "./dom";
import { placeBeside, placeUnder, type Box } from "./place";

export interface Anchor extends Box {
  how: "beside" | "under";
}

export class Popover {
  readonly element = h("div.popover", { role: "dialog", hidden: true });
  private back: HTMLElement | null = null;
  private anchor: Anchor | null = null;
  private outside = (e: Event): void => {
    const path = e.composedPath();
    if (!path.includes(this.element) && !(this.back && path.includes(this.back))) this.close(false);
  };
  private sizes = new ResizeObserver(() => { this.place(); });

  constructor(
    private panel: HTMLElement,
    private changed: (open: boolean) => void,
  ) {
    this.element.addEventListener("keydown", (e) => {
      if (e.key !== "Escape") return;
      e.stopPropagation();
      this.close();
    });
  }

  get isOpen(): boolean {
    return !this.element.hidden;
  }

  /** The same, or away with it if this very button has opened it. */
  toggle(anchor: Anchor, label: string, content: HTMLElement, button: HTMLElement): void {
    if (this.isOpen && this.back === button) this.close();
    else this.open(anchor, label, content, button);
  }

  /** `label` names it for screen readers; `back` gets the focus when it closes. */
  open(anchor: Anchor, label: string, content: HTMLElement, back: HTMLElement | null): void {
    this.anchor = anchor;
    if (!this.isOpen || back) this.back = back;
    attribute(this.element, "aria-label", label);
    this.element.replaceChildren(content);
    this.element.hidden = false;
    this.changed(true);
    this.place();
    this.sizes.observe(this.element);
    document.addEventListener("pointerdown", this.outside, true);
    (content.querySelector<HTMLElement>("[data-first]") ?? content.querySelector<HTMLElement>("button:not(:disabled),input,select"))?.focus({ preventScroll: true });
  }

  close(focus = true): void {
    if (!this.isOpen) return;
    this.sizes.disconnect();
    document.removeEventListener("pointerdown", this.outside, true);
    this.element.hidden = true;
    this.element.replaceChildren();
    this.changed(false);
    const { back } = this;
    this.back = null;
    if (focus && back?.isConnected) back.focus({ preventScroll: true });
  }

  private place(): void {
    const { anchor, element, panel } = this;
    if (!anchor) return;
    const room = { width: panel.clientWidth, height: panel.clientHeight };
    const size = { width: element.offsetWidth, height: element.offsetHeight };
    const at = (anchor.how === "beside" ? placeBeside : placeUnder)(anchor, size, room);
    element.style.left = `${String(Math.round(at.left))}px`;
    element.style.top = `${String(Math.round(at.top))}px`;
  }
}

/** Where an element stands in the panel. */
export function boxOf(element: Element, panel: Element): Box {
  const [inner, outer] = [element.getBoundingClientRect(), panel.getBoundingClientRect()];
  return { left: inner.left - outer.left, top: inner.top - outer.top, width: inner.width, height: inner.height };
}
