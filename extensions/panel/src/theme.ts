/** Light or dark, and the design tokens as CSS variables and as colours for canvases. */
import tokens from "../../../workbench/figures/tokens.json";
import type { Color } from "./protocol";

export type TokenName = keyof typeof tokens.light;
export type Mode = "light" | "dark";

export class Theme {
  readonly colors: Record<string, string>;

  constructor(
    readonly mode: Mode,
    /** The host's own name for it: two dark themes may differ in what surrounds us. */
    readonly name: string,
  ) {
    this.colors = tokens[mode];
  }

  color(name: TokenName): string {
    return this.colors[name] ?? "#888888";
  }

  run(index: number): string {
    return this.colors[tokens.runs[index % tokens.runs.length] ?? "blue"] ?? "#888888";
  }

  /** A series' colour; `shade` below 1 moves it towards the background (components of a vector, light to dark). */
  series(color: Color, shade = 1): string {
    const full = "run" in color ? this.run(color.run) : (this.colors[color.token] ?? this.color("ink2"));
    return shade >= 1 ? full : mix(this.color("bg"), full, 0.32 + 0.68 * shade);
  }

  css(): string {
    const vars = Object.entries(this.colors).map(([name, value]) => `--${name.replaceAll("_", "-")}:${value}`);
    tokens.runs.forEach((name, i) => vars.push(`--run${String(i)}:${this.colors[name] ?? ""}`));
    return `:host{${vars.join(";")};color-scheme:${this.mode}}`;
  }
}

export const LINE_WIDTH = tokens.stroke.line;
export const BAND_ALPHA = tokens.stroke.band;
export const AXIS_FONT = `${String(tokens.font.axis)}px ${tokens.font.family}`;
export const SMALL_FONT = `600 9px ${tokens.font.family}`;
export const FONT_CSS = `:host{--font:${tokens.font.family}}`;

/** `share` of b in a, both #rrggbb. */
export function mix(a: string, b: string, share: number): string {
  const part = (s: string, i: number): number => parseInt(s.slice(i, i + 2), 16);
  const channel = (i: number): string =>
    Math.round(part(a, i) * (1 - share) + part(b, i) * share)
      .toString(16)
      .padStart(2, "0");
  return `#${channel(1)}${channel(3)}${channel(5)}`;
}

export function alpha(color: string, opacity: number): string {
  return color + Math.round(opacity * 255).toString(16).padStart(2, "0");
}

export function currentTheme(): Theme {
  const { jpThemeName, jpThemeLight } = document.body.dataset;
  if (jpThemeLight != null) return new Theme(jpThemeLight === "true" ? "light" : "dark", jpThemeName ?? jpThemeLight);
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  return new Theme(dark ? "dark" : "light", dark ? "dark" : "light");
}

/** Calls back with each new theme; returns the way to stop. */
export function watchTheme(changed: (theme: Theme) => void): () => void {
  let name = currentTheme().name;
  const look = (): void => {
    const theme = currentTheme();
    if (theme.name === name) return;
    name = theme.name;
    changed(theme);
  };
  const observer = new MutationObserver(look);
  observer.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-name", "data-jp-theme-light"] });
  const media = matchMedia("(prefers-color-scheme: dark)");
  media.addEventListener("change", look);
  return () => {
    observer.disconnect();
    media.removeEventListener("change", look);
  };
}
