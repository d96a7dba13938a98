import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { Client, floats } from "../src/client";
import type { Transport } from "../src/transport";
import { frame } from "./make";

type Sent = Record<string, unknown> & { type: string };

class Wire implements Transport {
  sent: Sent[] = [];
  broken = false;
  private callback: (message: unknown, buffers: ArrayBufferView[]) => void = () => undefined;

  send(message: object): void {
    if (this.broken) throw new Error("Cannot send");
    this.sent.push(message as Sent);
  }

  onMessage(callback: (message: unknown, buffers: ArrayBufferView[]) => void): void {
    this.callback = callback;
  }

  close(): void {
    this.broken = true;
  }

  arrive(message: object, buffers: ArrayBufferView[] = []): void {
    this.callback(message, buffers);
  }
}

function talk(t: TestContext): { wire: Wire; client: Client; clock: { now: number } } {
  const wire = new Wire();
  const clock = { now: 0 };
  const client = new Client(wire, { silence: 3000, now: () => clock.now });
  t.after(() => { client.close(); });
  return { wire, client, clock };
}

const spec = (client: Client): object => ({ type: "spec", view: client.view, protocol: 1, charts: [] });

test("a client says hello, is live with the first frame and acknowledges it", (t) => {
  const { wire, client } = talk(t);
  assert.equal(wire.sent[0]?.type, "hello");
  assert.equal(client.link, "connecting");
  wire.arrive(spec(client));
  wire.arrive(frame({ view: client.view, n: 4, full_n: 4, charts: [] }), [new DataView(new ArrayBuffer(8))]);
  assert.equal(client.link, "live");
  assert.deepEqual(wire.sent.at(-1), { type: "ack", n: 4, view: client.view });
});

test("frames of other views are not ours", (t) => {
  const { wire, client } = talk(t);
  wire.arrive(spec(client));
  wire.arrive(frame({ view: "somebody else" }));
  assert.equal(client.frames, 0);
});

test("three seconds of silence mean that nobody is there, and the next frame mends it", (t) => {
  const { wire, client, clock } = talk(t);
  wire.arrive(spec(client));
  wire.arrive(frame({ view: client.view, charts: [] }));
  clock.now = 2900;
  client.check();
  assert.equal(client.link, "live");
  clock.now = 3100;
  client.check();
  assert.equal(client.link, "lost");
  assert.match(client.why, /run the cell again/);
  wire.arrive(frame({ view: client.view, charts: [] }));
  assert.equal(client.link, "live");
});

test("a resting view expects no frames", (t) => {
  const { wire, client, clock } = talk(t);
  wire.arrive(spec(client));
  wire.arrive(frame({ view: client.view, charts: [] }));
  client.look(false, {}, null);
  clock.now = 60_000;
  client.check();
  assert.equal(client.link, "live");
  client.look(true, {}, null);
  client.check();
  assert.equal(client.link, "live");
});

test("a kernel that is gone is said in words, not thrown", async (t) => {
  const { wire, client } = talk(t);
  wire.arrive(spec(client));
  wire.arrive(frame({ view: client.view, charts: [] }));
  wire.broken = true;
  await assert.rejects(client.request("pause"), /run the cell again/);
  assert.equal(client.link, "lost");
});

test("a light frame after a full one that was never seen asks for a refresh", (t) => {
  const { wire, client, clock } = talk(t);
  wire.arrive(spec(client));
  clock.now = 5000;
  wire.arrive(frame({ view: client.view, n: 9, full_n: 8, charts: null }));
  assert.equal(wire.sent.at(-1)?.type, "refresh");
});

test("the same wish is sent once", (t) => {
  const { wire, client } = talk(t);
  client.look(true, {}, null);
  const before = wire.sent.length;
  client.look(true, {}, null);
  assert.equal(wire.sent.length, before);
});

test("requests are answered by number, refusals as sentences", async (t) => {
  const { wire, client } = talk(t);
  const first = client.request("runs");
  const second = client.request("set");
  wire.arrive({ type: "reply", view: client.view, id: 2, ok: false, error: "No run is shown; start one first." });
  wire.arrive({ type: "reply", view: client.view, id: 1, ok: true, result: { runs: [] } });
  assert.deepEqual(await first, { runs: [] });
  await assert.rejects(second, /start one first/);
});

test("a buffer that does not start at a multiple of four is copied", () => {
  const bytes = new Uint8Array(9);
  bytes.set(new Uint8Array(Float32Array.of(1.5, 2.5).buffer), 1);
  assert.deepEqual([...floats(new DataView(bytes.buffer, 1, 8))], [1.5, 2.5]);
});
