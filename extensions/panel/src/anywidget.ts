/** The panel in a notebook: anywidget's custom messages as transport. */
import { mount } from "./mount";
import type { Transport } from "./transport";

interface Model {
  get(name: string): unknown;
  send(content: unknown): void;
  on(event: "msg:custom", callback: (message: unknown, buffers: ArrayBufferView[]) => void): void;
  off(event: "msg:custom", callback: (message: unknown, buffers: ArrayBufferView[]) => void): void;
}

class WidgetTransport implements Transport {
  private callback: ((message: unknown, buffers: ArrayBufferView[]) => void) | null = null;
  private listener = (message: unknown, buffers: ArrayBufferView[]): void => this.callback?.(message, buffers);

  constructor(private model: Model) {
    model.on("msg:custom", this.listener);
  }

  send(message: object): void {
    this.model.send(message);
  }

  onMessage(callback: (message: unknown, buffers: ArrayBufferView[]) => void): void {
    this.callback = callback;
  }

  close(): void {
    this.model.off("msg:custom", this.listener);
  }
}

function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  return mount(el, new WidgetTransport(model), { chart: String(model.get("chart_id") ?? "") });
}

export default { render };
