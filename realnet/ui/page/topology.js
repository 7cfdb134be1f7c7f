// The picture of the cluster: a card for each node with its slots and its waiting room, and between them the forwards, as dots
// that move the way the tasks go.

import { onResize, say, set, svg } from "./dom.js";
import { age, failing, number } from "./format.js";

const CARD = { width: 122, height: 78, tile: false }; // with words
const TILE = { width: 58, height: 42, tile: true }; // without, where there are many nodes
const GAP = 14;
const ROOMY = 44; // between rows of cards
const MOST_CARDS = 24; // more nodes are tiles
const MOST_EDGES = 50; // the strongest ones are drawn
const MOST_RATES = 10; // edges with their rate beside them
const SQUARES = 8; // slots that are drawn one by one; more are a bar
const SPEED = 45; // of the dots, pixels a second
const SPACING = [[20, 14], [8, 22], [3, 36], [1, 60], [0, 100]]; // [from tasks per second, pixels between dots]

// The words of states that are not "alive": the first one is a sign of its own.
export const STATES = {
  alive: "",
  suspect: "? suspect",
  dead: "✕ dead",
  left: "– left",
  unreachable: "… no answer",
};

// limit writes a capacity; there may be none.
export const limit = (n) => (n > 0 && n < 1e6 ? String(n) : "∞");

// isGone reports whether nothing is known of what the node does now.
export const isGone = (node) => node.error !== "" || node.state === "dead" || node.state === "left" || node.state === "unreachable";

export class Topology {
  constructor(parent, onSelect) {
    Object.assign(this, { parent, onSelect, cards: new Map(), edges: new Map(), selected: null, snapshot: null });
    this.edgeLayer = svg("g", { class: "edges", "aria-hidden": "true" });
    this.cardLayer = svg("g", {});
    this.svg = svg("svg", { class: "topology", role: "group", "aria-label": "Nodes. Arrow keys go from one to the next, Enter chooses one.",
      keydown: (e) => this.key(e) }, this.edgeLayer, this.cardLayer);
    parent.append(this.svg);
    onResize(parent, (width) => {
      this.width = width;
      this.layout();
    });
  }

  show(snapshot) {
    this.snapshot = snapshot;
    const known = new Set(snapshot.nodes.map((n) => n.address));
    let changed = false;
    for (const [address, card] of this.cards) {
      if (!known.has(address)) {
        card.group.remove();
        this.cards.delete(address);
        changed = true;
      }
    }
    for (const n of snapshot.nodes) {
      if (!this.cards.has(n.address)) {
        this.cards.set(n.address, this.newCard(n.address));
        changed = true;
      }
    }
    if (changed) this.layout();
    else this.draw();
  }

  select(address) {
    this.selected = address;
    this.draw();
  }

  newCard(address) {
    const part = (tag, name) => svg(tag, { class: name });
    const card = { address, box: part("rect", "box"), cross: part("path", "cross"), name: part("text", "name"), slots: part("g", "slots"),
      room: part("g", "room"), slotsText: part("text", "small end"), roomText: part("text", "small end"), rates: part("text", "small"),
      badge: part("rect", "badge"), badgeText: part("text", "badge-text"), title: part("title") };
    card.group = svg("g", { class: "node", role: "button", tabindex: this.cards.size === 0 ? 0 : -1, "data-address": address,
      click: () => this.choose(address), focus: () => this.rove(address) },
    card.title, card.box, card.cross, card.name, card.slots, card.room, card.slotsText, card.roomText, card.rates, card.badge, card.badgeText);
    this.cardLayer.append(card.group);
    return card;
  }

  choose(address) {
    this.onSelect(this.selected === address ? null : address);
  }

  // rove makes one card that which the tab key comes to.
  rove(address) {
    for (const c of this.cards.values()) set(c.group, { tabindex: c.address === address ? 0 : -1 });
  }

  key(event) {
    const all = this.snapshot?.nodes.map((n) => n.address) ?? [];
    const i = all.indexOf(event.target.dataset?.address);
    if (i < 0) return;
    const row = this.columns ?? 1;
    const to = { ArrowRight: i + 1, ArrowLeft: i - 1, ArrowDown: i + row, ArrowUp: i - row, Home: 0, End: all.length - 1 }[event.key];
    if (event.key === "Enter" || event.key === " ") this.choose(all[i]);
    else if (to === undefined) return;
    else this.cards.get(all[(to + all.length) % all.length]).group.focus();
    event.preventDefault();
    event.stopPropagation();
  }

  // layout places the cards on an ellipse or, where that has no room for them, in rows.
  layout() {
    const nodes = this.snapshot?.nodes ?? [];
    if (!this.width || nodes.length === 0) return;
    const ring = this.ring(nodes.length);
    this.size = ring || nodes.length <= MOST_CARDS ? CARD : TILE;
    const { width, height, tile } = this.size;
    const fit = Math.max(1, Math.floor((this.width + GAP) / (width + GAP)));
    this.columns = ring ? 1 : Math.ceil(nodes.length / Math.ceil(nodes.length / fit)); // rows of equal length
    const gapX = this.columns > 1 ? Math.min((this.width - this.columns * width - 4) / (this.columns - 1), tile ? GAP : this.width) : 0;
    const gapY = tile ? GAP : ROOMY;
    this.height = ring ? ring.height : Math.ceil(nodes.length / this.columns) * (height + gapY) + 8;
    const across = this.columns * (width + gapX) - gapX;
    this.places = new Map(nodes.map((n, i) => [n.address, ring ? ring.at(i) : {
      x: (this.width - across) / 2 + (i % this.columns) * (width + gapX) + width / 2,
      y: Math.floor(i / this.columns) * (height + gapY) + height / 2 + 4,
    }]));
    this.middle = ring ? { x: this.width / 2, y: this.height / 2 } : null;
    set(this.svg, { width: this.width, height: this.height, viewBox: `0 0 ${this.width} ${this.height}` });
    this.prefix = commonPrefix(nodes.map((n) => n.address));
    for (const e of this.edges.values()) e.group.remove();
    this.edges.clear();
    this.draw();
  }

  // ring gives places on an ellipse, at equal distances along it; null: the cards do not fit.
  ring(n) {
    const height = Math.max(430, Math.min(580, this.width * 0.8));
    const a = (this.width - CARD.width) / 2 - 4;
    const b = (height - CARD.height) / 2 - 18;
    if (n === 1) return { height: 2 * CARD.height, at: () => ({ x: this.width / 2, y: CARD.height }) };
    const steps = 720;
    const along = [0];
    const on = (k) => ({ x: this.width / 2 + a * Math.sin((2 * Math.PI * k) / steps), y: height / 2 - b * Math.cos((2 * Math.PI * k) / steps) });
    for (let k = 1; k <= steps; k++) along.push(along[k - 1] + Math.hypot(on(k).x - on(k - 1).x, on(k).y - on(k - 1).y));
    if (a < CARD.width || along[steps] / n < CARD.width + GAP) return null;
    return { height, at: (i) => on(along.findIndex((d) => d >= (along[steps] * i) / n)) };
  }

  draw() {
    if (!this.places) return;
    const faults = new Map();
    for (const f of this.snapshot.faults ?? []) if (f.label !== "crash") for (const address of f.nodes) faults.set(address, [...(faults.get(address) ?? []), f.label]);
    for (const n of this.snapshot.nodes) this.drawCard(this.cards.get(n.address), n, faults.get(n.address) ?? []);
    this.drawEdges();
  }

  drawCard(card, n, faults) {
    const { width: w, height: h, tile } = this.size;
    const at = this.places.get(n.address);
    const gone = isGone(n);
    const top = tile ? 18 : 25;
    const full = !gone && n.slots > 0 && n.running >= n.slots && n.queued >= n.room;
    const lasts = age((new Date(this.snapshot.at) - new Date(n.since)) / 1000);
    const fails = !gone && failing(n.rates).much;
    set(card.group, { transform: `translate(${at.x - w / 2} ${at.y - h / 2})`, class: `node ${n.state}${fails ? " failing" : ""}${n.address === this.selected ? " selected" : ""}`,
      "aria-pressed": n.address === this.selected, "aria-label": this.words(n, faults, lasts) });
    set(card.box, { width: w, height: h, rx: n.state === "dead" ? 0 : 8 });
    set(card.cross, { d: n.state === "dead" || n.state === "left" ? `M8 ${top}L${w - 8} ${h - 10}M${w - 8} ${top}L8 ${h - 10}` : "" });
    const room = tile ? 8 : 17;
    const name = n.address.length <= room ? n.address : `…${n.address.slice(Math.max(this.prefix, n.address.length - room + 1))}`;
    set(card.name, { x: w / 2, y: tile ? 13 : 17, "text-anchor": "middle" });
    say(card.name, name);
    say(card.title, this.words(n, faults, lasts));
    const shown = gone ? { slots: 0, running: 0, room: 0, queued: 0 } : { ...n, room: n.room < 1e6 ? n.room : n.queued };
    const unlimited = !gone && n.slots === 0 && n.running > 0; // each task has a slot
    places(card.slots, { y: top, total: unlimited ? n.running : shown.slots, taken: shown.running, width: w - (tile ? 12 : 52), x: tile ? 6 : 9, size: tile ? 8 : 11, round: false });
    places(card.room, { y: tile ? 29 : 41, total: shown.room, taken: shown.queued, width: w - (tile ? 12 : 52), x: tile ? 6 : 9, size: tile ? 8 : 11, round: true });
    const words = !tile && !gone;
    set(card.slotsText, { x: w - 9, y: 35 });
    say(card.slotsText, words ? `${n.running}/${limit(n.slots)}` : "");
    set(card.roomText, { x: w - 9, y: 51 });
    say(card.roomText, words && n.room > 0 ? `${n.queued}/${limit(n.room)}` : "");
    set(card.rates, { x: w / 2, y: words ? 68 : 46, "text-anchor": "middle" });
    say(card.rates, n.state === "suspect" && gone && !tile ? "does not answer" : words ? `${number(n.rates.arrived_per_second)}/s in · ${number(n.rates.executed_per_second)}/s run` : "");
    const badge = [fails ? (tile ? "!" : `! ${failing(n.rates).text} fail`) : "", n.state !== "alive" ? `${tile ? STATES[n.state].slice(0, 1) : STATES[n.state]}${tile ? "" : ` ${lasts}`}` : "",
      tile && faults.length ? (fails ? "" : "!") : faults.join(", "), full && faults.length === 0 && !fails ? (tile ? "" : "full") : ""].filter(Boolean).join(" · ");
    say(card.badgeText, badge);
    const length = badge ? card.badgeText.getComputedTextLength() + 12 : 0;
    set(card.badgeText, { x: w / 2, y: tile ? h + 3 : h + 9, "text-anchor": "middle" });
    set(card.badge, { x: w / 2 - length / 2, y: tile ? h - 9 : h - 3, width: length, height: badge ? 16 : 0, rx: 8 });
  }

  words(n, faults, lasts) {
    const failed = failing(n.rates);
    const share = failed.ended > 0 ? `, ${failed.text} of its clients' requests failed` : "";
    const load = isGone(n) ? "" : `, ${n.running} of ${limit(n.slots)} slots busy, ${n.queued} of ${n.room} places taken by waiting tasks${share}`;
    return `node ${n.address}, ${n.state} for ${lasts}${load}${faults.length ? `, fault: ${faults.join(", ")}` : ""}`;
  }

  drawEdges() {
    const strongest = [...this.snapshot.forwards].filter((f) => this.places.has(f.from) && this.places.has(f.to))
      .sort((a, b) => b.per_second - a.per_second);
    const of = this.selected ? strongest.filter((f) => f.from === this.selected || f.to === this.selected) : [];
    const drawn = new Set();
    strongest.slice(0, MOST_EDGES).concat(of).forEach((f) => {
      const key = `${f.from} ${f.to}`;
      if (drawn.has(key)) return;
      drawn.add(key);
      const mine = f.from === this.selected || f.to === this.selected;
      this.drawEdge(key, f, this.selected && !mine, mine || (!this.selected && strongest.length <= MOST_RATES));
    });
    for (const [key, e] of this.edges) {
      if (!drawn.has(key)) {
        e.group.remove();
        this.edges.delete(key);
      }
    }
  }

  drawEdge(key, f, faint, rated) {
    let e = this.edges.get(key);
    if (!e) {
      e = { base: svg("path", { class: "base" }), dots: svg("path", { class: "dots" }), tip: svg("path", { class: "tip" }), rate: svg("text", { class: "rate", "text-anchor": "middle" }) };
      e.group = svg("g", {}, e.base, e.dots, e.tip, e.rate);
      this.edgeLayer.append(e.group);
      this.edges.set(key, e);
      const c = this.curve(this.places.get(f.from), this.places.get(f.to));
      for (const path of [e.base, e.dots]) set(path, { d: c.d });
      set(e.tip, { d: "M0 0L-9 -4.5L-9 4.5Z", transform: `translate(${c.end.x} ${c.end.y}) rotate(${c.angle})` });
      set(e.rate, { x: c.middle.x, y: c.middle.y + 4 });
    }
    const gap = SPACING.find(([from]) => f.per_second >= from)[1];
    if (e.gap !== gap) {
      e.gap = gap;
      e.dots.style.setProperty("--gap", `${gap}px`);
      e.dots.style.setProperty("--lasts", `${gap / SPEED}s`);
    }
    set(e.group, { class: `edge${faint ? " faint" : ""}`, "data-from": f.from, "data-to": f.to });
    set(e.base, { "stroke-width": (1 + Math.min(4, Math.sqrt(f.per_second))).toFixed(1) });
    say(e.rate, rated ? `${number(f.per_second)}/s` : "");
  }

  // curve leads from the edge of one card to that of another, bent to the right of its way: so that there and back are two.
  curve(a, b) {
    const length = Math.hypot(b.x - a.x, b.y - a.y) || 1;
    const bend = Math.min(46, 16 + 0.08 * length);
    let c = { x: (a.x + b.x) / 2 - ((b.y - a.y) / length) * bend, y: (a.y + b.y) / 2 + ((b.x - a.x) / length) * bend };
    if (this.middle) c = { x: c.x + 0.12 * (this.middle.x - c.x), y: c.y + 0.12 * (this.middle.y - c.y) };
    const start = this.border(a, c, 2);
    const end = this.border(b, c, 4);
    return { d: `M${fixed(start)}Q${fixed(c)} ${fixed(end)}`, end, angle: (Math.atan2(end.y - c.y, end.x - c.x) * 180) / Math.PI,
      middle: { x: (start.x + 2 * c.x + end.x) / 4, y: (start.y + 2 * c.y + end.y) / 4 } };
  }

  // border is where the line from a card's middle towards a point leaves the card, and so far beyond.
  border(at, towards, beyond) {
    const dx = towards.x - at.x;
    const dy = towards.y - at.y;
    const scale = Math.min((this.size.width / 2 + beyond) / Math.abs(dx || 1e-9), (this.size.height / 2 + beyond) / Math.abs(dy || 1e-9));
    return { x: at.x + dx * Math.min(1, scale), y: at.y + dy * Math.min(1, scale) };
  }
}

const fixed = (p) => `${p.x.toFixed(1)} ${p.y.toFixed(1)}`;

// commonPrefix is how many characters all have in common at their beginning, up to a dot or a colon.
function commonPrefix(texts) {
  if (texts.length < 2) return 0;
  let n = 0;
  while (n < texts[0].length && texts.every((t) => t[n] === texts[0][n])) n++;
  while (n > 0 && !".:".includes(texts[0][n - 1])) n--;
  return Math.max(0, n - 1);
}

// places draws slots as squares, or places of a waiting room as rounds: those that are taken are filled. Many are a bar.
function places(group, { x, y, total, taken, width, size, round }) {
  const many = total > SQUARES;
  const pitch = many ? width : Math.min(size + 3, width / Math.max(1, total));
  const side = many ? size : Math.min(size, pitch - 2);
  const key = `${x} ${y} ${many} ${total} ${side}`;
  if (group.dataset.key !== key) {
    group.dataset.key = key;
    const shape = (i) => svg("rect", { x: (x + i * pitch).toFixed(1), y, width: many ? width : side.toFixed(1), height: side.toFixed(1),
      rx: round ? (side / 2).toFixed(1) : 1.5 });
    group.replaceChildren(...Array.from({ length: many ? 2 : total }, (_, i) => shape(many ? 0 : i)));
  }
  [...group.children].forEach((s, i) => {
    if (many && i === 1) set(s, { class: "taken", width: ((width * Math.min(taken, total)) / total).toFixed(1) });
    else set(s, { class: !many && i < taken ? "taken" : "free" });
  });
  set(group, { "data-taken": taken });
}
