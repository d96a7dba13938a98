/** Numbers and times as words: thousands separators, few digits, units. */
import type { Control, Intervention, Value } from "./protocol";
import { grain } from "./scale";

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const SUPERSCRIPT = "⁰¹²³⁴⁵⁶⁷⁸⁹";

export const count = (n: number): string => whole.format(n);

/** 10⁻³ for -3. */
export function power(exponent: number): string {
  if (exponent === 0) return "1";
  if (exponent === 1) return "10";
  const digits = [...String(Math.abs(exponent))].map((d) => SUPERSCRIPT[Number(d)]).join("");
  return `10${exponent < 0 ? "⁻" : ""}${digits}`;
}

/** A measured number with about `digits` significant digits: 43.1, 8.70×10⁴, 0.0123. */
export function number(x: number | null | undefined, digits = 3): string {
  if (x == null || !Number.isFinite(x)) return x == null ? "–" : Number.isNaN(x) ? "NaN" : x > 0 ? "∞" : "−∞";
  if (x === 0) return "0";
  const size = Math.abs(x);
  if (size >= 1e6 || size < 1e-3) {
    const exponent = Math.floor(Math.log10(size));
    return `${minus((x / 10 ** exponent).toFixed(digits - 1))}×${power(exponent)}`;
  }
  if (size >= 1000) return minus(whole.format(x));
  return minus(x.toFixed(Math.max(0, digits - 1 - Math.floor(Math.log10(size)))));
}

const minus = (s: string): string => s.replace("-", "−");

/** A control's value without its unit: 0.120, 5.0e-4, 4,700, every_layer. */
export function bare(control: Control, value: Value | undefined): string {
  if (value == null) return "–";
  if (typeof value === "boolean") return value ? "on" : "off";
  if (typeof value === "string") return value;
  if (control.kind === "int") return count(value);
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(1);
  if (control.scale !== "linear") return String(Number(value.toPrecision(3)));
  const fixed = value.toFixed(Math.max(0, Math.ceil(-Math.log10(grain(control)) - 1e-9)));
  // a value typed with more digits than the slider has is shown as typed
  return Math.abs(Number(fixed) - value) > size * 1e-6 ? String(Number(value.toPrecision(6))) : fixed;
}

/** With its unit. */
export function withUnit(control: Control, value: Value | undefined): string {
  const text = bare(control, value);
  return control.unit && typeof value === "number" ? `${text} ${control.unit}` : text;
}

/** 47 s, 3 min 20 s, 2 h 5 min. */
export function duration(seconds: number): string {
  if (seconds < 0.95) return "under 1 s";
  if (seconds < 90) return `${String(Math.round(seconds))} s`;
  if (seconds < 3600) {
    const s = Math.round(seconds / 10) * 10;
    return s % 60 ? `${String(Math.floor(s / 60))} min ${String(s % 60)} s` : `${String(s / 60)} min`;
  }
  const min = Math.round(seconds / 60);
  return `${String(Math.floor(min / 60))} h ${String(min % 60)} min`;
}

/** 38 steps/s, 0.25 steps/s, 1,240 steps/s. */
export function rate(stepsPerSecond: number): string {
  return `${stepsPerSecond >= 9.5 ? count(stepsPerSecond) : number(stepsPerSecond, 2)} steps/s`;
}

/** Clock time of a moment in seconds since 1970. */
export function clock(time: number): string {
  return new Date(time * 1000).toLocaleTimeString("en-GB");
}

export function ago(time: number, now = Date.now() / 1000): string {
  const s = Math.max(0, now - time);
  if (s < 60) return "just now";
  if (s < 3600) return `${String(Math.round(s / 60))} min ago`;
  if (s < 86400) return `${String(Math.round(s / 3600))} h ago`;
  return `${String(Math.round(s / 86400))} d ago`;
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

/** 640 kB, 12.3 MB, 1.2 GB. */
export function bytes(n: number): string {
  if (n < 1e6) return `${count(Math.ceil(n / 1000))} kB`;
  return n < 1e9 ? `${number(n / 1e6)} MB` : `${number(n / 1e9)} GB`;
}

/** An intervention in words: "target ε 0.100 → 0.120", "pause". */
export function inWords(item: Intervention, controls: Control[]): string {
  if (item.kind !== "set") return item.name ? `${item.kind} ${item.name}` : item.kind;
  return Object.entries(item.new).map(([name, value]) => {
    const control = controls.find((c) => c.name === name);
    return control ? `${control.label} ${name in item.old ? `${bare(control, item.old[name])} → ` : ""}${bare(control, value)}` : `${name} ${String(value)}`;
  }).join(", ");
}
