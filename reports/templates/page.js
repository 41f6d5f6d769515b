"use strict";
(() => {
  const rows = [...document.querySelectorAll("tbody tr")];
  const form = document.querySelector("form.filters");
  const inputs = [...form.querySelectorAll("[data-filter]")];
  const count = form.querySelector("output");

  function filter() {
    const wanted = inputs.filter((input) => input.value.trim() !== "");
    let visible = 0;
    for (const row of rows) {
      // A row that is about no backend (or workload, ...) at all is hidden by no choice of one.
      row.hidden = !wanted.every((input) => {
        const name = input.dataset.filter;
        if (name === "text") return row.textContent.toLowerCase().includes(input.value.trim().toLowerCase());
        return row.dataset[name] === "" || row.dataset[name] === input.value;
      });
      if (!row.hidden) visible += 1;
    }
    count.textContent = wanted.length ? `${visible} of ${rows.length} rows` : "";
  }

  function sort(head, index) {
    const body = head.closest("table").tBodies[0];
    const ascending = head.getAttribute("aria-sort") !== "ascending";
    for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const numeric = head.classList.contains("number");
    const keyed = [...body.rows].map((row) => {
      const cell = row.cells[index];
      return { row, key: numeric ? parseFloat(cell.dataset.key ?? "NaN") : cell.textContent.trim() };
    });
    keyed.sort((a, b) => {
      // Rows without a number stay last whichever way the others are sorted.
      if (numeric && (Number.isNaN(a.key) || Number.isNaN(b.key))) return Number.isNaN(a.key) - Number.isNaN(b.key);
      const order = numeric ? a.key - b.key : a.key.localeCompare(b.key);
      return ascending ? order : -order;
    });
    body.append(...keyed.map((item) => item.row));
  }

  for (const head of document.querySelectorAll("thead th")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.title = "Sort by this column";
    head.replaceChildren(button);
    const index = [...head.parentElement.children].indexOf(head);
    button.addEventListener("click", () => sort(head, index));
  }
  for (const input of inputs) input.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  document.documentElement.dataset.ready = "yes";
})();
