// The nodes as a table, for whoever reads rather than looks, and what there is to know of one of them.

import { el } from "./dom.js";
import { age, count, failing, number, seconds } from "./format.js";
import { STATES, isGone, limit } from "./topology.js";

const COLUMNS = ["node", "state", "running", "waiting", "in /s", "failed", "sent /s", "run /s", "p50", "p95"];

export class Nodes {
  constructor(parent, details, onSelect) {
    Object.assign(this, { details, onSelect, rows: new Map(), selected: null });
    this.body = el("tbody");
    parent.append(el("table", { class: "wide" }, el("thead", {}, el("tr", {}, ...COLUMNS.map((c) => el("th", { scope: "col" }, c)))), this.body));
  }

  select(address) {
    this.selected = address;
  }

  show(snapshot) {
    const rows = snapshot.nodes.map((n) => {
      let row = this.rows.get(n.address);
      if (!row) {
        const choose = el("button", { type: "button", class: "plain", click: () => this.onSelect(this.selected === n.address ? null : n.address) }, n.address);
        row = { cells: COLUMNS.slice(1).map(() => el("td")), choose };
        row.line = el("tr", {}, el("th", { scope: "row" }, choose), ...row.cells);
        this.rows.set(n.address, row);
      }
      const gone = isGone(n);
      const failed = failing(n.rates);
      const state = n.state === "alive" ? "alive" : `${STATES[n.state]} ${age((new Date(snapshot.at) - new Date(n.since)) / 1000)}`;
      const values = gone ? [state, ...Array(COLUMNS.length - 2).fill("")] : [state, `${n.running} of ${limit(n.slots)}`, n.room ? `${n.queued} of ${limit(n.room)}` : "no room",
        number(n.rates.arrived_per_second), failed.text, number(n.rates.forwarded_per_second), number(n.rates.executed_per_second),
        seconds(n.latency?.p50_seconds), seconds(n.latency?.p95_seconds)];
      row.cells.forEach((cell, i) => (cell.textContent = values[i]));
      row.cells[COLUMNS.indexOf("failed") - 1].className = !gone && failed.much ? "failing" : "";
      row.line.className = `${n.state}${n.address === this.selected ? " selected" : ""}`;
      row.choose.setAttribute("aria-pressed", String(n.address === this.selected));
      return row.line;
    });
    if (rows.length !== this.body.children.length || rows.some((r, i) => r !== this.body.children[i])) this.body.replaceChildren(...rows);
    this.show1(snapshot, snapshot.nodes.find((n) => n.address === this.selected));
  }

  // show1 shows one node in full.
  show1(snapshot, n) {
    if (!n) {
      this.details.replaceChildren(el("p", { class: "hint" }, "Choose a node, here or in the picture, to see all that is known of it."));
      return;
    }
    const since = age((new Date(snapshot.at) - new Date(n.since)) / 1000);
    const to = snapshot.forwards.filter((f) => f.from === n.address).sort((a, b) => b.per_second - a.per_second);
    const from = snapshot.forwards.filter((f) => f.to === n.address).sort((a, b) => b.per_second - a.per_second);
    const peers = (all, end) => all.slice(0, 6).map((f) => `${f[end]} ${number(f.per_second)}/s`).join(", ") + (all.length > 6 ? `, and ${all.length - 6} more` : "") || "nobody";
    const b = n.believed;
    const facts = [
      ["name", n.id || "not known"],
      ["state", `${n.state} for ${since}${n.error ? `: ${n.error}` : ""}`],
      ["others hold it for", [["alive", b.alive], ["suspect", b.suspect], ["dead", b.dead], ["left", b.left]].filter(([, k]) => k > 0).map(([s, k]) => `${s} (${k})`).join(", ") || "nothing that they say"],
      ["scheduler", n.label || "not known"],
      ["requests in hand", number(n.requests)],
      ["sends to", peers(to, "to")],
      ["gets from", peers(from, "from")],
      ["failed", `${failing(n.rates).text} of its clients' requests`],
      ["rejected, expired, lost, errors of functions", `${[n.rates.rejected_per_second, n.rates.expired_per_second, n.rates.lost_per_second, n.rates.faulty_per_second].map(number).join(", ")} per second`],
      ["functions", n.functions.map((f) => `${f.name} ${number(f.completed_per_second)}/s, p95 ${seconds(f.latency?.p95_seconds)}`).join("; ") || "none was completed"],
    ];
    if (n.restarts) facts.push(["started again", count(n.restarts, "time")]);
    if (n.learner) facts.push(["learner", `epsilon ${number(n.learner.epsilon)}, ${number(n.learner.actions_per_second)} actions per second${n.learner.error ? `; ${n.learner.error}` : ""}`]);
    this.details.replaceChildren(el("h3", {}, `Node ${n.address}`), el("dl", { class: "facts" }, ...facts.flatMap(([k, v]) => [el("dt", {}, k), el("dd", {}, v)])));
  }
}
