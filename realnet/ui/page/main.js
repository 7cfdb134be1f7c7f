// The page: what it shows, and the keys.

import { Chart } from "./chart.js";
import { byId, el, say, svg } from "./dom.js";
import { age, clock, count, failing, number, percent, seconds } from "./format.js";
import { Nodes } from "./nodes.js";
import { Path } from "./path.js";
import { Player } from "./player.js";
import { Scheduler } from "./scheduler.js";
import { Live, read } from "./source.js";
import { STATES, Topology } from "./topology.js";

const KEPT = 150; // seconds of a live cluster
const SHOWN = 120; // of those in the charts
const EVENTS = 40; // that are listed

const latencies = [{ key: "p95", label: "p95", kind: "dashed" }, { key: "p50", label: "p50", kind: "solid" }];
const outcomes = [{ key: "completed", label: "completed", kind: "completed" }, { key: "errors", label: "error of the function", kind: "errors" }, { key: "rejected", label: "rejected", kind: "rejected" },
  { key: "expired", label: "expired", kind: "expired" }, { key: "lost", label: "lost", kind: "lost" }];
const learning = [{ key: "epsilon", label: "epsilon", kind: "dashed" }, { key: "reward", label: "mean reward", kind: "solid" }];

let paused = false;
let history = [];
let previous = null;
let player = null;

function select(address) {
  for (const view of [topology, nodes]) view.select(address);
  if (previous) nodes.show(previous);
}

const topology = new Topology(byId("topology"), select);
const nodes = new Nodes(byId("nodes"), byId("details"), select);
const ago = (at, to) => (player ? clock(at) : at >= to - 0.5 ? "now" : `${age(to - at)} ago`);
const charts = {
  latency: new Chart(byId("latency"), { name: "Latency", series: latencies, value: seconds, when: ago }),
  outcomes: new Chart(byId("outcomes"), { name: "Requests per second", series: outcomes, stacked: true, value: number, when: ago }),
  learner: new Chart(byId("learner"), { name: "Learner", series: learning, value: number, when: ago }),
};
const path = new Path(byId("path"), (query) => read(`requests?${new URLSearchParams({ ...query, ...(player ? { at: player.at } : {}) })}`));

// point is a snapshot as the charts have it.
function point(c, at) {
  const learners = c.nodes.map((n) => n.learner).filter((l) => l && l.actions_per_second + l.failed_per_second + l.trained_per_second > 0);
  const sum = (some, key) => some.reduce((all, l) => all + l[key], 0);
  const told = learners.filter((l) => l.entries_per_second > 0); // the others' rewards are not known: they are no zeros
  return { at, p50: c.latency?.p50_seconds ?? null, p95: c.latency?.p95_seconds ?? null, completed: Math.max(0, c.rates.completed_per_second - c.rates.faulty_per_second),
    errors: c.rates.faulty_per_second, rejected: c.rates.rejected_per_second, expired: c.rates.expired_per_second, lost: c.rates.lost_per_second,
    epsilon: learners.length ? sum(learners, "epsilon") / learners.length : null,
    reward: told.length ? sum(told, "reward_per_second") / sum(told, "entries_per_second") : null };
}

function summary(c) {
  const r = c.rates;
  const failed = failing(r);
  const ways = [["rejected", r.rejected_per_second], ["expired", r.expired_per_second], ["lost", r.lost_per_second], ["errors of functions", r.faulty_per_second]]
    .filter(([, rate]) => rate > 0).sort(([, a], [, b]) => b - a).map(([way, rate]) => `${way} ${percent(rate / failed.ended)}`);
  const states = Object.entries(c.states).filter(([state, n]) => n > 0 || state === "alive").map(([state, n]) => `${n} ${state}`);
  const facts = [["Nodes", states.join(" · ")], ["Requests", `${number(r.arrived_per_second)}/s`], ["Forwarded", `${number(r.forwarded_per_second)}/s`],
    ["p50", seconds(c.latency?.p50_seconds)], ["p95", seconds(c.latency?.p95_seconds)]];
  byId("summary").replaceChildren(...facts.map(([k, v]) => el("div", {}, el("dt", {}, k), el("dd", {}, v))),
    el("div", { id: "failed", class: failed.much ? "failing" : "" }, el("dt", {}, "Failed"), el("dd", {}, failed.text), el("dd", { class: "ways" }, ways.join(", "))));
}

// happened lists what has changed since the snapshot before.
function happened(c, when) {
  if (!previous) return;
  const before = new Map(previous.nodes.map((n) => [n.address, n]));
  const news = [];
  for (const n of c.nodes) {
    const b = before.get(n.address);
    if (!b) news.push(["+", `${n.address} is there`]);
    else if (n.restarts > b.restarts) news.push(["↻", `${n.address} has started again`]);
    if (b && b.state !== n.state) news.push([n.state === "alive" ? "✓" : STATES[n.state].slice(0, 1), `${n.address} is ${n.state === "unreachable" ? "not answering" : n.state}`]);
    if (b && b.label && n.label && b.label !== n.label) news.push(["⚙", `${n.address} has another scheduler: ${n.label}`]);
  }
  const were = new Set((previous.faults ?? []).map((f) => f.name));
  const are = new Set((c.faults ?? []).map((f) => f.name));
  for (const f of c.faults ?? []) if (!were.has(f.name)) news.push(["!", `${f.name} begins`]);
  for (const f of previous.faults ?? []) if (!are.has(f.name)) news.push(["✓", `${f.name} ends`]);
  const list = byId("events");
  for (const [sign, text] of news) list.prepend(el("li", {}, el("time", {}, when), el("span", { class: "sign", "aria-hidden": "true" }, sign), el("span", {}, text)));
  while (list.children.length > EVENTS) list.lastChild.remove();
}

// show draws a snapshot, with the charts up to it or, of a run, all of them with a cursor.
function show(c, when) {
  summary(c);
  topology.show(c);
  happened(c, when);
  nodes.show(c);
  byId("learner-panel").hidden = !history.some((p) => (p.epsilon ?? p.reward ?? null) !== null);
  previous = c;
}

function showLive(c) {
  const at = new Date(c.at).getTime() / 1000;
  if (c.window_seconds > 0) history.push(point(c, at));
  history = history.filter((p) => p.at > at - KEPT);
  if (paused) return;
  show(c, new Date(c.at).toLocaleTimeString());
  const labels = [120, 90, 60, 30, 0].map((s) => ({ at: at - s, text: s ? `−${s} s` : "now" }));
  for (const chart of Object.values(charts)) chart.show(history, at - SHOWN, at, { labels });
  scheduler.show(c);
}

function pause() {
  if (player) {
    player.play(!player.playing);
    return;
  }
  paused = !paused;
  document.body.classList.toggle("paused", paused);
  say(byId("pause"), paused ? "Go on" : "Pause");
  status(paused ? "paused" : "live", false);
}

let scheduler = null;

async function begin() {
  const source = await read("source");
  if (source.kind === "run") {
    document.title = `${source.name} · P2PFaaS`;
    byId("source").textContent = `${source.world === "sim" ? "a simulation" : "a run on real nodes"}: ${source.name}, ${source.label}`;
    byId("scheduler-panel").hidden = byId("pause").hidden = true;
    paused = true;
    document.body.classList.add("paused");
    history = source.points;
    const labels = [0, 0.25, 0.5, 0.75, 1].map((f) => source.from + f * (source.to - source.from)).map((at) => ({ at, text: clock(at) }));
    player = new Player(byId("player"), source, (c, at, seeked) => {
      if (seeked) {
        previous = null;
        byId("events").replaceChildren();
      }
      show(c, clock(at));
      for (const chart of Object.values(charts)) chart.show(history, source.from, source.to, { labels, cursor: at, marks: source.faults });
    }, { onPlay: (on) => {
      paused = !on;
      document.body.classList.toggle("paused", paused);
    }, onStatus: status });
    path.load();
    return;
  }
  byId("source").textContent = `seen from ${location.host}`;
  scheduler = new Scheduler(byId("scheduler"));
  new Live({ onSnapshot: showLive, onStatus: (text, wrong) => status(paused && !wrong ? "paused" : text, wrong) });
  path.load();
}

function status(text, wrong) {
  say(byId("status"), text);
  byId("status").classList.toggle("wrong", wrong);
}

// The keys, in the order in which the help has them.
const keys = [
  ["?", "this list", () => help()],
  ["Space", "pause and go on; of a run, play", () => pause()],
  ["n", "to the nodes; then arrow keys, and Enter to choose one", () => topology.svg.querySelector(".node[tabindex='0']")?.focus()],
  ["t", "to the table of nodes", () => byId("nodes").focus()],
  ["r", "to the search for a request", () => byId("request-id").focus()],
  ["s", "to the scheduler", () => byId("where")?.focus()],
  [",", "of a run: back", () => player?.step(-1)],
  [".", "of a run: forth", () => player?.step(1)],
  ["-", "of a run: slower", () => player?.faster(-1)],
  ["+", "of a run: faster", () => player?.faster(1)],
  ["Escape", "no node is chosen", () => select(null)],
];

function help() {
  const sign = (draw) => svg("svg", { class: "sample", width: 64, height: 20, "aria-hidden": "true" }, ...draw);
  const signs = [
    ["a slot that is busy, and one that is free", [svg("g", { class: "slots" }, svg("rect", { class: "taken", x: 6, y: 4, width: 11, height: 11, rx: 1.5 }), svg("rect", { class: "free", x: 24, y: 4, width: 11, height: 11, rx: 1.5 }))]],
    ["a task that waits, and a place where none does", [svg("g", { class: "room" }, svg("rect", { class: "taken", x: 6, y: 4, width: 11, height: 11, rx: 5.5 }), svg("rect", { class: "free", x: 24, y: 4, width: 11, height: 11, rx: 5.5 }))]],
    ["tasks on their way to another node: more dots are more tasks", [svg("g", { class: "edge" }, svg("path", { class: "base", "stroke-width": 2, d: "M4 10H52" }), svg("path", { class: "dots still", d: "M4 10H50" }), svg("path", { class: "tip", d: "M0 0L-9 -4.5L-9 4.5Z", transform: "translate(58 10)" }))]],
    ["a node that is suspected: others have not heard of it", [svg("g", { class: "node suspect" }, svg("rect", { class: "box", x: 4, y: 2, width: 56, height: 16, rx: 5 }))]],
    ["a node that is gone", [svg("g", { class: "node dead" }, svg("rect", { class: "box", x: 4, y: 2, width: 56, height: 16 }), svg("path", { class: "cross", d: "M8 4L56 16M56 4L8 16" }))]],
  ];
  byId("keys").replaceChildren(el("h2", { id: "keys-title" }, "Keys"), el("dl", { class: "facts" }, ...keys.flatMap(([k, what]) => [el("dt", {}, el("kbd", {}, k)), el("dd", {}, what)])),
    el("h2", {}, "Signs"), el("dl", { class: "facts" }, ...signs.flatMap(([what, draw]) => [el("dt", {}, sign(draw)), el("dd", {}, what)])),
    el("form", { method: "dialog" }, el("button", { type: "submit" }, "Close")));
  byId("keys").showModal();
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select, textarea, dialog");
  const pressing = event.key === " " && event.target.closest("button, a, [role=button]");
  if (typing || pressing || event.ctrlKey || event.metaKey || event.altKey) return;
  const found = keys.find(([k]) => k === (event.key === " " ? "Space" : event.key));
  if (!found) return;
  event.preventDefault();
  found[2]();
});
byId("pause").addEventListener("click", pause);
byId("help").addEventListener("click", help);
setInterval(() => {
  if (!paused && !player && !document.hidden && !byId("path").contains(document.activeElement)) path.load();
}, 5000);

byId("legend").replaceChildren(...[["busy slot", "slots", 1.5], ["waiting task", "room", 5]].map(([text, kind, rx]) =>
  el("li", {}, svg("svg", { class: "swatch", width: 14, height: 12, "aria-hidden": "true" }, svg("g", { class: kind }, svg("rect", { class: "taken", x: 1, y: 1, width: 10, height: 10, rx }))), text)),
el("li", {}, svg("svg", { class: "swatch", width: 40, height: 12, "aria-hidden": "true" }, svg("g", { class: "edge" }, svg("path", { class: "base", "stroke-width": 2, d: "M1 6H32" }), svg("path", { class: "dots still", d: "M3 6H30" }), svg("path", { class: "tip", d: "M0 0L-9 -4.5L-9 4.5Z", transform: "translate(39 6)" }))), "forwarded tasks"));

begin().catch((error) => status(error.message, true));
