"use strict";
(() => {
  const form = document.querySelector("form.search");
  if (!form) return;
  const input = form.querySelector("input");
  const count = form.querySelector("output");
  const rows = [...document.querySelectorAll("tbody.searched tr")];
  const words = rows.map((row) => row.textContent.toLowerCase());
  function apply() {
    const wanted = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, place) => {
      row.hidden = !wanted.every((word) => words[place].includes(word));
      shown += !row.hidden;
    });
    count.textContent = wanted.length ? `${shown} of ${rows.length} rows` : `${rows.length} rows`;
  }
  input.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  apply();
})();
