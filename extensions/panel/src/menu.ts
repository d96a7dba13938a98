/** A button that opens a small list under itself; Escape and a click elsewhere close it. */
import { attribute, h } from "./dom";

export class Menu {
  readonly element: HTMLElement;
  readonly button: HTMLButtonElement;
  readonly list = h("div.menu-list", { hidden: true });
  private outside = (e: Event): void => {
    if (!e.composedPath().includes(this.element)) this.close();
  };

  constructor(
    label: string,
    role: string,
    private fill: (list: HTMLElement, close: () => void) => void,
    style = "ghost",
  ) {
    this.button = h(`button.${style}`, { "data-role": role, "aria-haspopup": "true", "aria-expanded": "false", onclick: () => { if (this.list.hidden) this.open(); else this.close(); } }, label);
    this.element = h("div.menu", null, this.button, this.list);
    this.element.addEventListener("keydown", (e) => {
      if (this.list.hidden) return;
      if (e.key === "Escape") {
        e.stopPropagation();
        this.close();
        this.button.focus();
      } else if (e.key === "ArrowDown" || e.key === "ArrowUp") {
        e.preventDefault();
        const items = [...this.list.querySelectorAll<HTMLElement>("button,input,a")];
        const at = items.indexOf((this.list.getRootNode() as ShadowRoot).activeElement as HTMLElement);
        items[(at + (e.key === "ArrowDown" ? 1 : -1) + items.length) % items.length]?.focus();
      }
    });
  }

  open(): void {
    this.list.replaceChildren();
    this.fill(this.list, () => { this.close(); });
    this.list.hidden = false;
    attribute(this.button, "aria-expanded", "true");
    document.addEventListener("pointerdown", this.outside, true);
    // a list that would leave the panel on the right hangs from the button's right edge
    const panel = this.element.closest(".panel")?.getBoundingClientRect();
    this.list.classList.remove("from-right");
    if (panel && this.list.getBoundingClientRect().right > panel.right - 4) this.list.classList.add("from-right");
    this.list.querySelector<HTMLElement>("button:not(:disabled),input,a")?.focus();
  }

  close(): void {
    this.list.hidden = true;
    attribute(this.button, "aria-expanded", "false");
    document.removeEventListener("pointerdown", this.outside, true);
  }
}

export function menuItem(label: string, help: string, onclick: () => void, data: Record<string, string> = {}): HTMLElement {
  return h("button.item", { onclick, ...data }, h("b", null, label), help ? h("span", null, help) : null);
}
