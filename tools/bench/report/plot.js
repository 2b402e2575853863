"use strict";
// A small plot in SVG: axes, lines, marks with a tooltip. Colours are CSS variables, so both themes come for free.
const NS = "http://www.w3.org/2000/svg";
const node = (name, attributes = {}, parent = null, text = "") => {
  const element = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text) element.textContent = text;
  if (parent) parent.append(element);
  return element;
};

const steps = (low, high, count) => {
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((s) => s * power).find((s) => s >= raw);
  const ticks = [];
  for (let t = Math.ceil(low / step - 1e-9) * step; t <= high + step * 1e-9; t += step) ticks.push(Number(t.toPrecision(12)));
  return ticks;
};

const logSteps = (low, high) => {
  const ticks = [];
  for (let p = Math.floor(Math.log10(low)); p <= Math.ceil(Math.log10(high)); p++)
    for (const m of [1, 2, 5]) if (m * 10 ** p >= low && m * 10 ** p <= high) ticks.push(m * 10 ** p);
  return ticks;
};

// series: [{name, colour, dashed, points: [[x, y, tip]], marks, labels}]
function drawPlot(svg, series, { xLabel, yLabel, xRange, yRange, logX = false }) {
  const W = Math.max(300, Math.min(860, Math.round(svg.getBoundingClientRect().width) || 860));  // text keeps its size
  const H = Math.round(Math.min(470, 0.85 * W)), L = 62, R = 16, T = 14, B = 46;
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${W} ${H}`);
  const fx = logX ? Math.log10 : (v) => v;
  const x = (v) => L + ((fx(v) - fx(xRange[0])) / (fx(xRange[1]) - fx(xRange[0]))) * (W - L - R);
  const y = (v) => H - B - ((v - yRange[0]) / (yRange[1] - yRange[0])) * (H - T - B);
  for (const t of logX ? logSteps(...xRange) : steps(...xRange, W < 600 ? 4 : 8)) {
    node("line", { class: "grid", x1: x(t), x2: x(t), y1: T, y2: H - B }, svg);
    node("text", { x: x(t), y: H - B + 17, "text-anchor": "middle" }, svg, String(t));
  }
  for (const t of steps(...yRange, 7)) {
    node("line", { class: "grid", x1: L, x2: W - R, y1: y(t), y2: y(t) }, svg);
    node("text", { x: L - 8, y: y(t) + 4, "text-anchor": "end" }, svg, String(t));
  }
  node("text", { x: (L + W - R) / 2, y: H - 8, "text-anchor": "middle" }, svg, xLabel);
  node("text", { x: 16, y: (T + H - B) / 2, "text-anchor": "middle", transform: `rotate(-90 16 ${(T + H - B) / 2})` }, svg, yLabel);
  const clip = node("clipPath", { id: `${svg.id}-clip` }, svg);
  node("rect", { x: L, y: T, width: W - L - R, height: H - T - B }, clip);
  const area = node("g", { "clip-path": `url(#${svg.id}-clip)` }, svg), tip = node("g", { visibility: "hidden" });
  for (const s of series) {
    const path = s.points.map(([a, b], i) => `${i ? "L" : "M"}${x(a).toFixed(2)} ${y(b).toFixed(2)}`).join("");
    if (!s.labels) node("path", { d: path, fill: "none", style: `stroke:${s.colour}`, "stroke-width": s.dashed ? 1.4 : 2.2, "stroke-dasharray": s.dashed ? "6 4" : "none" }, area);
    for (const [a, b, text] of s.points) {
      if (s.dashed && !s.labels) { hover(node("circle", { cx: x(a), cy: y(b), r: 6, fill: "transparent" }, area), text); continue; }
      hover(node("circle", { cx: x(a), cy: y(b), r: s.labels ? 6 : 3.8, style: `fill:${s.colour}` }, area), text);
      if (s.labels) node("text", { class: "name", x: x(a) + (x(a) > W - 140 ? -10 : 10), y: y(b) + 4, "text-anchor": x(a) > W - 140 ? "end" : "start" }, svg, s.name);
    }
  }
  svg.append(tip);
  function hover(mark, text) {
    mark.classList.add("mark");
    mark.addEventListener("pointerenter", () => {
      tip.replaceChildren();
      const lines = text.split("\n"), box = node("rect", { class: "tip", rx: 5 }, tip);
      lines.forEach((line, i) => node("text", { class: "tip-text", x: 9, y: 18 + 16 * i }, tip, line));
      const width = Math.max(...lines.map((line) => line.length)) * 6.9 + 18, height = 16 * lines.length + 12;
      box.setAttribute("width", width); box.setAttribute("height", height);
      const cx = Number(mark.getAttribute("cx")), cy = Number(mark.getAttribute("cy"));
      tip.setAttribute("transform", `translate(${cx + width + 12 > W ? cx - width - 10 : cx + 10} ${Math.max(2, cy - height - 6)})`);
      tip.setAttribute("visibility", "visible");
    });
    mark.addEventListener("pointerleave", () => tip.setAttribute("visibility", "hidden"));
  }
}
