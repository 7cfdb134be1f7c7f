// The time line of a run: it asks for what the cluster was like at an instant, again and again.

import { el, say } from "./dom.js";
import { clock } from "./format.js";
import { read } from "./source.js";

const FRAME = 200; // milliseconds between two frames
const SPEEDS = [0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 50];
const STEP = 1 / 100; // of the run
const SHORT = 1 / 100; // of it, what a mark takes at least

export class Player {
  // onFrame gets a snapshot, its instant, and whether it does not follow from the one before.
  constructor(parent, source, onFrame, { onPlay, onStatus }) {
    Object.assign(this, { source, onFrame, onPlay, onStatus, at: source.from, playing: false, speed: 1, asking: false, seeked: true });
    this.button = el("button", { type: "button", click: () => this.play(!this.playing) }, "Play");
    this.range = el("input", { type: "range", id: "time", min: source.from, max: source.to, step: "any", value: source.from, "aria-label": "Time",
      input: () => this.seek(Number(this.range.value)) });
    this.time = el("output", { for: "time" });
    this.select = el("select", { id: "speed", change: () => (this.speed = Number(this.select.value)) },
      ...SPEEDS.map((s) => el("option", { value: s, selected: s === 1 }, `${s}×`)));
    this.line = el("div", { class: "line" }, this.range, this.faults());
    parent.hidden = false;
    parent.append(this.button, this.line, this.time, el("label", { for: "speed" }, "Speed"), this.select);
    setInterval(() => this.tick(), FRAME);
    this.frame();
  }

  // faults are marks under the time line, in as many rows as it takes for none to lie on another; what they are is their text.
  faults() {
    const length = this.source.to - this.source.from;
    const free = []; // by row, until when it is taken
    const list = el("ul", { class: "faults" });
    for (const f of this.source.faults) {
      const from = Math.max(this.source.from, f.at);
      const to = Math.max(from, Math.min(this.source.to, f.until ?? this.source.to));
      let lane = free.findIndex((until) => until <= from);
      if (lane < 0) lane = free.length;
      free[lane] = Math.max(to, from + length * SHORT);
      const whole = `${f.name}, ${clock(f.at)} to ${f.until ? clock(f.until) : "the end"}`;
      const short = to - from < 6 * length * SHORT;
      const mark = el("li", {}, el("button", { type: "button", class: short ? "mark short" : "mark", title: whole, "aria-label": whole, click: () => this.seek(from) }, short ? "" : f.name));
      mark.style.setProperty("--from", `${(100 * (from - this.source.from)) / length}%`);
      mark.style.setProperty("--lasts", `${(100 * (to - from)) / length}%`);
      mark.style.setProperty("--lane", lane);
      list.append(mark);
    }
    list.style.setProperty("--lanes", free.length);
    return list;
  }

  play(on) {
    if (on && this.at >= this.source.to) this.seek(this.source.from);
    this.playing = on;
    say(this.button, on ? "Pause" : "Play");
    this.onPlay(on);
  }

  tick() {
    if (!this.playing || document.hidden) return;
    this.at = Math.min(this.source.to, this.at + (this.speed * FRAME) / 1000);
    this.frame();
    if (this.at >= this.source.to) this.play(false);
  }

  seek(at) {
    this.at = Math.min(this.source.to, Math.max(this.source.from, at));
    this.seeked = true;
    this.frame();
  }

  step(way) {
    this.seek(this.at + way * STEP * (this.source.to - this.source.from));
  }

  faster(way) {
    const i = Math.min(SPEEDS.length - 1, Math.max(0, SPEEDS.indexOf(this.speed) + way));
    this.speed = SPEEDS[i];
    this.select.value = String(this.speed);
  }

  // frame shows the instant; while one is asked for, no other is.
  async frame() {
    this.range.value = this.at;
    say(this.time, `${clock(this.at)} of ${clock(this.source.to)}`);
    this.range.setAttribute("aria-valuetext", clock(this.at));
    if (this.asking) return;
    this.asking = true;
    try {
      for (let asked = null; asked !== this.at; ) {
        asked = this.at;
        const seeked = this.seeked;
        this.seeked = false;
        this.onFrame(await read(`cluster?at=${asked}`), asked, seeked);
      }
      this.onStatus(this.playing ? "playing" : "stopped", false);
    } catch (error) {
      this.onStatus(`no connection to p2pfaas play (${error.message})`, true);
    } finally {
      this.asking = false;
    }
  }
}
