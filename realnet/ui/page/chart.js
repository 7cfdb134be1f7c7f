// Charts over time: lines, or columns on top of each other. What they show is told by dashes, patterns and words, not by
// colours alone.

import { el, onResize, set, svg } from "./dom.js";
import { ticks } from "./format.js";

const HEIGHT = 148;
const LEFT = 54;
const RIGHT = 12;
const TOP = 8;
const BOTTOM = 22;

export class Chart {
  // series are {key, label, kind} with kind "solid", "dashed", or a pattern of style.css; value writes a number of the axis;
  // when writes an instant for the readout.
  constructor(parent, { name, series, stacked = false, value, when }) {
    Object.assign(this, { name, series, stacked, value, when, points: [], marks: [], cursor: null, at: null });
    this.svg = svg("svg", { class: "chart", height: HEIGHT, tabindex: 0, role: "img",
      pointermove: (e) => this.point(e.offsetX), pointerleave: () => this.point(null), keydown: (e) => this.key(e), blur: () => this.point(null) });
    this.readout = el("p", { class: "readout" });
    this.keys = el("ul", { class: "legend" }, ...series.map((s) => el("li", { "data-key": s.key }, swatch(s, stacked), s.label)));
    parent.append(this.svg, el("div", { class: "below" }, this.keys, this.readout));
    onResize(parent, (width) => {
      this.width = width;
      this.draw();
    });
  }

  // show draws points {at, key: number or null, ...} between two instants; marks are {at, until, label}.
  show(points, from, to, { marks = [], cursor = null, labels = [] } = {}) {
    Object.assign(this, { points, from, to, marks, cursor, labels });
    for (const k of this.keys.children) k.hidden = points.every((p) => (p[k.dataset.key] ?? null) === null);
    this.draw();
  }

  x(at) {
    return LEFT + ((at - this.from) / (this.to - this.from)) * (this.width - LEFT - RIGHT);
  }

  draw() {
    if (!this.width || !(this.to > this.from)) return;
    const points = this.points.filter((p) => p.at >= this.from && p.at <= this.to);
    const top = Math.max(0, ...points.map((p) => (this.stacked ? this.series.reduce((sum, s) => sum + (p[s.key] ?? 0), 0) :
      Math.max(...this.series.map((s) => p[s.key] ?? 0)))));
    const scale = ticks(top, 3);
    const max = scale.at(-1);
    this.y = (v) => HEIGHT - BOTTOM - (v / max) * (HEIGHT - TOP - BOTTOM);
    const drawn = [];
    for (const v of scale) {
      const y = Math.round(this.y(v)) + 0.5;
      drawn.push(svg("line", { class: v === 0 ? "axis" : "grid", x1: LEFT, x2: this.width - RIGHT, y1: y, y2: y }),
        svg("text", { class: "tick", x: LEFT - 6, y: y + 4, "text-anchor": "end" }, this.value(v)));
    }
    const shown = this.labels.filter((l) => l.at >= this.from && l.at <= this.to);
    shown.forEach((l, i) => drawn.push(svg("text", { class: "tick", x: this.x(l.at), y: HEIGHT - 5,
      "text-anchor": i === 0 ? "start" : i === shown.length - 1 ? "end" : "middle" }, l.text)));
    for (const m of this.marks) {
      const x = this.x(Math.max(m.at, this.from));
      const end = this.x(Math.min(m.until ?? this.to, this.to));
      if (end > x) drawn.push(svg("rect", { class: "fault", x, y: TOP, width: Math.max(1, end - x), height: HEIGHT - TOP - BOTTOM }));
    }
    drawn.push(...(this.stacked ? this.columns(points) : this.lines(points)));
    if (this.cursor !== null) {
      drawn.push(svg("line", { class: "cursor", x1: this.x(this.cursor), x2: this.x(this.cursor), y1: TOP, y2: HEIGHT - BOTTOM }));
    }
    this.hair = svg("line", { class: "hair", y1: TOP, y2: HEIGHT - BOTTOM });
    this.svg.replaceChildren(...drawn, this.hair);
    this.tell();
  }

  lines(points) {
    return this.series.map((s) => {
      let path = "";
      let open = false;
      for (const p of points) {
        if (p[s.key] === null || p[s.key] === undefined) {
          open = false;
          continue;
        }
        path += `${open ? "L" : "M"}${this.x(p.at).toFixed(1)} ${this.y(p[s.key]).toFixed(1)}`;
        if (!open) path += "h0.01"; // one alone is a dot
        open = true;
      }
      return svg("path", { class: `line ${s.kind}`, d: path });
    });
  }

  columns(points) {
    const drawn = [];
    const step = Math.min(...points.slice(1).map((p, i) => p.at - points[i].at), this.to - this.from);
    const gap = this.x(this.from + step) - LEFT > 3 ? 0.7 : 0;
    points.forEach((p, i) => {
      const since = i > 0 && p.at - points[i - 1].at < 3 * step ? points[i - 1].at : p.at - step;
      const x = Math.max(LEFT, this.x(since));
      let base = 0;
      for (const s of this.series) {
        const v = p[s.key] ?? 0;
        if (v > 0) {
          const y = this.y(base + v);
          drawn.push(svg("rect", { class: `column ${s.kind}`, x: x.toFixed(1), width: Math.max(0.5, this.x(p.at) - x - gap).toFixed(1), y: y.toFixed(1), height: (this.y(base) - y).toFixed(1) }));
          base += v;
        }
      }
    });
    return drawn;
  }

  point(x) {
    this.at = x === null || !(this.to > this.from) ? null : this.from + ((x - LEFT) / (this.width - LEFT - RIGHT)) * (this.to - this.from);
    this.tell();
  }

  key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || this.points.length === 0) return;
    event.preventDefault();
    event.stopPropagation();
    const now = this.nearest();
    const i = now < 0 ? this.points.length - 1 : Math.min(this.points.length - 1, Math.max(0, now + step));
    this.at = this.points[i].at;
    this.tell();
  }

  nearest() {
    if (this.at === null) return -1;
    let best = -1;
    this.points.forEach((p, i) => {
      if (best < 0 || Math.abs(p.at - this.at) < Math.abs(this.points[best].at - this.at)) best = i;
    });
    return best;
  }

  // tell writes what the chart says where somebody points to, and at its end for who does not see it.
  tell() {
    const i = this.nearest();
    const words = (p) => this.series.filter((s) => p[s.key] !== null && p[s.key] !== undefined).map((s) => `${s.label} ${this.value(p[s.key])}`).join(", ") || "none";
    this.hair?.toggleAttribute("hidden", i < 0);
    if (i >= 0) {
      const p = this.points[i];
      set(this.hair, { x1: this.x(p.at), x2: this.x(p.at) });
      this.readout.textContent = `${this.when(p.at, this.to)}: ${words(p)}`;
    } else {
      this.readout.textContent = "";
    }
    const last = this.points.at(-1);
    set(this.svg, { "aria-label": `${this.name}${last ? `, last: ${words(last)}` : ""}. Left and right arrow keys read it.` });
  }
}

// swatch is a sample of a series for a legend.
export function swatch(s, area) {
  return svg("svg", { class: "swatch", width: 22, height: 12, "aria-hidden": "true" },
    area ? svg("rect", { class: `column ${s.kind}`, x: 3, y: 1, width: 16, height: 10 }) : svg("path", { class: `line ${s.kind}`, d: "M0 6H22" }));
}
