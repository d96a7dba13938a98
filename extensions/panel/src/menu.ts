/** A small box under a button: menus, and the answers that need a line to copy. */
import { h } from "./dom";

export class Menu {
  private box: HTMLElement | null = null;
  private anchor: HTMLElement | null = null;

  constructor(private root: HTMLElement) {
    // composedPath: seen from the document, everything inside a shadow root is its host
    this.outside = this.outside.bind(this);
  }

  toggle(anchor: HTMLElement, label: string, fill: (box: HTMLElement) => void): void {
    if (this.anchor === anchor) {
      this.close();
      return;
    }
    this.close();
    const box = h("div.menu", { role: "dialog", "aria-label": label, tabindex: "-1" });
    fill(box);
    this.root.append(box);
    this.box = box;
    this.anchor = anchor;
    anchor.setAttribute("aria-expanded", "true");
    this.place();
    box.addEventListener("keydown", (e) => {
      if (e.key === "Escape") {
        e.stopPropagation();
        this.close();
        anchor.focus();
      } else if (e.key === "ArrowDown" || e.key === "ArrowUp") {
        const all = [...box.querySelectorAll<HTMLElement>("button, input")];
        const i = all.indexOf(box.getRootNode() instanceof ShadowRoot ? ((box.getRootNode() as ShadowRoot).activeElement as HTMLElement) : all[0] ?? box);
        all[(i + (e.key === "ArrowDown" ? 1 : -1) + all.length) % all.length]?.focus();
        e.preventDefault();
      }
    });
    (box.querySelector<HTMLElement>("button, input") ?? box).focus({ preventScroll: true });
    document.addEventListener("pointerdown", this.outside, true);
  }

  /** Under the anchor, inside the panel. */
  place(): void {
    if (!this.box || !this.anchor) return;
    const root = this.root.getBoundingClientRect();
    const at = this.anchor.getBoundingClientRect();
    const width = this.box.offsetWidth;
    this.box.style.left = `${String(Math.max(8, Math.min(at.left - root.left, root.width - width - 8)))}px`;
    this.box.style.top = `${String(at.bottom - root.top + 4)}px`;
    this.box.style.maxHeight = `${String(Math.max(160, root.height - (at.bottom - root.top) - 16))}px`;
  }

  close(): void {
    this.box?.remove();
    this.anchor?.setAttribute("aria-expanded", "false");
    this.box = this.anchor = null;
    document.removeEventListener("pointerdown", this.outside, true);
  }

  private outside(event: Event): void {
    const path = event.composedPath();
    if (this.box && !path.includes(this.box) && this.anchor && !path.includes(this.anchor)) this.close();
  }
}
