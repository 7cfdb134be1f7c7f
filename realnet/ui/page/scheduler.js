// The scheduler of the nodes, and what else of them can be configured while they work. Whether one may, the nodes say.

import { el } from "./dom.js";
import { count, seconds } from "./format.js";
import { read } from "./source.js";
import { isGone } from "./topology.js";

// HOPS is what every algorithm has beside its own parameters.
const HOPS = { name: "max_hops", type: "integer", doc: "forwards of one task, at most", min: "0", max: "255" };

export class Scheduler {
  constructor(parent, node) {
    Object.assign(this, { node, fields: [], snapshot: null });
    this.now = el("ul", { class: "plain-list" });
    this.name = el("select", { id: "algorithm", change: () => this.choose() });
    this.doc = el("p", { class: "hint" });
    this.parameters = el("div", { class: "fields" });
    this.slots = el("input", { type: "number", id: "slots", min: 0, step: 1 });
    this.room = el("input", { type: "number", id: "room", min: 0, step: 1 });
    this.where = el("select", { id: "where", change: () => this.choose() });
    this.said = el("div", { role: "status" });
    parent.append(el("h3", {}, "Now"), this.now, el("form", { submit: (e) => {
      e.preventDefault();
      this.apply();
    } }, el("h3", {}, "Change"), field("where", "At", this.where), field("algorithm", "Algorithm", this.name), this.doc, this.parameters,
    el("div", { class: "fields" }, field("slots", "Slots, K", this.slots, "empty: as they are"), field("room", "Waiting room, Q", this.room, "empty: as it is; 0 closes it")),
    el("button", { type: "submit" }, "Apply"), this.said));
    this.load();
  }

  async load() {
    try {
      this.algorithms = await read("schedulers");
    } catch (error) {
      this.said.replaceChildren(el("p", { class: "wrong" }, error.message));
      return;
    }
    this.name.replaceChildren(el("option", { value: "" }, "as it is"), ...this.algorithms.map((a) => el("option", { value: a.name }, a.name)));
  }

  show(snapshot) {
    const labels = new Map();
    for (const n of snapshot.nodes) if (n.label) labels.set(n.label, [...(labels.get(n.label) ?? []), n]);
    const lines = [...labels].map(([label, nodes]) => {
      const capacity = new Set(nodes.filter((n) => !isGone(n)).map((n) => `K = ${n.slots}, Q = ${n.room}`));
      return `${label} at ${count(nodes.length, "node")}, ${capacity.size <= 1 ? [...capacity][0] ?? "none of which answers" : "with various K and Q"}`;
    });
    if (lines.join("\n") !== this.told) {
      this.told = lines.join("\n");
      this.now.replaceChildren(...lines.map((l) => el("li", {}, l)));
    }
    this.snapshot = snapshot;
    const places = snapshot.nodes.filter((n) => !n.v1).map((n) => n.address);
    if (places.join() !== this.places?.join()) {
      const chosen = this.where.value;
      this.places = places;
      this.where.replaceChildren(el("option", { value: "" }, "all nodes that answer"), ...places.map((a) => el("option", { value: a }, a)));
      this.where.value = places.includes(chosen) ? chosen : "";
      if (this.where.value !== chosen) this.choose();
    }
  }

  // choose shows the parameters of an algorithm, with their defaults or, where a node that is to be changed has it, with what that says.
  choose() {
    const a = this.algorithms?.find((x) => x.name === this.name.value);
    const at = this.where.value;
    const owners = (this.snapshot?.nodes ?? []).filter((n) => a && n.scheduler?.name === a.name && (at ? n.address === at : !isGone(n)));
    const has = owners[0]?.scheduler;
    const listed = (name) => (has?.named ? undefined : has?.parameters?.[a.positional?.indexOf(name) ?? -1]); // as v1 has it
    const said = (p) => {
      const x = listed(p.name);
      return has?.named?.[p.name] ?? (p.flags ? p.choices[p.flags.indexOf(x)] : x) ?? p.default;
    };
    const hops = listed(HOPS.name);
    const limit = has?.forwarding?.max_hops ?? (hops === undefined ? a?.max_hops : Math.max(1, Number(hops))); // v1's 0 is 1
    const various = new Set(owners.map((n) => JSON.stringify(n.scheduler))).size > 1;
    this.doc.textContent = a ? `${a.summary}${various ? `. Shown is what ${owners[0].address} has; other nodes have other parameters` : ""}` : "";
    this.chosen = { a, forwarding: has?.forwarding };
    this.fields = (a ? [...a.parameters, { ...HOPS, default: limit, along: along(has?.forwarding) }] : []).map((p) => {
      const id = `parameter-${p.name}`;
      const value = spelled(p, said(p));
      const choices = p.type === "boolean" ? ["true", "false"] : p.type === "choice" ? p.choices : null;
      const input = choices ? el("select", { id }, ...choices.map((c) => el("option", { value: c, selected: c === value }, c))) : el("input", { id, type: "text", value, required: p.required, spellcheck: "false" });
      const range = p.type === "words" ? `of ${p.choices.join(", ")}` : [p.min && `from ${p.min}`, p.max && `to ${p.max}`].filter(Boolean).join(" ");
      return { p, input, row: field(id, p.name + (p.unit ? `, ${p.unit}` : ""), input, [p.doc, range, ...(p.along ?? [])].filter(Boolean).join("; ")) };
    });
    this.parameters.replaceChildren(...this.fields.map((f) => f.row));
  }

  async apply() {
    const change = { nodes: this.where.value ? [this.where.value] : [] };
    if (this.name.value) {
      const given = this.fields.map((f) => [f.p, f.input.value.trim()]).filter(([, text]) => text !== "");
      const { max_hops: hops, ...named } = Object.fromEntries(given.map(([p, text]) => [p.name, meant(p, text)]));
      const { a, forwarding } = this.chosen;
      // Where the node's scheduler says nothing of forwarding, its settings go on to hold, unless another limit is wanted.
      const own = !forwarding && (hops ?? a.max_hops) === a.max_hops;
      change.scheduler = JSON.stringify({ name: a.name, named, forwarding: own ? undefined : { ...forwarding, max_hops: hops } });
    }
    if (this.slots.value !== "") change.slots = Number(this.slots.value);
    if (this.room.value !== "") change.queue = Number(this.room.value);
    try {
      const { nodes } = await read("configuration", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(change) });
      const wrong = nodes.filter((n) => n.error);
      this.said.replaceChildren(el("p", {}, `Changed at ${count(nodes.length - wrong.length, "node")}.`), ...wrong.map((n) => el("p", { class: "wrong" }, `${n.address}: ${n.error}`)));
    } catch (error) {
      this.said.replaceChildren(el("p", { class: "wrong" }, error.message));
    }
  }
}

// along lists what goes to nodes with a limit of hops, where a scheduler says it.
function along(forwarding) {
  const others = Object.entries(forwarding ?? {}).filter(([key]) => key !== HOPS.name);
  return others.map(([key, value]) => (key.endsWith("_ns") ? `${key.slice(0, -3)} ${seconds(value / 1e9)}` : `${key} ${value}`));
}

// spelled writes a value of a parameter: texts as they are, words as scenarios have them.
function spelled(p, value) {
  if (typeof value === "string") return value;
  return p.type === "words" && Array.isArray(value) ? `[${value.join(", ")}]` : JSON.stringify(value);
}

// meant is the value that a text means. What is none the node refuses as the text that it is, and says what it should be.
function meant(p, text) {
  switch (p.type) {
    case "boolean":
      return text === "true";
    case "integer":
    case "number":
    case "node": // a number, or an address
      return Number.isFinite(Number(text)) ? Number(text) : text;
    case "matrix":
      try {
        return JSON.parse(text);
      } catch {
        return text;
      }
    case "words":
      return text.match(/[^\s,[\]"]+/g) ?? [];
    default:
      return text;
  }
}

function field(id, label, input, hint) {
  if (hint) input.setAttribute("aria-describedby", `${id}-hint`);
  return el("div", { class: "field" }, el("label", { for: id }, label), input, hint ? el("p", { class: "hint", id: `${id}-hint` }, hint) : null);
}
