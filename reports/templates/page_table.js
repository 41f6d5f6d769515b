"use strict";
// One table: its rows sorted, filtered, and shown a window at a time, so that ten thousand stay quick.

const WINDOW = 100;
const PRINTED = 1000;
const collator = new Intl.Collator("en", { numeric: true });

class TableView {
  constructor({ name, notes, rows }) {
    this.name = name;
    this.notes = notes;
    this.rows = rows.map((row, order) => new Row(row, order));
    this.section = document.getElementById(`table-${name}`);
    this.body = this.section.querySelector("tbody");
    if (!this.body) return;
    this.table = this.body.parentElement;
    this.heads = [...this.table.tHead.rows[0].cells];
    this.columns = this.heads.map((head) => ({
      key: head.dataset.key, title: head.textContent, head: "head" in head.dataset,
      number: head.classList.contains("number"), code: head.classList.contains("code"), css: head.className,
      spaced: / i\d/.test(head.className), arm: head.dataset.arm ?? "", device: head.dataset.device ?? "", hidden: false,
    }));
    this.sorted = { index: -1, up: true };
    this.baseline = data.baseline;
    this.shown = this.rows;
    this.start = 0;
    this.size = WINDOW;
    this.part = this.section.querySelector("details");
    this.told = this.section.querySelector(".size");
    this.part?.addEventListener("toggle", () => { if (this.part.open && this.stale) this.render(); });
    this.footnotes = this.section.querySelector(".footnotes");
    const left = this.section.querySelector(".left");
    if (left) left.remove();
    this.heads.forEach((head, index) => {
      head.replaceChildren(button(head.textContent, () => this.sort(index), { title: "Sort by this column" }));
      head.setAttribute("aria-sort", "none");
    });
    this.pages = element("div", { class: "pages", hidden: "" });
    this.table.parentElement.after(this.pages);
    this.scale = this.columns.some((column) => column.key === "speedup") ? this.whiskerScale() : null;
    this.render();
  }

  /** Sort by a column: up, down, as it was. Rows without a number stay last either way. */
  sort(index) {
    const { index: before, up } = this.sorted;
    this.sorted = index !== before ? { index, up: true } : up ? { index, up: false } : { index: -1, up: true };
    this.heads.forEach((head, place) => {
      const on = place === this.sorted.index;
      head.setAttribute("aria-sort", on ? (this.sorted.up ? "ascending" : "descending") : "none");
    });
    this.start = 0;
    this.order();
    this.render();
  }

  order() {
    const { index, up } = this.sorted;
    if (index < 0) {
      this.shown = [...this.shown].sort((a, b) => a.order - b.order);
      return;
    }
    const number = this.columns[index].number;
    const keyed = this.shown.map((row) => {
      const { main } = this.cell(row, index);
      return { row, key: number ? numberOf(main) : main };
    });
    keyed.sort((a, b) => {
      if (number && (Number.isNaN(a.key) || Number.isNaN(b.key))) {
        return Number.isNaN(a.key) - Number.isNaN(b.key) || a.row.order - b.row.order;
      }
      const order = number ? a.key - b.key || 0 : collator.compare(a.key, b.key);
      return (up ? order : -order) || a.row.order - b.row.order;
    });
    this.shown = keyed.map((item) => item.row);
  }

  /**
   * Keep the rows and columns that fit; returns how many rows. What is about no backend (workload, ...) fits any choice
   * of one; where no column about the chosen ones is left, no row says anything of them.
   */
  filter(fits, chosen) {
    if (!this.body) return 0;
    const about = this.columns.filter((column) => column.arm !== "" || column.device !== "");
    for (const column of about) column.hidden = !chosen(column);
    this.heads.forEach((head, index) => { head.hidden = this.columns[index].hidden; });
    const bare = about.length > 0 && about.every((column) => column.hidden);
    this.shown = bare ? [] : this.rows.filter(fits);
    this.start = 0;
    if (this.sorted.index >= 0) this.order();
    const [shown, all] = [this.shown.length, this.rows.length];
    if (this.told) this.told.textContent = `${shown < all ? `${shown} of ` : ""}${all} ${all === 1 ? "row" : "rows"}`;
    this.render();
    return shown;
  }

  cell(row, index) {
    return againstCell(this, row, index) || row.cell(index);
  }

  /** Show the window of rows; a table in a closed part waits until it is opened. */
  render() {
    if (!this.body) return;
    this.stale = this.part !== null && !this.part.open;
    if (this.stale) return;
    const rows = this.shown.slice(this.start, this.start + this.size);
    this.body.replaceChildren(...rows.map((row, place) => this.line(row, this.start + place)));
    this.table.setAttribute("aria-rowcount", this.shown.length + 1);
    this.renderNotes(rows);
    this.renderPages();
  }

  /** Show so many rows at once. */
  resize(size) {
    if (size === this.size) return;
    this.size = size;
    if (this.shown.length > WINDOW || this.stale) this.render();
  }

  line(row, place) {
    const item = casesByKey.get(caseKey(row.about.arm, row.about.point));
    const cells = this.columns.map((column, index) => {
      const cell = this.cell(row, index);
      const parts = printed(cell, column.code, this.name, column.spaced);
      if (column.head && item) parts[0] = element("a", { href: `#case-${item.id}` }, ...parts.slice(0, 1));
      const drawing = column.key === "speedup" && this.scale;
      const css = [column.css, ...cell.flags, ...(drawing ? ["drawn"] : [])].join(" ");
      if (drawing) parts.unshift(this.whisker(cell));
      const scope = column.head ? "row" : null;
      return element(column.head ? "th" : "td", { class: css, scope, hidden: column.hidden ? "" : null }, ...parts);
    });
    const current = item && item.id === chosen.id ? "true" : null;
    const line = element("tr", { "aria-rowindex": place + 2, "data-case": item ? item.id : null, "aria-current": current }, ...cells);
    if (row.about.status && !["ok", ""].includes(row.about.status)) line.classList.add("not-ok");
    return line;
  }

  renderNotes(rows) {
    const marks = new Set();
    for (const row of rows) {
      this.columns.forEach((column, index) => {
        if (!column.hidden) this.cell(row, index).marks.forEach((mark) => marks.add(mark));
      });
    }
    const notes = Object.keys(this.notes).filter((mark) => marks.has(mark)).map((mark) =>
      element("p", { id: `note-${this.name}-${mark}` }, element("sup", {}, mark), ` ${text(this.notes[mark])}`));
    this.footnotes.replaceChildren(...notes, ...againstNotes(this, rows));
  }

  renderPages() {
    const total = this.shown.length;
    this.pages.hidden = total <= this.size && this.start === 0;
    if (this.pages.hidden) return;
    const end = Math.min(this.start + this.size, total);
    const to = (start, label) => {
      const turn = () => {
        this.start = start;
        this.render();
        const again = [...this.pages.querySelectorAll("button")];
        (again.find((item) => item.textContent === label && !item.disabled) || again.find((item) => !item.disabled)).focus();
      };
      return button(label, turn, { disabled: start < 0 || start >= total || start === this.start ? "" : null });
    };
    this.pages.replaceChildren(
      to(0, "First"), to(this.start - this.size, "Previous"),
      element("span", { role: "status" }, `Rows ${this.start + 1} to ${end} of ${total}`),
      to(this.start + this.size, "Next"), to(Math.floor((total - 1) / this.size) * this.size, "Last"),
    );
  }

  /** The range of the intervals of a speed-up, on a logarithmic scale, with 1 in it. */
  whiskerScale() {
    const index = this.columns.findIndex((column) => column.key === "speedup");
    let low = 1;
    let high = 1;
    for (const row of this.rows) {
      const { main, interval } = this.cell(row, index);
      for (const value of ends(interval) || [numberOf(main)]) {
        if (value > 0 && Number.isFinite(value)) [low, high] = [Math.min(low, value), Math.max(high, value)];
      }
    }
    const [from, to] = [Math.log(low), Math.log(high)];
    return to > from ? (value) => 3 + (94 * (Math.log(value) - from)) / (to - from) : null;
  }

  /** The interval as a small picture beside its numbers; a line stands at 1. */
  whisker({ main, interval }) {
    const value = numberOf(main);
    const picture = drawn("svg", { class: "whisker", viewBox: "0 0 100 12", "aria-hidden": "true" });
    const one = this.scale(1);
    picture.append(drawn("line", { class: "one", x1: one, x2: one, y1: 0, y2: 12 }));
    if (!(value > 0)) return picture;
    const range = ends(interval);
    if (range) {
      picture.append(drawn("line", { class: "range", x1: this.scale(range[0]), x2: this.scale(range[1]), y1: 6, y2: 6 }));
    }
    picture.append(drawn("circle", { cx: this.scale(value), cy: 6, r: 2.6 }));
    return picture;
  }
}

