/** A slider over a control's range, with its value beside it that turns into an entry on a click. */
import { attribute, h, text } from "./dom";
import { withUnit } from "./format";
import type { Control } from "./protocol";
import { clamp, parseEntry, sliderScale, type SliderScale } from "./scale";

export class Slider {
  readonly range: HTMLInputElement;
  readonly value: HTMLButtonElement;
  readonly entry: HTMLInputElement;
  dragging = false;
  private current = NaN;
  private scale: SliderScale | null = null;

  constructor(
    private control: Control,
    id: string,
    private moved: (value: number, final: boolean) => void,
    private wrong: (sentence: string) => void,
  ) {
    this.range = h("input.range", { type: "range", id, min: 0, max: 1000, step: 1, "aria-label": control.label });
    this.value = h("button.value.num", { title: "Type a value", onclick: () => { this.edit(); } });
    this.entry = h("input.entry.num", { type: "text", inputmode: "decimal", hidden: true, "aria-label": `${control.label}, value` });
    this.range.addEventListener("pointerdown", () => { this.dragging = true; });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture", "blur"]) this.range.addEventListener(end, () => { this.dragging = false; });
    this.range.addEventListener("input", () => { this.take(this.scale?.toValue(Number(this.range.value)) ?? this.current, false); });
    this.range.addEventListener("keydown", (e) => { this.onKey(e); });
    this.entry.addEventListener("keydown", (e) => {
      if (e.key === "Enter") {
        e.preventDefault(); // or the key would press the value, which has the focus next
        this.commit();
        this.value.focus();
      } else if (e.key === "Escape") {
        e.stopPropagation();
        this.closeEntry();
        this.value.focus();
      }
    });
    this.entry.addEventListener("blur", () => { if (!this.entry.hidden) this.commit(); });
  }

  show(value: number | null): void {
    if (value === this.current) return;
    this.current = value ?? NaN;
    this.scale = sliderScale(this.control, value);
    this.range.hidden = !this.scale;
    if (this.scale) {
      attribute(this.range, "max", this.scale.units);
      const position = value == null ? 0 : this.scale.toPosition(value);
      // a position between two notches is kept: the thumb stands where the value is
      attribute(this.range, "step", Number.isInteger(position) ? 1 : "any");
      this.range.value = String(position);
    }
    this.words(value);
  }

  disable(disabled: boolean): void {
    this.range.disabled = disabled;
    this.value.disabled = disabled;
  }

  private words(value: number | null): void {
    const said = withUnit(this.control, value);
    text(this.value, said);
    attribute(this.range, "aria-valuetext", said);
    this.range.style.setProperty("--p", `${String((Number(this.range.value) / (this.scale?.units ?? 1)) * 100)}%`);
  }

  private take(value: number, final: boolean): void {
    this.current = value;
    this.words(value);
    this.moved(value, final);
  }

  private onKey(e: KeyboardEvent): void {
    const scale = this.scale;
    const moves: Record<string, number> = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 };
    const move = moves[e.key];
    if (!scale || (move === undefined && e.key !== "Home" && e.key !== "End")) {
      if (e.key === "Enter" && scale) this.edit();
      return;
    }
    e.preventDefault();
    const start = scale.toPosition(this.current);
    const step = e.shiftKey ? 1 : scale.key;
    let position = e.key === "Home" ? 0 : e.key === "End" ? scale.units : clamp(start + (move ?? 0) * step, 0, scale.units);
    let value = scale.toValue(position);
    // rounding may swallow a small step: go on until the value moves
    for (let i = 0; i < 200 && value === this.current && position > 0 && position < scale.units; i++) value = scale.toValue((position = clamp(position + Math.sign(move ?? 0), 0, scale.units)));
    this.range.value = String(Math.round(position));
    this.take(value, false);
  }

  private edit(): void {
    this.entry.value = Number.isFinite(this.current) ? String(this.current) : "";
    this.value.hidden = true;
    this.entry.hidden = false;
    this.entry.focus();
    this.entry.select();
  }

  private closeEntry(): void {
    this.entry.hidden = true;
    this.value.hidden = false;
  }

  private commit(): void {
    const parsed = parseEntry(this.control, this.entry.value);
    this.closeEntry();
    if ("error" in parsed) this.wrong(parsed.error);
    else if (parsed.value !== this.current) {
      this.take(parsed.value, true);
      const position = this.scale?.toPosition(parsed.value);
      if (position !== undefined) this.range.value = String(position);
    }
  }
}
