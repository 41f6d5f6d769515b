"use strict";
// One case in full, under an address of its own (#case-ID): its rows in all tables, its calls, what it was given and did.

const ROWS_EACH = 12;
const POINT_COLUMNS = ["point", "backend", "arm"];

function casePanel(views) {
  const dialog = document.getElementById("case");
  let opener = null;

  function show() {
    const match = fragment().match(/^case-(.+)$/);
    const item = match && casesById.get(match[1]);
    if (!item) {
      if (dialog.open) dialog.close();
      return;
    }
    if (!dialog.open) opener = document.activeElement;
    choose(item.id);
    const calls = element("div", { class: "plot" });
    dialog.replaceChildren(...content(item, views, calls));
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
    dialog.querySelector("h2").focus();
    drawCalls(item, calls);
  }

  dialog.addEventListener("close", () => {
    if (location.hash.startsWith("#case-")) history.replaceState(null, "", "#");
    if (opener && opener.isConnected) opener.focus({ preventScroll: true });
    else document.querySelector(`tr[data-case="${CSS.escape(chosen.id)}"] a`)?.focus();
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  addEventListener("hashchange", show);
  show();
}

function content(item, views, calls) {
  const tables = (closed) => views.filter((view) => view.body && (view.section.querySelector("details") !== null) === closed)
    .map((view) => rowsOf(item, view)).filter((part) => part !== null);
  const away = views.find((view) => view.baseline !== data.baseline);
  const close = button("Close", (event) => event.target.closest("dialog").close(), { class: "close" });
  const status = item.status.replace(/_/g, " ");
  return [
    element("div", { class: "head" }, close,
      element("h2", { id: "case-title", tabindex: -1 }, `${item.arm} on ${item.point}`),
      element("p", { class: "facts" }, element("strong", { class: item.status === "ok" ? "good" : "bad" }, status), ` · ${item.proof} · case ${item.id}`),
      siblings(item)),
    away ? element("p", { class: "note" }, familyOf(away.baseline)) : null,
    item.remark ? element("p", { class: "remark" }, item.remark) : null,
    item.log ? element("section", {}, element("h3", {}, "End of its log"), element("pre", { tabindex: 0 }, item.log)) : null,
    ...tables(false),
    callsPart(item, calls),
    ...item.sections.map(sectionOf).map(fieldsOf),
    ...tables(true),
    environment(views),
  ].filter((part) => part !== null);
}

function siblings(item) {
  const others = cases.filter((other) => other.point === item.point);
  if (others.length < 2) return null;
  const links = others.map((other) => element("li", {}, element("a", {
    href: `#case-${other.id}`, "aria-current": other === item ? "page" : null }, other.arm)));
  return element("nav", { "aria-label": `Backends on ${item.point}` }, element("ul", {}, ...links));
}

/** The rows of one table that concern a case, columns downwards. */
function rowsOf(item, view) {
  const rows = view.rows.filter((row) => concerns(row.about, item));
  if (!rows.length) return null;
  const taken = rows.slice(0, ROWS_EACH);
  const lines = view.columns.flatMap((column, index) => {
    const cells = taken.map((row) => view.cell(row, index));
    if (POINT_COLUMNS.includes(column.key) || cells.every((cell) => cell.main === "")) return [];
    const values = cells.map((cell) => element("td", {}, ...printed(cell, column.code, null)));
    return [element("tr", {}, element("th", { scope: "row" }, column.title), ...values)];
  });
  const marks = new Set(taken.flatMap((row) => view.columns.flatMap((_, index) => view.cell(row, index).marks)));
  const notes = Object.keys(view.notes).filter((mark) => marks.has(mark)).map((mark) =>
    element("p", { class: "note" }, element("sup", {}, mark), ` ${text(view.notes[mark])}`));
  if (rows.length > ROWS_EACH) notes.push(element("p", { class: "note" }, `${ROWS_EACH} of ${rows.length} rows.`));
  const title = view.section.querySelector("h3").textContent;
  return element("section", {}, element("h3", {}, title),
    element("div", { class: "scroll" }, element("table", { "aria-label": title }, element("tbody", {}, ...lines))), ...notes);
}

function fieldsOf({ title, fields }) {
  const pairs = fields.flatMap((field) => [
    element("dt", {}, field.name, field.differs ? element("span", { class: "differs" }, " differs") : null),
    element("dd", {}, field.text),
  ]);
  return element("section", {}, element("h3", {}, title), element("dl", {}, ...pairs));
}

function callsPart(item, calls) {
  if (!item.launches.length) return null;
  const rows = item.launches.map((launch) => element("tr", {}, ...[
    launch.round, launch.position, launch.total, launch.cut,
    launch.median === null ? launch.remark || "–" : figures(launch.median),
  ].map((value) => element("td", { class: "number" }, String(value)))));
  const heads = ["Round", "Position", "Calls", "Warm-up", "Median [ms]"];
  const table = element("table", { "aria-label": "Launches" },
    element("thead", {}, element("tr", {}, ...heads.map((head) => element("th", { scope: "col", class: "number" }, head)))),
    element("tbody", {}, ...rows));
  return element("section", { class: "of-calls" }, element("h3", {}, "Every call, in the order of time"), calls,
    element("p", { class: "told", role: "status" }),
    element("details", {}, element("summary", {}, "The launches as a table"), element("div", { class: "scroll" }, table)));
}

function drawCalls(item, holder) {
  if (!item.launches.length) return;
  return new CallsPlot(holder, [item], true, holder.parentElement.querySelector(".told"));
}

function environment(views) {
  const view = views.find((other) => other.name === "environment");
  if (!view || !view.body) return null;
  const pairs = view.rows.flatMap((row) => [element("dt", {}, row.cell(0).main), element("dd", {}, row.cell(1).main)]);
  return element("details", {}, element("summary", {}, "Environment of the run"), element("dl", {}, ...pairs));
}

