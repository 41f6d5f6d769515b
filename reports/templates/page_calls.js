"use strict";
// Single calls as marks: strips of one workload's backends, or one case in the order of time.

const NEAR = 14;
const LABEL = 24;

/** Every kept call of a case with its place among all calls of the case, from 0 to 1. */
function callsOf(item) {
  const total = item.launches.reduce((sum, launch) => sum + launch.total, 0);
  let before = 0;
  const calls = [];
  for (const launch of item.launches) {
    launch.values.forEach((value, index) => {
      const place = launch.places ? launch.places[index] : index;
      const hollow = place < launch.cut || launch.remark !== "";
      calls.push({ item, launch, value, place, hollow, time: (before + place + 0.5) / total });
    });
    before += launch.total;
  }
  return calls;
}

function told({ item, launch, value, place, hollow }) {
  const kind = launch.remark || (hollow ? "warm-up" : "steady");
  return [`${item.arm}, ${item.point}`, `round ${launch.round}, call ${place + 1} of ${launch.total}: ${figures(value)} ms, ${kind}`, item.proof];
}

class CallsPlot {
  /** `turned`: one case, time from left to right; otherwise a strip for each case, time downwards. */
  constructor(holder, cases, turned, tell) {
    this.holder = holder;
    this.cases = cases.filter((item) => item.launches.some((launch) => launch.values.length || launch.median !== null));
    this.turned = turned;
    this.tell = tell;
    this.tip = element("div", { class: "tip", "aria-hidden": "true", hidden: "" });
    this.draw();
  }

  draw() {
    if (!this.cases.length) {
      this.holder.replaceChildren(element("p", { class: "empty" }, "No call of it was timed here."));
      return;
    }
    const width = Math.max(280, this.holder.clientWidth || 900);
    const wide = width >= 620;
    const longest = Math.max(...this.cases.map((item) => Math.min(item.arm.length, LABEL)));
    const left = this.turned ? 56 : wide ? 24 + 8.2 * longest : 0;
    const height = this.turned ? 190 : (wide ? 52 : 68) * this.cases.length;
    const label = this.turned || wide ? 0 : 18;
    const values = this.cases.flatMap((item) => item.launches.flatMap(
      (launch) => [...launch.values, ...(launch.median === null ? [] : [launch.median])]));
    const axis = this.turned ? axisOf(values, height - 6, 8) : axisOf(values, left + 8, width - 16);
    const name = this.turned ? "Calls in the order of time" : `Calls of ${this.cases.length} backends`;
    this.svg = drawn("svg", { class: "calls", role: "group", "aria-label": name, viewBox: `0 0 ${width} ${height + 38}`, width, height: height + 38 });
    this.svg.append(this.axis(axis, left, width, height));
    this.strips = this.cases.map((item, index) => {
      const [top, bottom] = this.turned ? [0, height] : [(index * height) / this.cases.length + label, ((index + 1) * height) / this.cases.length];
      return this.strip(item, axis, { left, width, top, bottom, wide });
    });
    this.ring = drawn("circle", { class: "ring", r: 6, hidden: "" });
    this.svg.append(...this.strips.map((strip) => strip.group), this.ring);
    this.svg.addEventListener("pointermove", (event) => this.point(event));
    this.svg.addEventListener("pointerleave", () => this.leave());
    this.svg.addEventListener("click", (event) => { if (this.at && !event.target.closest("a")) choose(this.at.item.id); });
    this.holder.replaceChildren(this.svg, this.tip);
  }

  axis(axis, left, width, height) {
    const group = drawn("g", { class: "axis", "aria-hidden": "true" });
    let last = -Infinity;
    for (const tick of axis.ticks) {
      const at = axis.at(tick);
      const words = figures(tick);
      const line = this.turned ? { x1: left, x2: width - 8, y1: at, y2: at } : { x1: at, x2: at, y1: 0, y2: height };
      group.append(drawn("line", line));
      if (this.turned) group.append(drawn("text", { x: left - 6, y: at + 4, "text-anchor": "end" }, words));
      else if (at - last > 9 + 8 * words.length) {
        group.append(drawn("text", { x: at, y: height + 16, "text-anchor": "middle" }, words));
        last = at;
      }
    }
    const title = this.turned ? "ms a call, in the order of time; numbers are rounds" : "ms a call";
    group.append(drawn("text", { x: width - 8, y: height + 34, "text-anchor": "end" }, title));
    return group;
  }

  strip(item, axis, { left, width, top, bottom, wide }) {
    const calls = callsOf(item);
    const room = { start: this.turned ? left + 6 : top + 7, end: this.turned ? width - 14 : bottom - 7 };
    const along = (time) => room.start + (room.end - room.start) * time;
    const marks = drawn("g", { class: "marks" });
    for (const call of calls) {
      [call.x, call.y] = this.turned ? [along(call.time), axis.at(call.value)] : [axis.at(call.value), along(call.time)];
      marks.append(drawn("circle", { cx: call.x.toFixed(1), cy: call.y.toFixed(1), r: 2.2, class: call.hollow ? "hollow" : null }));
    }
    const total = item.launches.reduce((sum, launch) => sum + launch.total, 0);
    let before = 0;
    for (const launch of item.launches) {
      const [from, to] = [along(before / total), along((before + launch.total) / total)];
      before += launch.total;
      if (this.turned) marks.append(drawn("text", { class: "round", x: (from + to) / 2, y: bottom + 16, "text-anchor": "middle" }, String(launch.round)));
      if (launch.median === null) continue;
      const at = axis.at(launch.median);
      marks.append(drawn("line", this.turned ? { class: "median", x1: from, x2: to, y1: at, y2: at } : { class: "median", x1: at, x2: at, y1: from, y2: to }));
    }
    const said = `${item.arm}, ${item.point}: ${total} calls in ${item.launches.length} launches, ${item.proof}`;
    const linked = this.turned ? {} : { "data-case": item.id, "aria-current": item.id === chosen.id ? "true" : null };
    const group = drawn("g", { class: "strip", ...linked });
    group.append(drawn("rect", { class: "ground", x: left, y: top, width: width - left, height: bottom - top }));
    if (!this.turned) group.append(drawn("line", { class: "between", x1: 0, x2: width, y1: bottom, y2: bottom }));
    const strip = { group, calls, top, bottom, cursor: -1 };
    let focus;
    if (this.turned) focus = drawn("g", { tabindex: 0, role: "img", "aria-label": `${said}. Arrow keys go through the calls.` });
    else {
      const at = wide ? { x: left - 8, y: (top + bottom) / 2 + 4, "text-anchor": "end" } : { x: 0, y: top - 4 };
      focus = drawn("a", { href: `#case-${item.id}`, "aria-label": `${said}. Enter opens the case, arrow keys go through its calls.` }, drawn("text", at, cut(item.arm, wide ? LABEL : 40)));
    }
    focus.addEventListener("keydown", (event) => this.key(event, strip));
    focus.addEventListener("focus", () => light(item.id));
    focus.addEventListener("blur", () => this.leave());
    group.append(focus, marks);
    return strip;
  }

  key(event, strip) {
    const steps = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity };
    if (!(event.key in steps) || !strip.calls.length) return;
    event.preventDefault();
    strip.cursor = Math.min(Math.max(strip.cursor + steps[event.key], 0), strip.calls.length - 1);
    this.show(strip.calls[strip.cursor], true);
  }

  point(event) {
    const box = this.svg.getBoundingClientRect();
    const scale = this.svg.viewBox.baseVal.width / box.width;
    const [x, y] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    const strip = this.strips.find((item) => y >= item.top && y < item.bottom);
    light((strip && strip.group.dataset.case) || null);
    let near = null;
    let least = NEAR ** 2;
    for (const call of strip ? strip.calls : []) {
      const distance = (call.x - x) ** 2 + (call.y - y) ** 2;
      if (distance < least) [near, least] = [call, distance];
    }
    if (near) this.show(near, false);
    else this.hide();
  }

  show(call, aloud) {
    this.at = call;
    this.ring.removeAttribute("hidden");
    this.ring.setAttribute("cx", call.x);
    this.ring.setAttribute("cy", call.y);
    const lines = told(call);
    this.tip.replaceChildren(...lines.map((line) => element("div", {}, line)));
    this.tip.hidden = false;
    const scale = this.svg.getBoundingClientRect().width / this.svg.viewBox.baseVal.width;
    const room = this.holder.clientWidth - this.tip.offsetWidth;
    this.tip.style.left = `${Math.max(0, Math.min(call.x * scale + 12, room))}px`;
    this.tip.style.top = `${call.y * scale + 14}px`;
    if (aloud) this.tell.textContent = lines.join("; ");
  }

  hide() {
    this.at = null;
    this.ring.setAttribute("hidden", "");
    this.tip.hidden = true;
  }

  leave() {
    this.hide();
    light(null);
  }
}

const cut = (label, most) => (label.length <= most ? label : `${label.slice(0, most - 1)}…`);

