/** A chart as an interactive figure in a tab of its own. */
import type { Scene } from "./charts/plot";
import type { ChartWish } from "./protocol";

export async function explore(chart: string, wish: ChartWish, scene: Scene, ask: (args: object) => Promise<unknown>, say: (sentence: string) => void): Promise<void> {
  const page = window.open("", "_blank"); // at once: browsers allow a new tab only during the click
  page?.document.write("<title>Drawing…</title><p style='font:14px system-ui;padding:2em'>Drawing the figure…");
  try {
    const { html } = (await ask({ chart, theme: scene.theme.mode, range: wish.range, component: wish.component, run: wish.run, at: scene.at })) as { html: string };
    const url = URL.createObjectURL(new Blob([html], { type: "text/html" }));
    if (page) page.location.href = url;
    else say("The browser did not allow a new tab; allow pop-ups for this page and click Explore again.");
    setTimeout(() => { URL.revokeObjectURL(url); }, 60_000);
  } catch {
    page?.close();
  }
}
