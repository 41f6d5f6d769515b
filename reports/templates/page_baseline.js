"use strict";
// Another baseline: a choice among the comparisons that were computed with the report. Nothing is computed here.

const AGAINST = {
  speedup: "latency_s", verdict: "latency_s", ttft_speedup: "ttft_s", tpot_speedup: "tpot_s",
};
const againstByKey = new Map(data.against.map(([baseline, arm, point, metric, main, interval, verdict, reason]) => [
  `${caseKey(text(arm), text(point))}\n${text(baseline)}\n${text(metric)}`,
  { main: typeof main === "number" ? text(main) : main, interval, verdict: text(verdict), reason: text(reason) },
]));

function againstOf(view, row, key) {
  if (view.baseline === data.baseline || !(key in AGAINST) || !isSpeed(view)) return null;
  return againstByKey.get(`${caseKey(row.about.arm, row.about.point)}\n${view.baseline}\n${AGAINST[key]}`) || null;
}

/** Tables whose speed-ups are over the baseline, arm by arm. */
const isSpeed = (view) => view.name.startsWith("speed-") || view.name === "tokens";

/** The cell that another baseline puts in the place of the run's, or null. Bold belongs to the run's own family. */
function againstCell(view, row, index) {
  if (view.baseline === data.baseline || !isSpeed(view)) return null;
  const { key } = view.columns[index];
  const plain = row.cell(index);
  if (key === "latency_s" || key === "backend") {
    return { ...plain, flags: plain.flags.filter((flag) => flag !== "best" && flag !== "tied") };
  }
  if (!(key in AGAINST)) return null;
  const failed = plain.flags.includes("failed") ? ["failed"] : [];
  if (row.about.arm === view.baseline) {
    const main = failed.length ? plain.main : key === "verdict" ? "baseline" : "1 (baseline)";
    return { main, interval: "", flags: failed, marks: [] };
  }
  const found = againstOf(view, row, key);
  if (!found) return failed.length ? null : { main: "–", interval: "", flags: [], marks: [] };
  if (key !== "verdict") return { main: found.main, interval: found.interval, flags: [], marks: [] };
  if (failed.length) return null;
  const undecided = /^(withheld|inconclusive|incomparable)/.test(found.verdict) ? ["withheld"] : [];
  return { main: found.verdict, interval: "", flags: undecided, marks: [] };
}

/** Why verdicts against another baseline are missing, to stand below a table. */
function againstNotes(view, rows) {
  if (view.baseline === data.baseline || !isSpeed(view)) return [];
  const reasons = new Set();
  for (const row of rows) {
    for (const { key } of view.columns) {
      const found = row.about.arm !== view.baseline && againstOf(view, row, key);
      if (found && found.reason) reasons.add(`${row.about.arm} against ${view.baseline}: ${found.reason}`);
    }
  }
  return [...reasons].map((reason) => element("p", {}, reason));
}

/** The family that verdicts against another baseline belong to; empty for the run's own, whose tables say it. */
const familyOf = (baseline) => (baseline === data.baseline ? "" : `Speed-ups are shown against ${baseline}. ${data.family}`);

/** Show a table against another baseline, and say so where its numbers begin. */
function setBaseline(view, baseline) {
  if (!view.body || !isSpeed(view)) return;
  view.baseline = baseline;
  const away = baseline !== data.baseline;
  view.heads.forEach((head, index) => {
    const { key, title } = view.columns[index];
    if (!(key in AGAINST)) return;
    head.firstElementChild.textContent = away ? `${title} (against ${baseline})` : title;
  });
  const caption = document.getElementById(`caption-${view.name}`);
  caption.querySelector(".switched")?.remove();
  if (away) {
    const said = `Against ${baseline} instead of ${data.baseline}: exploratory. Caption and notes speak of ${data.baseline}.`;
    caption.prepend(element("strong", { class: "switched" }, said));
  }
  view.scale = view.scale ? view.whiskerScale() : null;
  if (view.sorted.index >= 0) view.order();
  view.render();
}

/** All tables against another baseline. */
function setBaselines(views, baseline) {
  for (const view of views) setBaseline(view, baseline);
  document.getElementById("family").textContent = familyOf(baseline);
}

