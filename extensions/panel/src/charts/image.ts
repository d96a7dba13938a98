/** Pictures in a row, each with its label, and lines of text. */
import { h } from "../dom";
import type { ChartData, ImageChart, Picture, TextChart } from "../protocol";
import type { Plot } from "./plot";
import { slice } from "./series";

export class ImagePlot implements Plot {
  readonly kind = "image";
  private row = h("div.images");

  constructor(
    place: HTMLElement,
    private size: () => { width: number; height: number },
  ) {
    place.append(this.row);
  }

  get inner(): number {
    return Math.max(16, Math.round(this.size().width));
  }

  update(data: ChartData, floats: Float32Array): void {
    const chart = data as ImageChart;
    const figures = [...this.row.children] as HTMLElement[];
    chart.images.forEach((picture, i) => {
      const figure = figures[i] ?? this.row.appendChild(h("figure", null, h("canvas", { role: "img" }), h("figcaption")));
      const canvas = figure.firstElementChild as HTMLCanvasElement;
      paint(canvas, picture, slice(floats, picture.data));
      canvas.setAttribute("aria-label", [picture.label, picture.caption].filter(Boolean).join(": "));
      const words = [picture.label, picture.caption].filter(Boolean).join("\n");
      if (figure.lastElementChild && figure.lastElementChild.textContent !== words) figure.lastElementChild.textContent = words;
      figure.title = words;
    });
    for (const extra of figures.slice(chart.images.length)) extra.remove();
  }

  refresh(): void {
    /* pictures have no theme */
  }

  destroy(): void {
    this.row.remove();
  }
}

function paint(canvas: HTMLCanvasElement, picture: Picture, data: Float32Array): void {
  const { width, height, channels } = picture;
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const image = new ImageData(Math.max(1, width), Math.max(1, height));
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) image.data[i * 4 + c] = Math.round(255 * (data[i * channels + (channels >= 3 ? c : 0)] ?? 0));
    image.data[i * 4 + 3] = 255;
  }
  canvas.getContext("2d")?.putImageData(image, 0, 0);
}

export class TextPlot implements Plot {
  readonly kind = "text";
  private box = h("pre.lines", { tabindex: "0" });

  constructor(
    place: HTMLElement,
    private size: () => { width: number; height: number },
  ) {
    place.append(this.box);
  }

  get inner(): number {
    return Math.max(16, Math.round(this.size().width));
  }

  update(data: ChartData): void {
    const words = (data as TextChart).lines.join("\n");
    if (this.box.textContent !== words) this.box.textContent = words;
  }

  refresh(): void {
    /* words follow the page's colours by themselves */
  }

  destroy(): void {
    this.box.remove();
  }
}
