/** The app in a page, once there is room for it. */
import { App, type Options } from "./app";
import { attribute } from "./dom";
import type { Transport } from "./transport";

/** Start the app in `place` as soon as that has a width: it may not be in the document yet. */
export function mount(place: HTMLElement, transport: Transport, options: Options = {}): () => void {
  let app: App | null = null;
  const begin = (): void => {
    if (app || place.clientWidth <= 0) return;
    observer.disconnect();
    app = new App(transport, options);
    attribute(app.host, "role", null);
    place.append(app.host);
  };
  const observer = new ResizeObserver(begin);
  observer.observe(place);
  return () => {
    observer.disconnect();
    if (app) app.destroy();
    else transport.close();
  };
}
