/** Values as colours: one hue from light to dark, or two that part from a neutral value; and the bar that explains them. */
import { number } from "../format";
import { mix, type Theme } from "../theme";
import type { Box } from "./canvas";

const APART = 11; // pixels between two words beside the bar

export class Shades {
  readonly ends: [number, number];
  private center: number | null;

  constructor(
    private theme: Theme,
    [low, high]: [number, number],
    private log = false,
    center: number | null = null,
  ) {
    this.ends = low < high ? [low, high] : [low - 0.5, high + 0.5];
    this.center = center !== null && this.ends[0] < center && center < this.ends[1] ? center : null;
  }

  of(value: number): string {
    const { theme, center } = this;
    const [low, high] = this.ends;
    if (center !== null) return mix(theme.color("bg2"), theme.color(value < center ? "blue" : "verm"), clamped(value < center ? (center - value) / (center - low) : (value - center) / (high - center)));
    return sequential(theme, this.share(value));
  }

  /** Right of the box, with its ends (and what is neutral) named. */
  bar(ctx: CanvasRenderingContext2D, box: Box): void {
    const [low, high] = this.ends;
    const x = box.left + box.width + 10;
    const at = (i: number): number => (this.log && low > 0 ? low * (high / low) ** (1 - i / box.height) : high - ((high - low) * i) / box.height);
    for (let i = 0; i < box.height; i++) {
      ctx.fillStyle = this.of(at(i));
      ctx.fillRect(x, box.top + i, 7, 1);
    }
    ctx.fillStyle = this.theme.color("ink3");
    ctx.textAlign = "left";
    const [top, bottom] = [box.top + 4, box.top + box.height - 4];
    ctx.fillText(number(high, 2), x + 10, top);
    ctx.fillText(number(low, 2), x + 10, bottom);
    const y = this.center === null ? NaN : box.top + box.height * (1 - (this.center - low) / (high - low));
    if (y - top >= APART && bottom - y >= APART) ctx.fillText(number(this.center), x + 10, y);
  }

  private share(value: number): number {
    const [low, high] = this.ends;
    if (this.log && low > 0) return (Math.log(Math.max(value, low)) - Math.log(low)) / (Math.log(high) - Math.log(low));
    return clamped((value - low) / (high - low));
  }
}

const clamped = (share: number): number => Math.min(1, Math.max(0, share));

/** One hue from the paper to the ink: readable for colour-blind eyes and in print. */
function sequential(theme: Theme, share: number): string {
  const mid = theme.color("blue");
  const end = theme.mode === "light" ? mix(mid, "#001428", 0.75) : mix(mid, "#ffffff", 0.75);
  return share < 0.6 ? mix(theme.color("bg2"), mid, share / 0.6) : mix(mid, end, (share - 0.6) / 0.4);
}
