/** Dots on a canvas, found by the cursor or by the arrow keys; the one that is meant is "hot". */
import { h, text } from "../dom";
import { nearest, neighbour } from "./dots";

const REACH = 14; // pixels from which the cursor finds a dot

export interface Pointed {
  /** Where the dots are, in pixels; of equal ones the last lies on top. */
  places(): [number, number][];
  /** A dot in words, for those who do not see it. */
  words(i: number): string;
  /** Another one is hot. */
  changed(): void;
  /** Something else has the reader's eye. */
  quiet(): boolean;
  /** A dot was clicked, or Enter pressed on it. */
  pick?(i: number): void;
}

export class Pointer {
  hot = -1;
  private said = h("div.unseen", { role: "status" });

  constructor(
    place: HTMLElement,
    private element: HTMLElement,
    private dots: Pointed,
  ) {
    place.append(this.said);
    element.tabIndex = 0;
    element.setAttribute("aria-keyshortcuts", `ArrowLeft ArrowRight${dots.pick ? " Enter" : ""}`);
    const under = (e: MouseEvent): number => nearest(dots.places(), e.offsetX, e.offsetY, REACH);
    element.addEventListener("pointermove", (e) => { this.point(under(e)); });
    element.addEventListener("pointerleave", () => { this.point(-1); });
    element.addEventListener("blur", () => { this.point(-1); });
    element.addEventListener("click", (e) => { this.pick(under(e)); });
    element.addEventListener("keydown", (e) => { this.key(e); });
  }

  destroy(): void {
    this.said.remove();
  }

  private point(i: number): void {
    if (i === this.hot || this.dots.quiet()) return;
    this.hot = i;
    this.element.style.cursor = i >= 0 && this.dots.pick ? "pointer" : "";
    this.dots.changed();
  }

  private key(e: KeyboardEvent): void {
    const way = e.key === "ArrowRight" || e.key === "ArrowDown" ? 1 : e.key === "ArrowLeft" || e.key === "ArrowUp" ? -1 : 0;
    if (way) {
      e.preventDefault();
      this.point(neighbour(this.dots.places(), this.hot, way));
      text(this.said, this.hot >= 0 ? this.dots.words(this.hot) : "");
    } else if ((e.key === "Enter" || e.key === " ") && this.hot >= 0) {
      e.preventDefault();
      this.pick(this.hot);
    }
  }

  private pick(i: number): void {
    if (i >= 0) this.dots.pick?.(i);
  }
}
