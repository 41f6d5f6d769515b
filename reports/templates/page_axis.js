"use strict";
// An axis: where values lie, and which round values are marked.

/** Positions and round values for an axis: logarithmic where values differ by more than a factor of 3. */
function axisOf(values, from, to) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
  const spread = high > low ? high - low : high * 0.1 || 1;
  const log = low > 0 && high / low > 3;
  const [first, last] = log ? [low / 1.04, high * 1.04] : [low - 0.04 * spread, high + 0.04 * spread];
  const unit = log ? Math.log : (value) => value;
  const at = (value) => from + ((to - from) * (unit(value) - unit(first))) / (unit(last) - unit(first));
  const ticks = [];
  if (log) {
    for (let power = Math.floor(Math.log10(first)); power <= Math.log10(last); power += 1) {
      for (const digit of high / low > 12 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 7]) ticks.push(digit * 10 ** power);
    }
  } else {
    const rough = (last - first) / 5;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = power * ([1, 2, 5, 10].find((digit) => digit * power >= rough));
    for (let place = Math.ceil(first / step); place * step <= last; place += 1) ticks.push(place * step);
  }
  return { at, ticks: ticks.filter((tick) => tick >= first && tick <= last) };
}

const figures = (value) => String(Number(value.toPrecision(4)));

