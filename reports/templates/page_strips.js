"use strict";
// Which workload's calls are shown: chosen by a list, by a row, or by the filter.

/** The strips of one workload, chosen by a list, by a chosen row, or by the filter. */
function callsFigure() {
  const section = document.getElementById("calls");
  if (!section) return;
  const points = [...new Set(cases.filter((item) => item.launches.length).map((item) => item.point))];
  if (!points.length) return;
  const select = document.getElementById("calls-point");
  select.append(...points.map((point) => element("option", { value: point }, point)));
  const holder = document.getElementById("calls-figure");
  const tell = document.getElementById("calls-told");
  let shown = { width: 0, arm: "" };
  section.hidden = false;
  const draw = () => {
    const wanted = cases.filter((item) => item.point === select.value && (!shown.arm || item.arm === shown.arm));
    shown.width = holder.clientWidth;
    return new CallsPlot(holder, wanted, false, tell);
  };
  select.addEventListener("input", draw);
  document.addEventListener("chosen", ({ detail }) => {
    const item = casesById.get(detail);
    if (item && points.includes(item.point) && item.point !== select.value) {
      select.value = item.point;
      draw();
    }
  });
  document.addEventListener("filtered", ({ detail: { tags } }) => {
    const inside = cases.find((item) => points.includes(item.point) && item.point.split(" ")[0] === tags.workload);
    const arm = cases.some((item) => item.arm === tags.arm) ? tags.arm : "";
    if (inside && select.value.split(" ")[0] !== tags.workload) select.value = inside.point;
    else if (arm === shown.arm) return;
    shown.arm = arm;
    draw();
  });
  new ResizeObserver(() => { if (Math.abs(holder.clientWidth - shown.width) > 8) draw(); }).observe(holder);
  draw();
}

