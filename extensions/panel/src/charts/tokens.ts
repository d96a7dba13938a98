/** A stretch of text, each token on the ground of its category; the legend says how many each has, and singles one out. */
import { attribute, h, rebuilt, text } from "../dom";
import type { ChartData, TokensChart } from "../protocol";
import { look, percent, shown } from "./categories";
import type { Plot, Readout, Scene } from "./plot";
import { slice } from "./series";

export class TokensPlot implements Plot {
  readonly kind = "tokens";
  readonly inner = 256;
  private chart: TokensChart | null = null;
  private categories: Float32Array = new Float32Array();
  private only: number | null = null;
  private keys: HTMLElement[] = [];
  private spans: HTMLElement[] = [];
  private legend = h("div.tokens-legend", { role: "group", "aria-label": "Categories: press one to single it out" });
  private body = h("div.tokens");
  private box = h("div.tokens-box", null, this.legend, h("div.tokens-view", { tabindex: 0, role: "group", "aria-label": "The text" }, this.body));

  constructor(
    place: HTMLElement,
    private scene: Scene,
    private readout: Readout,
  ) {
    this.body.addEventListener("pointerover", (e) => { this.point(this.spans.indexOf((e.target as HTMLElement).closest(".tok") as HTMLElement)); });
    this.body.addEventListener("pointerleave", () => { readout(null); });
    place.append(this.box);
  }

  update(data: ChartData, floats: Float32Array): void {
    const chart = (this.chart = data as TokensChart);
    this.categories = slice(floats, chart.categories);
    this.box.hidden = !chart.pieces.length;
    rebuilt(this.legend, JSON.stringify(chart.names), () => {
      if (this.only !== null && this.only >= chart.names.length) this.only = null;
      return (this.keys = [...chart.names.keys(), -1].map((c) => this.key(c)));
    });
    this.keys.forEach((key, i) => {
      const none = 1 - chart.shares.reduce((sum, share) => sum + share, 0);
      key.hidden = i >= chart.shares.length && none < 1e-6;
      text(key.lastElementChild as Element, percent(chart.shares[i] ?? none));
    });
    rebuilt(this.body, JSON.stringify(chart.pieces), () => {
      return (this.spans = chart.pieces.map((piece) => h("span.tok", null, ...shown(piece).flatMap((part) => [part.chip ? h("span.token-chip", null, part.text) : part.text, part.ends && h("br")]))));
    });
    this.refresh();
  }

  refresh(): void {
    this.spans.forEach((span, i) => { this.dress(span, this.categories[i] ?? -1); });
    this.keys.forEach((key) => { attribute(key, "aria-pressed", String(Number(key.dataset["category"]) === this.only)); });
    this.body.classList.toggle("singled", this.only !== null);
  }

  destroy(): void {
    this.readout(null);
    this.box.remove();
  }

  private key(category: number): HTMLElement {
    const name = this.name(category);
    const sample = h("i.tok");
    this.dress(sample, category);
    return h("button.tokens-key", { "data-category": category, title: `Show only ${name}`, onclick: () => { this.single(category); } }, sample, h("span.tokens-name", null, name), h("span.tokens-share.num"));
  }

  private dress(element: HTMLElement, category: number): void {
    if (element.dataset["c"] !== String(category)) {
      element.dataset["c"] = String(category);
      const { color, tone } = look(category);
      attribute(element, "style", category < 0 ? null : `--c:var(--run${String(color)})`);
      attribute(element, "data-tone", category < 0 ? null : tone);
    }
    element.classList.toggle("only", category === this.only);
  }

  private single(category: number): void {
    this.only = this.only === category ? null : category;
    this.refresh();
  }

  private name(category: number): string {
    return category < 0 ? "none" : (this.chart?.names[category] ?? String(category + 1));
  }

  private point(i: number): void {
    const span = this.spans[i];
    if (!span) {
      this.readout(null);
      return;
    }
    const category = this.categories[i] ?? -1;
    const words = `“${this.chart?.pieces[i]?.replaceAll("\n", "⏎") ?? ""}” ${this.name(category)}`;
    attribute(span, "title", words);
    this.readout([{ swatch: category < 0 ? "transparent" : this.scene.theme.run(category), text: words }]);
  }
}
