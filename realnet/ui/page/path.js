// Where one request has been: at which nodes it was decided about, whom these asked and sent it to, where it waited and was
// executed, and how long each of that took. Nodes' clocks do not agree, so that nothing here compares two of them: a node's
// part lies before the end of that which sent the request, by as much as the answer took on its way back.

import { el, svg } from "./dom.js";
import { seconds } from "./format.js";

const PARTS = [
  { key: "scheduling", label: "deciding" },
  { key: "probing", label: "asking peers" },
  { key: "forwarding", label: "on its way there" },
  { key: "waiting", label: "waiting" },
  { key: "executing", label: "executing" },
  { key: "returning", label: "on its way back" },
];
const SHOWN = 12; // requests in the list

export class Path {
  // ask gives {requests, silent} of a query.
  constructor(parent, ask) {
    this.ask = ask;
    this.field = el("input", { id: "request-id", type: "text", spellcheck: "false", autocomplete: "off" });
    this.list = el("tbody");
    this.found = el("div", { class: "found", "aria-live": "polite" });
    this.refresh = el("button", { type: "button", click: () => this.load() }, "Refresh");
    parent.append(
      el("form", { class: "row", submit: (e) => {
        e.preventDefault();
        this.find(this.field.value.trim());
      } }, el("label", { for: "request-id" }, "Request"), this.field, el("button", { type: "submit" }, "Find"), this.refresh),
      this.found,
      el("div", { class: "scroll" }, el("table", { class: "wide" }, el("caption", {}, "The last requests of clients"),
        el("thead", {}, el("tr", {}, ...["request", "took", "outcome", "function", "entry", "executed at"].map((c) => el("th", { scope: "col" }, c)))), this.list)),
    );
  }

  // load lists the last requests of clients.
  async load() {
    try {
      const { requests } = await this.ask({});
      const entries = requests.filter((r) => !r.from).slice(0, SHOWN);
      this.list.replaceChildren(...entries.map((r) => el("tr", {}, el("th", { scope: "row" },
        el("button", { type: "button", class: "plain", title: r.request, click: () => this.find(r.request) }, r.request.length > 18 ? `…${r.request.slice(-16)}` : r.request)),
      el("td", {}, seconds(r.took_ns / 1e9)), el("td", {}, r.outcome), el("td", {}, r.function), el("td", {}, r.node), el("td", {}, r.executor || "nowhere"))));
      if (entries.length === 0) this.list.replaceChildren(el("tr", {}, el("td", { colspan: 6, class: "hint" }, "No node remembers one.")));
    } catch (error) {
      this.list.replaceChildren(el("tr", {}, el("td", { colspan: 6, class: "hint" }, error.message)));
    }
  }

  async find(id) {
    if (!id) return;
    this.field.value = id;
    try {
      const { requests, silent } = await this.ask({ request: id });
      this.found.replaceChildren(...this.tell(id, requests, silent ?? []));
    } catch (error) {
      this.found.replaceChildren(el("p", { class: "wrong" }, error.message));
    }
  }

  tell(id, requests, silent) {
    const entry = requests.find((r) => !r.from);
    const missing = silent.length ? ` ${silent.join(", ")} cannot be asked.` : "";
    if (!entry) {
      return [el("p", { class: "wrong" }, requests.length ? `The entry node of ${id} does not tell of it any more.${missing}` :
        `No node remembers ${id}: each keeps the last few hundred.${missing}`)];
    }
    const way = [{ ...entry, start: 0, end: entry.took_ns }];
    const left = requests.filter((r) => r !== entry);
    for (let at = way[0]; at; ) {
      const next = left.findIndex((r) => r.from === at.node && (at.sent ?? []).includes(r.node));
      if (next < 0) break;
      const [r] = left.splice(next, 1);
      const end = Math.max(at.start, at.end - Math.max(0, at.parts_ns.returning - r.parts_ns.returning));
      at = { ...r, end, start: Math.max(at.start, end - r.took_ns) };
      way.push(at);
    }
    return [el("h3", {}, `${entry.function}: ${entry.outcome} after ${seconds(entry.took_ns / 1e9)}`), this.drawing(way), this.legend(),
      el("ol", { class: "steps" }, ...way.map((r, i) => el("li", {}, this.sentence(r, way[i + 1])))),
      ...(silent.length ? [el("p", { class: "hint" }, `Not asked, since they do not answer: ${silent.join(", ")}.`)] : [])];
  }

  // segments are what a node's part in the way was spent on.
  segments(r, next) {
    const own = (key) => Math.max(0, r.parts_ns[key] - (next ? next.parts_ns[key] : 0));
    let at = r.start;
    const take = (key, lasts) => {
      const s = { key, at, lasts };
      at += lasts;
      return s;
    };
    const before = [take("scheduling", own("scheduling")), take("probing", own("probing"))];
    if (!next) return [...before, ...["forwarding", "waiting", "executing", "returning"].map((k) => take(k, own(k)))];
    return [...before, { key: "forwarding", at, lasts: Math.max(0, next.start - at) }, { key: "returning", at: next.end, lasts: Math.max(0, r.end - next.end) }];
  }

  drawing(way) {
    const width = this.found.clientWidth || 400;
    const left = Math.min(110, 10 + 7 * Math.max(...way.map((r) => r.node.length)));
    const row = 30;
    const total = Math.max(1, way[0].took_ns);
    const x = (ns) => left + (ns / total) * (width - left - 6);
    const drawn = way.flatMap((r, i) => {
      const y = i * row + 8;
      return [svg("text", { class: "small end", x: left - 8, y: y + 13 }, r.node),
        svg("line", { class: "grid", x1: left, x2: width - 6, y1: y + 18.5, y2: y + 18.5 }),
        ...this.segments(r, way[i + 1]).filter((s) => s.lasts > 0).map((s) => svg("rect", { class: `part ${s.key}`, x: x(s.at).toFixed(1), y,
          width: Math.max(1, x(s.at + s.lasts) - x(s.at)).toFixed(1), height: 18 }, svg("title", {}, `${PARTS.find((p) => p.key === s.key).label}: ${seconds(s.lasts / 1e9)}`)))];
    });
    const bottom = way.length * row + 8;
    return svg("svg", { class: "way", width, height: bottom + 16, role: "img", "aria-label": "Where the time went; the same is told below" },
      ...drawn, ...[0, 0.5, 1].map((f) => svg("text", { class: "tick", x: x(f * total), y: bottom + 10, "text-anchor": ["start", "middle", "end"][f * 2] }, seconds((f * total) / 1e9))));
  }

  legend() {
    return el("ul", { class: "legend" }, ...PARTS.map((p) => el("li", {}, svg("svg", { class: "swatch", width: 22, height: 12, "aria-hidden": "true" },
      svg("rect", { class: `part ${p.key}`, x: 3, y: 1, width: 16, height: 10 })), p.label)));
  }

  sentence(r, next) {
    const own = (key) => Math.max(0, r.parts_ns[key] - (next ? next.parts_ns[key] : 0));
    const words = [`${r.node} got it from ${r.from || "its client"}`];
    if (r.asked?.length) words.push(`asked ${r.asked.join(", ")} for ${seconds(own("probing") / 1e9)}`);
    else if (!r.from && r.probes > 0) words.push(`${r.probes} peers were asked for ${seconds(own("probing") / 1e9)}`);
    if (r.verdict) words.push(`decided after ${seconds(r.decided_ns / 1e9)}: ${r.verdict}`);
    if (r.sent?.length) words.push(`sent it to ${r.sent.join(", then to ")}`);
    if (!next && r.executor === r.node) {
      if (r.parts_ns.waiting > 0) words.push(`it waited for ${seconds(r.parts_ns.waiting / 1e9)}`);
      words.push(`it was executed for ${seconds(r.parts_ns.executing / 1e9)}${r.cold_start_ns ? `, ${seconds(r.cold_start_ns / 1e9)} of that a cold start` : ""}`);
    }
    words.push(r.outcome);
    return `${words.join("; ")}.`;
  }
}
