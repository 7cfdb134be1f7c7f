// Numbers for people: three digits at most, and a unit.

const digits = (x) => (x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x.toFixed(2));
const trim = (s) => (s.includes(".") ? s.replace(/\.?0+$/, "") : s);

// seconds writes a duration.
export function seconds(x) {
  if (x === null || x === undefined) return "–";
  if (x === 0) return "0 s";
  if (x < 1e-3) return `${trim(digits(x * 1e6))} µs`;
  if (x < 0.9995) return `${trim(digits(x * 1e3))} ms`;
  if (x < 100) return `${trim(digits(x))} s`;
  const s = Math.round(x);
  return s < 3600 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
}

// age writes how long something lasts, in whole seconds.
export const age = (x) => seconds(Math.max(0, Math.round(x)));

// number writes a rate or a count.
export function number(x) {
  if (x === 0) return "0";
  if (Math.abs(x) < 0.1) return trim(x.toFixed(2));
  return Math.abs(x) < 10 ? trim(x.toFixed(1)) : x.toFixed(0);
}

// percent writes a share.
export const percent = (x) => (x > 0 && x < 0.001 ? "< 0.1 %" : `${number(100 * x)} %`);

// failing says what share of the requests that ended failed, by rates, and whether that is much; –: none ended.
export function failing(rates) {
  const dropped = rates.rejected_per_second + rates.expired_per_second + rates.lost_per_second;
  const ended = rates.completed_per_second + dropped;
  if (!(ended > 0)) return { text: "–", much: false, share: 0, ended };
  const share = Math.min(1, (dropped + rates.faulty_per_second) / ended);
  return { text: percent(share), much: share >= 0.01, share, ended };
}

// clock writes an instant of a time line in seconds: 2:05.3.
export function clock(x) {
  const s = Math.max(0, x);
  return `${Math.floor(s / 60)}:${(s % 60).toFixed(1).padStart(4, "0")}`;
}

// count writes how many there are of something.
export const count = (n, one) => `${n} ${one}${n === 1 ? "" : "s"}`;

// ticks are round numbers from 0 to at least max, about so many.
export function ticks(max, about) {
  if (!(max > 0)) return [0, 1];
  const rough = max / about;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((m) => m * power >= rough * 0.999);
  const all = [];
  for (let i = 0; ; i++) {
    all.push(i * step);
    if (i * step >= max * 0.999) return all;
  }
}
