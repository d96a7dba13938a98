/** What a cell of the grid asks of a drawing, whatever its kind. */
import type { ChartData, Finding, Intervention, Run } from "../protocol";
import type { Theme } from "../theme";

/** What all charts of a panel share: the look, the time, the cursor. */
export interface Scene {
  theme: Theme;
  runs: Run[];
  hidden: Set<string>;
  findings: Finding[];
  interventions: Intervention[];
  /** Steps shown, when zoomed. */
  range: [number, number] | null;
  at: number | null;
  syncKey: string;
  hotFinding: string | null;
  zoom(range: [number, number] | null): void;
  describe(item: Intervention): string;
  /** Something is open over the charts: no box follows the cursor. */
  quiet: boolean;
  /** A curve was clicked. */
  pick(pick: Pick): void;
}

/** A point of a curve that somebody clicked. */
export interface Pick {
  /** The plot's own area, and where in it the curve's point lies, in pixels from its corner. */
  over: HTMLElement;
  x: number;
  y: number;
  step: number;
  run: string;
  runLabel: string;
  label: string;
  value: string;
  swatch: string;
}

export interface Plot {
  readonly kind: string;
  /** Draw now. */
  update(data: ChartData, floats: Float32Array): void;
  /** The scene changed, the data did not. */
  refresh(): void;
  /** Steps of the plot's own width in CSS pixels. */
  readonly inner: number;
  destroy(): void;
}

/** The caption's spare place, where a chart says what stands under the (shared) cursor. */
export type Readout = (text: { swatch: string; text: string }[] | null) => void;

/** Ask for one step's data instead of the newest; null: follow the newest again. */
export type Hold = (step: number | null) => void;

export const hasArea = (kind: string): boolean => kind === "line" || kind === "area";
