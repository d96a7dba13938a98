/** Small pieces of messages for tests. */
import type { Control, Frame, Intervention, Run } from "../src/protocol";

export function control(more: Partial<Control>): Control {
  return {
    name: "epsilon", label: "epsilon", kind: "float", default: 0.1, min: null, max: null, exclusive_min: false, scale: "linear", unit: "",
    step: null, when: "live", stage: "", when_text: "live", choices: [], help: "", group: "", fork: false, ...more,
  };
}

export function run(id: string, more: Partial<Run> = {}): Run {
  return {
    id, arm: id, label: id, color: 0, state: "running", message: "", step: 100, steps: 1000, rate: 10, eta_s: 90, seed: 0, preset: "tour",
    started: 0, exact: null, values: { epsilon: 0.1 }, pending: [], launch: {},
    kind: "", parent: "", fork_step: null, name: "", star: false, note: "", archived: false, disk: 0, ...more,
  };
}

export function intervention(more: Partial<Intervention>): Intervention {
  return { run: "a", seq: 1, kind: "set", old: { epsilon: 0.1 }, new: { epsilon: 0.12 }, step: 2871, at_step: null, outcome: "applied", reason: "", source: "panel", time: 0, ...more };
}

export function frame(more: Partial<Frame> = {}): Frame {
  return { type: "frame", view: "v", n: 1, full: false, full_n: 0, at: null, time: 0, runs: [run("a")], charts: null, findings: [], interventions: [], log: [], ...more };
}
