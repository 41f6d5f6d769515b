"use strict";
// The data of the page: texts by place, rows as [about, cell, ...], as steelyard/tables/page_data.py writes them.

const data = JSON.parse(document.getElementById("data").textContent);
const text = (place) => data.texts[place];
const abouts = data.about.map(([arm, point, workload, status, device]) => ({
  arm: text(arm), point: text(point), workload: text(workload), status: text(status), device: text(device),
}));

/** A cell as { main, interval, flags, marks }, whichever short form it has. */
function cellOf(cell) {
  const [main, interval = "", flags = "", marks = ""] = Array.isArray(cell) ? cell : [cell];
  return {
    main: typeof main === "number" ? text(main) : main, interval,
    flags: flags ? flags.split(" ") : [], marks: marks ? marks.split(",") : [],
  };
}

/** A row with what it is about and, once asked for, its text for searching. */
class Row {
  constructor([about, ...cells], order) {
    this.about = abouts[about];
    this.cells = cells;
    this.order = order;
    this.found = null;
  }

  cell(index) {
    return cellOf(this.cells[index]);
  }

  get words() {
    if (this.found === null) {
      const parts = this.cells.map((cell) => { const { main, interval } = cellOf(cell); return `${main} ${interval}`; });
      this.found = parts.join(" ").toLowerCase();
    }
    return this.found;
  }
}

const caseKey = (arm, point) => `${point}\n${arm}`;

const cases = data.cases.map(([id, arm, point, status, remark, proof, log, sections, launches]) => ({
  id, arm: text(arm), point: text(point), status: text(status), remark: text(remark), proof: text(proof),
  log: text(log), sections, launches: launches.map(launchOf),
}));
const casesByKey = new Map(cases.map((item) => [caseKey(item.arm, item.point), item]));
const casesById = new Map(cases.map((item) => [item.id, item]));

function launchOf([round, position, total, cut, median, remark, values, places]) {
  return { round, position, total, cut, median, remark: text(remark), values, places };
}

/** The fields of a section: [name, text, whether backends differ]. */
function sectionOf(place) {
  const [title, ...flat] = data.sections[place];
  const fields = flat.map(([name, told, differs]) => ({ name: text(name), text: text(told), differs: differs === 1 }));
  return { title: text(title), fields };
}

/** Rows that say something of a case: about it, about its backend everywhere, or about its workload for all. */
function concerns(about, item) {
  const fits = (name) => about[name] === "" || about[name] === item[name];
  return (about.arm !== "" || about.point !== "") && fits("arm") && fits("point");
}

