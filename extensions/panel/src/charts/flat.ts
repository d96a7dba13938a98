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
  private chart: ImageChart | null = null;

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
    this.chart = chart;
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

  /** The largest side at which all pictures fit. */
  refresh(): void {
    const n = this.chart?.images.length ?? 0;
    const { width, height } = this.size();
    let side = 24;
    for (let columns = 1; columns <= n; columns++) {
      const rows = Math.ceil(n / columns);
      side = Math.max(side, Math.min((width - 8) / columns - 8, (height - 6) / rows - 22));
    }
    this.box.style.setProperty("--side", `${String(Math.floor(side))}px`);
  }

  destroy(): void {
    this.box.remove();
  }
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
