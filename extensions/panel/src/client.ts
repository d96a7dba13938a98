/** The panel's side of the conversation: hello, wishes, acknowledgements, requests, and whether anybody is there. */
import type { ChartData, ChartWish, Frame, Incoming, Reply, Spec } from "./protocol";
import type { Transport } from "./transport";

export type Link = "connecting" | "live" | "lost";

/** A frame's numbers beside its words. */
export interface Picture {
  frame: Frame;
  floats: Float32Array;
}

export interface Timing {
  /** Milliseconds without a frame after which the panel says that nobody is there. */
  silence: number;
  now: () => number;
}

const SILENCE: Timing = { silence: 3000, now: () => performance.now() };

interface Waiting {
  resolve: (result: unknown) => void;
  reject: (error: Error) => void;
}

export class Client {
  readonly view = Math.random().toString(36).slice(2, 12);
  spec: Spec | null = null;
  frame: Frame | null = null;
  link: Link = "connecting";
  why = "";
  frames = 0;

  onSpec: (spec: Spec) => void = () => undefined;
  onFrame: (frame: Frame) => void = () => undefined;
  onCharts: (charts: ChartData[], floats: Float32Array) => void = () => undefined;
  onLink: (link: Link, why: string) => void = () => undefined;

  private fullN = -1;
  private heard: number;
  private asked = 0;
  private lastId = 0;
  private waiting = new Map<number, Waiting>();
  private wish = "";
  private resting = false;
  private timer: ReturnType<typeof setInterval>;

  constructor(
    private transport: Transport,
    private timing: Timing = SILENCE,
  ) {
    this.heard = timing.now();
    transport.onMessage((message, buffers) => {
      this.receive(message, buffers);
    });
    this.timer = setInterval(() => {
      this.check();
    }, 500);
    this.post({ type: "hello" });
  }

  /** Ask for something; rejects with the sentence to show. */
  request(op: string, args: object = {}): Promise<unknown> {
    const id = ++this.lastId;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      if (!this.post({ type: "request", id, op, args })) {
        this.waiting.delete(id);
        reject(new Error(this.why));
      }
    });
  }

  /** Say what is looked at; sent only when it differs from the last time. */
  look(active: boolean, charts: Record<string, ChartWish>, at: number | null): void {
    const wish = JSON.stringify({ active, charts, at });
    if (wish === this.wish) return;
    this.wish = wish;
    if (active && this.resting) this.heard = this.timing.now(); // silence while resting was asked for
    this.resting = !active;
    this.post({ type: "view", active, charts, at });
  }

  close(): void {
    clearInterval(this.timer);
    this.post({ type: "bye" });
    this.transport.close();
  }

  /** For the timer and for tests: has it been silent for too long? */
  check(): void {
    if (this.resting || this.timing.now() - this.heard < this.timing.silence) return;
    if (this.link === "connecting") {
      // nobody answered the first hello: a view opened before its kernel, or a saved picture without one
      this.post({ type: "hello" });
      this.heard = this.timing.now() - this.timing.silence + 2000;
      this.setLink("connecting", "Not connected to the kernel; run the cell again.");
    } else {
      this.setLink("lost", "Not connected to the kernel; run the cell again. What is shown may be out of date.");
    }
  }

  private post(message: object): boolean {
    try {
      this.transport.send({ ...message, view: this.view });
      return true;
    } catch {
      this.setLink(this.link === "connecting" ? "connecting" : "lost", "The kernel was restarted or is gone; run the cell again.");
      return false;
    }
  }

  private receive(message: unknown, buffers: ArrayBufferView[]): void {
    const incoming = message as Incoming;
    if (typeof incoming !== "object" || incoming === null || incoming.view !== this.view) return;
    if (incoming.type === "reply") this.settle(incoming);
    else if (incoming.type === "spec") this.setSpec(incoming);
    else if (incoming.type === "frame") this.show(incoming, buffers);
  }

  private setSpec(spec: Spec): void {
    if (spec.protocol !== 1) {
      this.setLink("lost", `This panel speaks protocol 1, the kernel ${String(spec.protocol)}; restart the kernel and run the cell again.`);
      return;
    }
    this.spec = spec;
    this.onSpec(spec);
    this.wish = ""; // a feed that has just said hello knows nothing of earlier wishes
  }

  private show(frame: Frame, buffers: ArrayBufferView[]): void {
    this.post({ type: "ack", n: frame.n });
    if (!this.spec) return;
    this.heard = this.timing.now();
    this.frames += 1;
    this.frame = frame;
    this.setLink("live", "");
    this.onFrame(frame);
    if (frame.charts) {
      this.fullN = frame.n;
      this.onCharts(frame.charts, floats(buffers[0]));
    } else if (frame.full_n != null && frame.full_n > this.fullN && this.timing.now() - this.asked > 1000) {
      this.asked = this.timing.now();
      this.post({ type: "refresh" });
    }
  }

  private settle(reply: Reply): void {
    const waiting = this.waiting.get(reply.id);
    this.waiting.delete(reply.id);
    if (!waiting) return;
    if (reply.ok) waiting.resolve(reply.result);
    else waiting.reject(new Error(reply.error ?? "That did not work, and no reason was given."));
  }

  private setLink(link: Link, why: string): void {
    if (link === this.link && why === this.why) return;
    this.link = link;
    this.why = why;
    this.onLink(link, why);
  }
}

/** The frame's buffer as floats, copied only when it does not start at a multiple of four. */
export function floats(view: ArrayBufferView | undefined): Float32Array {
  if (!view) return new Float32Array();
  if (view.byteOffset % 4 === 0) return new Float32Array(view.buffer as ArrayBuffer, view.byteOffset, view.byteLength >> 2);
  return new Float32Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength) as ArrayBuffer);
}
