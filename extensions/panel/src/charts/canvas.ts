/** Ground of the charts that are drawn on a plain canvas: sharp lines, text, axes. */
import { h } from "../dom";
import type { Reference } from "../protocol";
import { AXIS_FONT, type Theme } from "../theme";
import { tickLabel, type Axis } from "../ticks";

export interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

export class Canvas {
  readonly element: HTMLCanvasElement;
  readonly ctx: CanvasRenderingContext2D;
  width = 0;
  height = 0;

  constructor(place: HTMLElement) {
    this.element = h("canvas.drawn", { role: "img" });
    place.append(this.element);
    const ctx = this.element.getContext("2d");
    if (!ctx) throw new Error("This browser draws no canvas.");
    this.ctx = ctx;
  }

  /** Cleared, in CSS pixels. */
  begin({ width, height }: { width: number; height: number }): CanvasRenderingContext2D {
    const ratio = devicePixelRatio || 1;
    const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.element.width !== w || this.element.height !== h) {
      this.element.width = w;
      this.element.height = h;
      this.element.style.width = `${String(width)}px`;
      this.element.style.height = `${String(height)}px`;
    }
    this.width = width;
    this.height = height;
    this.ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.ctx.clearRect(0, 0, width, height);
    this.ctx.font = AXIS_FONT;
    this.ctx.textBaseline = "middle";
    return this.ctx;
  }
}

export const fraction = (axis: Axis, log: boolean, value: number): number =>
  log
    ? (Math.log10(Math.max(value, axis.min * 1e-9)) - Math.log10(axis.min)) / (Math.log10(axis.max) - Math.log10(axis.min))
    : (value - axis.min) / (axis.max - axis.min);

/** Grid lines and labels of a y axis. */
export function yGrid(ctx: CanvasRenderingContext2D, box: Box, axis: Axis, log: boolean, theme: Theme): void {
  ctx.strokeStyle = theme.color("line");
  ctx.fillStyle = theme.color("ink3");
  ctx.textAlign = "right";
  ctx.lineWidth = 1;
  for (const tick of axis.ticks) {
    const y = Math.round(box.top + box.height * (1 - fraction(axis, log, tick))) + 0.5;
    ctx.beginPath();
    ctx.moveTo(box.left, y);
    ctx.lineTo(box.left + box.width, y);
    ctx.stroke();
    ctx.fillText(tickLabel(tick, log), box.left - 5, y);
  }
}

/** A line of text on a canvas: its ends and its middle. */
export type Words = [left: number, right: number, y: number];

/** Horizontal lines for orientation, with their names; returns where those stand. */
export function references(ctx: CanvasRenderingContext2D, box: Box, axis: Axis, log: boolean, refs: Reference[], theme: Theme): Words[] {
  const words: Words[] = [];
  for (const r of refs) {
    const y = Math.round(box.top + box.height * (1 - fraction(axis, log, r.value))) + 0.5;
    if (!(y >= box.top && y <= box.top + box.height + 1)) continue;
    ctx.setLineDash([2, 3]);
    ctx.strokeStyle = theme.color("grey");
    ctx.beginPath();
    ctx.moveTo(box.left, y);
    ctx.lineTo(box.left + box.width, y);
    ctx.stroke();
    ctx.setLineDash([]);
    ctx.fillStyle = theme.color("ink2");
    ctx.textAlign = "right";
    const [right, at] = [box.left + box.width - 2, y - box.top < 14 ? y + 8 : y - 7];
    ctx.fillText(r.label, right, at);
    words.push([right - ctx.measureText(r.label).width, right, at]);
  }
  return words;
}

export function xLabel(ctx: CanvasRenderingContext2D, text: string, x: number, y: number, low = 0, high = Infinity): void {
  const half = ctx.measureText(text).width / 2;
  ctx.textAlign = "center";
  ctx.fillText(text, Math.min(high - half, Math.max(low + half, x)), y);
}
