/** Pictures and text: what needs no axes. */
import { attribute, h, rebuilt, text } from "../dom";
import type { ChartData, ImageChart, Picture, TextChart } from "../protocol";
import type { Plot, Readout, Scene } from "./plot";
import { slice } from "./series";

type Size = () => { width: number; height: number };

export class ImagePlot implements Plot {
  readonly kind = "image";
  readonly inner = 256;
  private box = h("div.pictures");
  private canvases: HTMLCanvasElement[] = [];
  private captions: HTMLElement[] = [];

  constructor(
    place: HTMLElement,
    _scene: Scene,
    _readout: Readout,
    private size: Size,
  ) {
    place.append(this.box);
  }

  update(data: ChartData, floats: Float32Array): void {
    const chart = data as ImageChart;
    rebuilt(this.box, String(chart.images.length), () => {
      this.canvases = chart.images.map(() => h("canvas", { role: "img" }) as HTMLCanvasElement);
      this.captions = chart.images.map(() => h("span"));
      return this.canvases.map((canvas, i) => h("div.picture", null, canvas, this.captions[i]));
    });
    chart.images.forEach((image, i) => {
      const canvas = this.canvases[i];
      const caption = this.captions[i];
      if (!canvas || !caption) return;
      paint(canvas, image, slice(floats, image.data));
      attribute(canvas, "aria-label", `${image.label} ${image.caption}`);
      attribute(canvas, "title", `${image.label} ${image.caption}`);
      text(caption, image.caption || image.label);
    });
    this.refresh();
  }

  refresh(): void {
    const { side, lines } = pictureSize(this.captions.map((c) => c.textContent.length), this.size());
    this.box.style.setProperty("--side", `${String(side)}px`);
    this.box.style.setProperty("--caption-lines", String(lines));
  }

  destroy(): void {
    this.box.remove();
  }
}

const LINE = 14; // height of a caption's line, and
const LETTER = 5.8; // about the width of a letter in it
const LINES = 3;

/** The largest side at which all pictures fit with their captions (of so many letters), on up to three lines each. */
export function pictureSize(letters: readonly number[], { width, height }: { width: number; height: number }): { side: number; lines: number } {
  const longest = Math.max(1, ...letters);
  let best = { side: 24, lines: 1 };
  for (let columns = 1; columns <= letters.length; columns++)
    for (let lines = 1; lines <= LINES; lines++) {
      const rows = Math.ceil(letters.length / columns);
      const side = Math.floor(Math.min((width - 8) / columns - 8, (height - 6) / rows - 8 - LINE * lines));
      if (side > best.side && (lines === LINES || (longest * LETTER) / side <= lines)) best = { side, lines };
    }
  return best;
}

function paint(canvas: HTMLCanvasElement, image: Picture, data: Float32Array): void {
  const { width, height, channels } = image;
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const pixels = new ImageData(width, height);
  for (let p = 0; p < width * height; p++) {
    for (let c = 0; c < 3; c++) pixels.data[p * 4 + c] = Math.round((data[p * channels + (channels >= 3 ? c : 0)] ?? 0) * 255);
    pixels.data[p * 4 + 3] = 255;
  }
  canvas.getContext("2d")?.putImageData(pixels, 0, 0);
}

export class TextPlot implements Plot {
  readonly kind = "text";
  readonly inner = 256;
  private box = h("div.lines.num");

  constructor(place: HTMLElement) {
    place.append(this.box);
  }

  update(data: ChartData): void {
    const { lines } = data as TextChart;
    rebuilt(this.box, lines.join("\n"), () => lines.map((l) => h("div", null, l)));
  }

  refresh(): void {
    // nothing here depends on the scene
  }

  destroy(): void {
    this.box.remove();
  }
}
