"use strict";
// The form above the tables: one choice of rows for all of them, and of the columns about a backend or a device, told to
// those who cannot see it.

function filterForm(views) {
  const form = document.querySelector("form.filters");
  const inputs = [...form.querySelectorAll("[data-filter]")];
  const count = document.getElementById("count");
  const total = views.reduce((sum, view) => sum + view.rows.length, 0);
  let waiting = 0;

  function apply() {
    waiting = 0;
    const wanted = inputs.map((input) => [input.dataset.filter, input.value.trim()]).filter(([, value]) => value !== "");
    const words = wanted.filter(([name]) => name === "text").flatMap(([, value]) => value.toLowerCase().split(/\s+/));
    const tags = wanted.filter(([name]) => name !== "text");
    const within = (about) => tags.every(([name, value]) => !about[name] || about[name] === value);
    const fits = (row) => within(row.about) && words.every((word) => row.words.includes(word));
    const found = views.reduce((sum, view) => sum + view.filter(fits, within), 0);
    for (const view of views) view.section.classList.toggle("none", wanted.length > 0 && view.shown.length === 0);
    count.textContent = wanted.length ? `${found} of ${total} rows` : `${total} rows`;
    document.dispatchEvent(new CustomEvent("filtered", { detail: { tags: Object.fromEntries(tags) } }));
  }

  function soon() {
    if (!waiting) waiting = requestAnimationFrame(apply);
  }

  for (const input of inputs) input.addEventListener("input", soon);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(() => {
    setBaselines(views, data.baseline);
    apply();
  }));
  document.getElementById("baseline")?.addEventListener("input", (event) => setBaselines(views, event.target.value));
  count.textContent = `${total} rows`;
  form.hidden = false;
}

