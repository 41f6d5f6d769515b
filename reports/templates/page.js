"use strict";
// Puts the parts together: tables, filters, figures, the case that the address names, colours, paper.

const views = data.tables.map((table) => new TableView(table)).filter((view) => view.body);

/** Rows and marks of a case light up together; a click on a row chooses its case. */
function linkRows() {
  const of = (event) => event.target.closest("tr[data-case]")?.dataset.case || null;
  for (const view of views) {
    view.body.addEventListener("mouseover", (event) => light(of(event)));
    view.body.addEventListener("mouseleave", () => light(null));
    view.body.addEventListener("focusin", (event) => light(of(event)));
    view.body.addEventListener("focusout", () => light(null));
    view.body.addEventListener("click", (event) => {
      const id = of(event);
      if (id && !event.target.closest("a")) choose(id);
    });
  }
}

/** What an address points at is shown, even inside a part that is closed. */
function revealTarget() {
  const target = document.getElementById(fragment());
  for (let part = target; part; part = part.parentElement) if (part.tagName === "DETAILS") part.open = true;
  const own = target?.querySelector(":scope > details");
  if (own) own.open = true;
  if (target && target.tagName !== "DIALOG") target.scrollIntoView();
}

function colours() {
  const theme = document.getElementById("theme");
  theme.addEventListener("input", () => {
    if (theme.value) document.documentElement.dataset.theme = theme.value;
    else delete document.documentElement.dataset.theme;
  });
  theme.closest("label").hidden = false;
}

/** On paper everything is open and nothing is paged, up to what anybody would print. */
function paper() {
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    for (const part of closed) part.open = true;
    for (const view of views) view.resize(PRINTED);
  });
  addEventListener("afterprint", () => {
    for (const part of closed) part.open = false;
    for (const view of views) view.resize(WINDOW);
  });
}

filterForm(views);
callsFigure();
linkRows();
colours();
paper();
addEventListener("hashchange", revealTarget);
casePanel(views);
if (!document.getElementById("case").open) revealTarget();
document.documentElement.dataset.ready = "yes";
