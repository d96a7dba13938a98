/** The messages between the panel and its feed. Frames carry one buffer of float32; `Slot` points into it. */

export type Slot = [offset: number, length: number];
export type Value = number | string | boolean | null;
export type Values = Record<string, Value>;
export type When = "live" | "stage" | "launch";

export interface Control {
  name: string;
  label: string;
  kind: "float" | "int" | "bool" | "choice" | "text";
  default: Value;
  min: number | null;
  max: number | null;
  exclusive_min: boolean;
  scale: "linear" | "log" | "log2";
  unit: string;
  step: number | null;
  when: When;
  stage: string;
  when_text: string;
  choices: string[];
  help: string;
  group: string;
  fork: boolean;
}

export interface Named {
  name: string;
  label: string;
  help: string;
}

export interface Arm extends Named {
  role: string;
  overrides: Values;
}

export interface Preset {
  name: string;
  help: string;
  steps: number | null;
  arms: string[];
  overrides: Values;
}

export interface ChartSpec {
  id: string;
  title: string;
  subtitle: string;
  kind: string;
  unit: string;
  scale: string;
  group: string;
  tab: string;
  per_run: boolean;
}

export interface Spec {
  type: "spec";
  view: string;
  protocol: number;
  experiment: {
    id: string;
    title: string;
    subtitle: string;
    phenomenon: string;
    remedy: string;
    paper: { title: string; venue: string; year: number; url: string };
    reconstruction: string;
    notes: string[];
  };
  controls: Control[];
  arms: Arm[];
  presets: Preset[];
  defaults: { preset: string; arms: string[]; seed: number };
  actions: Named[];
  probes: Named[];
  charts: ChartSpec[];
  store: string;
}

export interface Pending {
  seq: number;
  kind: string;
  values: Values;
  at_step: number | null;
  age_s: number;
}

export interface Run {
  id: string;
  arm: string;
  label: string;
  color: number;
  state: string;
  message: string;
  step: number;
  steps: number | null;
  rate: number | null;
  eta_s: number | null;
  seed: number;
  preset: string;
  started: number | null;
  exact: { ok: boolean; text: string } | null;
  values: Values;
  pending: Pending[];
  launch: Values;
  /** How it came to be: "fork" and "replay" have a parent. */
  kind: "" | "fork" | "replay";
  parent: string;
  fork_step: number | null;
  name: string;
  star: boolean;
  note: string;
  archived: boolean;
  /** Bytes of its folder. */
  disk: number;
}

export interface Finding {
  run: string;
  key: string;
  id: string;
  title: string;
  first: number;
  last: number | null;
  severity: string | number;
  sentence: string;
  remedy: string;
  signals: string[];
  charts: string[];
}

export interface Intervention {
  run: string;
  seq: number;
  kind: string;
  name?: string;
  old: Values;
  new: Values;
  step: number | null;
  at_step: number | null;
  outcome: "applied" | "refused" | "superseded" | "expired";
  reason: string;
  source: string;
  time: number;
}

export interface LogLine {
  run: string;
  time: number;
  step: number | null;
  level: string;
  text: string;
}

export type Color = { run: number } | { token: string };

export interface LineSeries {
  key: string;
  run: string;
  label: string;
  signal: string;
  color: Color;
  shade: number;
  dash: boolean;
  axis: "left" | "right";
  mean: Slot;
  lo: Slot | null;
  hi: Slot | null;
  gaps: boolean;
  nonfinite: number[];
}

export interface Reference {
  value: number;
  label: string;
}

interface ChartHead {
  id: string;
  version: number;
  title?: string;
  subtitle?: string;
  empty: string | null;
  xdomain: [number, number];
  ydomain: [number, number] | null;
  scale: string;
  unit: string;
  references: Reference[];
  note?: string | null;
  component?: number | null;
  /** Names of those that can be chosen. */
  components?: string[];
  run?: string | null;
  step?: number | null;
}

export interface LineChart extends ChartHead {
  kind: "line" | "area";
  x: { at: Slot; base: number };
  series: LineSeries[];
  bands: { lo: string; hi: string; run: string }[];
}

export interface BarsChart extends ChartHead {
  kind: "bars";
  labels: string[];
  series: { key: string; run: string; label: string; color: Color; values: Slot }[];
}

export interface HistogramChart extends ChartHead {
  kind: "histogram";
  edges: [number, number, number];
  series: { key: string; run: string; label: string; color: Color; counts: Slot }[];
}

export interface GridChart extends ChartHead {
  kind: "heatmap" | "matrix";
  rows: string[];
  columns?: string[];
  x?: { at: Slot; base: number } | null;
  values: Slot;
  vdomain: [number, number] | null;
  /** The neutral value, from which the colours part to two sides. */
  center?: number | null;
}

export interface TernaryChart extends ChartHead {
  kind: "ternary";
  corners: string[];
  vlabel: string;
  /** Three a point, one point after another. */
  weights: Slot;
  values: Slot;
  vdomain: [number, number] | null;
  /** Where the runs themselves lie. */
  series: { key: string; run: string; label: string; color: Color; at: [number, number, number] }[];
}

export interface ScatterChart extends ChartHead {
  kind: "scatter";
  xlabel: string;
  xunit: string;
  ylabel: string;
  yunit: string;
  series: { key: string; run: string; label: string; color: Color; x: Slot; y: Slot; step: number; labels: string[]; apart: string; path_x: Slot | null; path_y: Slot | null }[];
}

export interface Picture {
  label: string;
  caption: string;
  width: number;
  height: number;
  channels: number;
  data: Slot;
}

export interface ImageChart extends ChartHead {
  kind: "image";
  images: Picture[];
}

export interface TextChart extends ChartHead {
  kind: "text";
  lines: string[];
}

export interface ResponsesChart extends ChartHead {
  kind: "responses";
  responses: { prompt: string; text: string; reward: number | null; note: string; grade: "good" | "fair" | "bad" | "" }[];
  /** Tokens to set apart. */
  marks: string[];
  /** A step was asked for; else the newest is followed. */
  held: boolean;
  earlier: number | null;
  later: number | null;
  newest: number | null;
}

export interface TokensChart extends ChartHead {
  kind: "tokens";
  pieces: string[];
  /** A number a piece; -1: none. */
  categories: Slot;
  names: string[];
  shares: number[];
}

export type ChartData = LineChart | BarsChart | HistogramChart | GridChart | ScatterChart | TernaryChart | ImageChart | TextChart | ResponsesChart | TokensChart;

export interface Frame {
  type: "frame";
  view: string;
  n: number;
  full: boolean;
  full_n?: number;
  at: number | null;
  time: number;
  runs: Run[];
  charts: ChartData[] | null;
  findings: Finding[];
  interventions: Intervention[];
  log: LogLine[];
  notice?: { level: string; text: string } | null;
}

export interface Reply {
  type: "reply";
  view: string;
  id: number;
  ok: boolean;
  error?: string;
  result?: unknown;
}

export interface RunRow {
  id: string;
  arm: string;
  state: string;
  started: number | null;
  group: string;
  steps: number | null;
  label?: string;
  preset?: string;
  seed?: number;
  step: number;
  kind?: string;
  parent?: string;
  star?: boolean;
  archived?: boolean;
}

/** What was done in one run and not in the other. */
export interface Done {
  step: number | null;
  kind: string;
  name?: string;
  new?: Values;
  text?: string;
}

/** How two runs differ. */
export interface Report {
  a: string;
  b: string;
  aligned_at: number | null;
  config: { differing: [string, Value, Value][]; identical: [string, Value][] };
  interventions: { a_only: Done[]; b_only: Done[]; both: Done[] | number };
  first_difference: { signal: string; step: number; a: Value; b: Value } | null;
  text: string;
}

export type Incoming = Spec | Frame | Reply;

export interface ChartWish {
  width: number;
  range: [number, number] | null;
  component: number | null;
  run: string | null;
}

export const RESTARTABLE = new Set(["stopped", "failed", "lost"]);
export const ACTIVE = new Set(["queued", "starting", "running", "paused"]);
