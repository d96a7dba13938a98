/** The wire, whatever it is: an anywidget's messages in a notebook, a websocket on a server, a function in a test. */
export interface Transport {
  /** Throws when the other side is gone. */
  send(message: object): void;
  onMessage(callback: (message: unknown, buffers: ArrayBufferView[]) => void): void;
  close(): void;
}
