/** Development page: the panel over a transport that makes its data up. ?runs=0&charts=4&step=2914&theme=dark&width=848&chart=errors */
import { mount } from "../src/mount";
import { FakeTransport } from "./fake";

const ask = new URLSearchParams(location.search);
const number = (name: string, otherwise: number): number => Number(ask.get(name) ?? otherwise);
const dark = ask.get("theme") === "dark";
document.body.dataset["jpThemeName"] = dark ? "JupyterLab Dark" : "JupyterLab Light";
document.body.dataset["jpThemeLight"] = String(!dark);
const place = document.getElementById("place") as HTMLElement;
if (ask.get("width")) place.style.width = `${ask.get("width") ?? ""}px`;
const transport = new FakeTransport({ runs: ask.get("runs") !== "0", charts: number("charts", 9), step: number("step", 2914), crowd: ask.get("crowd") === "1", fail: ask.get("fail") === "1", speed: number("speed", 9), fork: ask.get("fork") === "1", exact: ask.get("exact") !== "0" });
Object.assign(window, { transport });
mount(place, transport, { chart: ask.get("chart") ?? "" });
