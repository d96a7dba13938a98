/** Which drawing a kind of chart gets. */
import { BarsPlot, HistogramPlot } from "./bars";
import { ImagePlot, TextPlot } from "./flat";
import { GridPlot } from "./grid";
import { LinePlot } from "./line";
import type { Hold, Plot, Readout, Scene } from "./plot";
import { ResponsesPlot } from "./responses";
import { ScatterPlot } from "./scatter";
import { TernaryPlot } from "./ternary";
import { TokensPlot } from "./tokens";

type Maker = new (place: HTMLElement, scene: Scene, readout: Readout, size: () => { width: number; height: number }, hold: Hold) => Plot;

export const PLOTS: Record<string, Maker> = {
  line: LinePlot,
  area: LinePlot,
  bars: BarsPlot,
  histogram: HistogramPlot,
  heatmap: GridPlot,
  matrix: GridPlot,
  scatter: ScatterPlot,
  ternary: TernaryPlot,
  image: ImagePlot,
  text: TextPlot,
  responses: ResponsesPlot,
  tokens: TokensPlot,
};
