/** What is done rarely to one run: name it, star it, repeat it, compare it, put it aside, delete it. */
import { h } from "./dom";
import { bytes, count } from "./format";
import { menuItem } from "./menu";
import type { Anchor } from "./popover";
import { ACTIVE, type Run } from "./protocol";

export interface RunMenuHost {
  request(op: string, args: object): Promise<unknown>;
  runs(): Run[];
  fork(run: Run, anchor: Anchor, back: HTMLElement): void;
  compare(a: string, b: string): void;
  close(): void;
  say(sentence: string): void;
}

export class RunMenu {
  constructor(private host: RunMenuHost) {}

  fill(run: Run, anchor: Anchor, back: HTMLElement): HTMLElement {
    const { host } = this;
    const list = h("div.run-menu");
    const name = h("input.entry.wide", { type: "text", value: run.name, placeholder: run.label, "aria-label": "Name", "data-role": "run-name", "data-first": "" });
    const note = h("input.entry.wide", { type: "text", value: run.note, placeholder: "note", "aria-label": "Note", "data-role": "run-note" });
    const keep = (): void => {
      if (name.value.trim() === run.name && note.value.trim() === run.note) host.close();
      else this.ask("note", { run: run.id, name: name.value, note: note.value });
    };
    for (const entry of [name, note]) entry.addEventListener("keydown", (e) => { if (e.key === "Enter") keep(); });
    const star = h("button.icon.star", { "aria-label": run.star ? "Take the star away" : "Give it a star", "aria-pressed": String(run.star), "data-role": "run-star", title: "Star", onclick: () => { this.ask("note", { run: run.id, star: !run.star }); } }, run.star ? "★" : "☆");
    const partner = host.runs().find((r) => r.id === run.parent) ?? host.runs().find((r) => r.parent === run.id) ?? host.runs().find((r) => r.id !== run.id);
    const item = (label: string, help: string, role: string, act: () => void): HTMLElement => menuItem(label, help, act, { "data-role": role });
    list.append(
      h("div.run-head", null, star, name),
      note,
      h("div.run-facts.num", null, h("span", { title: run.id }, about(run, host.runs())), h("span.grow"), h("span", { title: "On disk: journal, checkpoints and log" }, bytes(run.disk))),
      item("Fork…", "start a child from one of its steps", "run-fork", () => { host.fork(run, anchor, back); }),
      item("Replay", "train it once more with every recorded change, to the bit", "run-replay", () => { this.ask("replay", { run: run.id }); }));
    if (partner) list.append(item(`Compare with ${partner.label}`, "configuration, interventions, first differing step", "run-compare", () => {
      host.close();
      host.compare(...((run.parent === partner.id ? [partner.id, run.id] : [run.id, partner.id]) as [string, string]));
    }));
    list.append(
      item(run.archived ? "Take out of the archive" : "Archive", run.archived ? "" : "keep it, but out of the lists", "run-archive", () => { this.ask("note", { run: run.id, archived: !run.archived }); }),
      this.deletion(run));
    return list;
  }

  /** Asks back in its own place. */
  private deletion(run: Run): HTMLElement {
    const place = h("div.deletion");
    const busy = ACTIVE.has(run.state);
    const ask = menuItem("Delete…", busy ? "stop it first" : "", () => {
      place.replaceChildren(
        h("div.menu-note", null, `Delete ${run.label} with its ${bytes(run.disk)} for good?`),
        h("div.menu-foot", null,
          h("button.plain.danger", { "data-role": "run-delete-sure", onclick: () => { this.ask("delete", { run: run.id }); } }, "Delete"),
          h("button.plain", { "data-role": "run-keep", onclick: () => { this.host.close(); } }, "Keep")));
      place.querySelector<HTMLElement>("[data-role=run-keep]")?.focus();
    }, { "data-role": "run-delete" });
    (ask as HTMLButtonElement).disabled = busy;
    place.append(ask);
    return place;
  }

  private ask(op: string, args: object): void {
    this.host.close();
    this.host.request(op, args).then(() => { this.host.say(""); }, (error: unknown) => { this.host.say(error instanceof Error ? error.message : String(error)); });
  }
}

/** "fork of fast at 4,200 · seed 3", "replay of fast". */
export function about(run: Run, runs: Run[]): string {
  const parent = runs.find((r) => r.id === run.parent)?.label ?? run.parent.split("-").at(-1) ?? "";
  const from = run.kind === "fork" ? `fork of ${parent} at ${count(run.fork_step ?? 0)}` : run.kind === "replay" ? `replay of ${parent}` : run.arm;
  return [from, `seed ${String(run.seed)}`, run.state].filter(Boolean).join(" · ");
}

