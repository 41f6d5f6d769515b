"use strict";
// Elements are made one by one and texts set as text: no data is ever read as markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes (null leaves one out) and children: elements, or texts. */
function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

function drawn(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

function button(label, act, attributes = {}) {
  const made = element("button", { type: "button", ...attributes }, label);
  made.addEventListener("click", act);
  return made;
}

/**
 * What stands in a cell: the value, its interval, its marks, which point at the notes of the table `name` if it is given.
 * In a column of intervals one without keeps the room, and what is said of it in brackets, as (baseline), stands there.
 */
function printed({ main, interval, flags, marks }, code, name, spaced = false) {
  const said = spaced && !interval ? main.match(/^(\S+) (\(.+\))$/) : null;
  if (said) [, main, interval] = said;
  const strong = flags.includes("best") || flags.includes("tied");
  const parts = [code && main ? element("code", {}, main) : strong ? element("strong", {}, main) : main];
  const sups = marks.map((mark) => element("sup", {}, name ? element("a", { href: `#note-${name}-${mark}` }, mark) : mark));
  if (interval) parts.push(" ", element("span", { class: "interval" }, interval, ...sups));
  else parts.push(...sups);
  if (spaced && !interval) parts.push(" ", element("span", { class: "interval" }));
  return parts;
}

/** What the address names behind its #; empty where nobody could read it. */
function fragment() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return "";
  }
}

/** The number that a cell prints; NaN where it prints none. */
function numberOf(main) {
  if (main.endsWith("∞")) return main.startsWith("−") ? -Infinity : Infinity;
  return parseFloat(main);
}

/** Both ends of `[low, high]`, or null. */
function ends(interval) {
  const found = interval.slice(1, -1).split(", ").map(Number);
  return found.length === 2 && found.every(Number.isFinite) ? found : null;
}

/** The case that the reader chose; rows and marks of it stand out until another is chosen. */
const chosen = { id: null };

function choose(id) {
  chosen.id = id;
  for (const item of document.querySelectorAll("[data-case]")) {
    if (item.dataset.case === id) item.setAttribute("aria-current", "true");
    else item.removeAttribute("aria-current");
  }
  document.dispatchEvent(new CustomEvent("chosen", { detail: id }));
}

/** Light up everything of one case while the pointer or the focus is on a part of it. */
function light(id) {
  for (const item of document.querySelectorAll(".lit")) if (item.dataset.case !== id) item.classList.remove("lit");
  if (id) for (const item of document.querySelectorAll(`[data-case="${CSS.escape(id)}"]`)) item.classList.add("lit");
}

