// The report: everything is made from the JSON in #data.
const seconds = (v) => (v === null || v === undefined ? "–" : v < 0.1 ? `${(v * 1000).toFixed(1)} ms` : `${v.toFixed(2)} s`);
const signed = (value, digits, unit = "") => (value > 0 ? "+" : "") + value.toFixed(digits) + unit;
const colour = (i) => `var(--c${i % 9})`;
const number = (v) => typeof v === "number";

function fill(table, head, rows, classes = []) {
  table.replaceChildren();
  const line = (cells, tag, parent) => {
    const tr = parent.insertRow();
    for (const cell of cells) { const td = document.createElement(tag); if (cell && cell.wide) { td.className = "wide"; td.colSpan = cell.span || 1; td.textContent = cell.wide; } else td.textContent = cell; tr.append(td); }
    return tr;
  };
  line(head, "th", table.createTHead());
  const body = table.createTBody();
  rows.forEach((row, i) => { line(row, "td", body).className = classes[i] || ""; });
}

function tabs(parent, entries, picked, changed) {
  const buttons = entries.map(([value, text]) => {
    const button = document.createElement("button");
    button.type = "button"; button.textContent = text; button.dataset.value = value;
    button.onclick = () => { buttons.forEach((b) => b.setAttribute("aria-pressed", b === button)); changed(value); };
    button.setAttribute("aria-pressed", value === picked);
    return button;
  });
  parent.replaceChildren(...buttons);
}

// --- head
$("title").textContent = data.title;
$("lead").textContent = data.lead;
$("unit-word").textContent = data.kind;
for (const text of data.warnings) $("warnings").append(Object.assign(document.createElement("li"), { textContent: text }));
$("warnings").hidden = !data.warnings.length;

// --- rate and distortion
let metric = data.metrics[0].name;
const shown = new Map([...data.curves.map((c) => [c.name, true]), ...data.published.map((c) => [c.name + " (pub)", data.drawn.includes(c.name)])]);
const all = () => [...data.curves.map((c, i) => ({ curve: c, key: c.name, colour: colour(i), dashed: false })),
  ...data.published.map((c) => ({ curve: c, key: c.name + " (pub)", colour: "var(--grey)", dashed: true }))];
const pointsOf = (c) => (c.metrics[metric] || []).map((v, i) => [c.rate[i], v, i]).filter(([r, v]) => number(r) && number(v));

function drawRd() {
  const info = data.metrics.find((m) => m.name === metric), entries = all();
  const measured = entries.filter((e) => !e.dashed).flatMap((e) => pointsOf(e.curve));
  const rates = measured.map((p) => p[0]), values = measured.map((p) => p[1]);
  const lows = entries.filter((e) => e.dashed && shown.get(e.key)).flatMap((e) => pointsOf(e.curve)).filter((p) => p[0] <= Math.max(...rates)).map((p) => p[1]);
  const low = Math.min(...values, ...lows), high = Math.max(...values, ...lows), pad = (high - low || 1) * 0.04;
  drawPlot($("rd"), entries.filter((e) => shown.get(e.key)).map((e) => ({
    name: e.curve.name, colour: e.colour, dashed: e.dashed,
    points: pointsOf(e.curve).map(([r, v, i]) => [r, v, `${e.curve.name}${e.dashed ? ", published" : `, ${data.quality_word} ${e.curve.quality[i]}`}\n${r.toFixed(4)} ${data.rate_unit}   ${v.toFixed(info.digits)} ${info.unit}`]),
  })), { xLabel: `rate (${data.rate_unit})`, yLabel: info.title, xRange: [0, Math.max(...rates) * 1.03], yRange: [low - pad, high + pad] });
  $("legend").replaceChildren(...entries.filter((e) => pointsOf(e.curve).length).map((e) => {
    const button = document.createElement("button"), swatch = document.createElement("i");
    swatch.style.borderColor = e.colour; swatch.className = e.dashed ? "dashed" : "";
    button.type = "button"; button.append(swatch, e.curve.name); button.setAttribute("aria-pressed", shown.get(e.key));
    button.onclick = () => { shown.set(e.key, !shown.get(e.key)); drawRd(); };
    return button;
  }));
}

// --- Bjontegaard deltas
let anchor = data.anchor;
function drawBd() {
  const info = data.metrics.find((m) => m.name === metric), rows = (data.bd[anchor] || {})[metric] || [];
  fill($("bd"), ["codec", "BD-rate", "Akima", `BD-${info.short}`, "Akima", "shared range", "share"], rows.map((r) => {
    const d = r.delta;
    return d ? [r.test, signed(d.rate_pchip, 2, " %"), signed(d.rate_akima, 2, " %"), signed(d.quality_pchip, 3), signed(d.quality_akima, 3),
      `${d.low.toFixed(2)}–${d.high.toFixed(2)} ${info.unit}`, `${Math.round(d.overlap * 100)} %`] : [r.test, { wide: `none: ${r.reason}`, span: 6 }];
  }), rows.map((r) => (r.published ? "published" : "")));
  if (!rows.length) fill($("bd"), ["codec"], [[`no Bjontegaard delta against ${anchor} by ${info.title}`]]);
}

// --- speed
let direction = "decode_s";
const median = (values) => { const v = values.filter(number).sort((a, b) => a - b); return v.length ? (v[(v.length - 1) >> 1] + v[v.length >> 1]) / 2 : null; };
function drawSpeed() {
  const rows = (data.bd[anchor] || {})[metric] || [], marks = [];
  data.curves.forEach((c, i) => {
    const row = rows.find((r) => r.test === c.name && r.delta && !r.published), time = median(c.costs[direction]);
    const rate = c.name === anchor ? 0 : row ? row.delta.rate_pchip : null;
    if (rate !== null && time !== null) marks.push({ name: c.name, colour: colour(i), labels: true, points: [[time, rate, `${c.name}\n${seconds(time)}, BD-rate ${signed(rate, 1, " %")}`]] });
  });
  const word = direction === "decode_s" ? "decode" : "encode";
  $("speed").style.display = marks.length ? "" : "none";
  $("speed-note").textContent = marks.length ? `Left and low is best. BD-rate against ${anchor}.` : `No measured codec has a BD-rate against ${anchor} in this measure.`;
  if (!marks.length) return;
  const times = marks.map((m) => m.points[0][0]), rates = marks.map((m) => m.points[0][1]);
  const low = Math.min(...rates), high = Math.max(...rates), pad = (high - low || 10) * 0.12;
  drawPlot($("speed"), marks, { xLabel: `median time to ${word} (s)`, yLabel: "BD-rate (%)", logX: true,
    xRange: [Math.min(...times) / 1.6, Math.max(...times) * 1.6], yRange: [low - pad, high + pad] });
}
fill($("costs"), ["codec", "encode", "decode", "encode memory", "decode memory", "parameters", "encode kMAC", "decode kMAC"], data.curves.map((c) => [
  c.name, seconds(median(c.costs.encode_s)), seconds(median(c.costs.decode_s)),
  ...["encode_peak_mib", "decode_peak_mib"].map((k) => { const v = median(c.costs[k]); return v === null ? "–" : `${v.toFixed(1)} MiB`; }),
  c.network.parameters ? `${(c.network.parameters / 1e6).toFixed(2)} M` : "–", fixed(c.network.encode_kmac, 1), fixed(c.network.decode_kmac, 1)]));

const redraw = () => { drawRd(); drawBd(); drawSpeed(); };
tabs($("metric-tabs"), data.metrics.map((m) => [m.name, m.title]), metric, (value) => { metric = value; redraw(); });
tabs($("speed-tabs"), [["decode_s", "decode"], ["encode_s", "encode"]], direction, (value) => { direction = value; drawSpeed(); });
choose($("anchor"), data.anchors.map((name) => [name, name]), anchor, (value) => { anchor = value; drawBd(); drawSpeed(); });
redraw();
let width = innerWidth;
addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; redraw(); } });

// --- viewer
$("viewer-section").hidden = !data.viewer.length;
if (data.viewer.length) mountViewer(data.viewer);

// --- tables
const names = data.metrics.map((m) => m.name);
fill($("points"), ["codec", data.quality_word, data.rate_unit, ...data.metrics.map((m) => m.title), "encode", "decode"], data.curves.flatMap((c) => c.rate.map((r, i) => [
  c.name, c.quality[i], r.toFixed(4), ...data.metrics.map((m) => fixed((c.metrics[m.name] || [])[i], m.digits)), seconds(c.costs.encode_s[i]), seconds(c.costs.decode_s[i])])));
const drawOne = (name) => fill($("single"), ["codec", data.quality_word, "bytes", data.rate_unit, ...data.metrics.map((m) => m.title), "encode", "decode"],
  data.records.filter((r) => r.source === name).map((r) => r.error ? [r.codec, r.quality, { wide: `failed: ${r.error}`, span: names.length + 4 }]
    : [r.codec, r.quality, r.bytes, r.rate.toFixed(4), ...data.metrics.map((m) => fixed(r.metrics[m.name], m.digits)), seconds(r.encode_s), seconds(r.decode_s)]));
choose($("one"), data.sources.map((s) => [s, s]), data.sources[0], drawOne);
drawOne(data.sources[0]);
for (const [key, value] of data.facts) $("facts").append(Object.assign(document.createElement("dt"), { textContent: key }), Object.assign(document.createElement("dd"), { textContent: value }));
if (data.published.length) fill($("sources"), ["published curve", "source"], data.published.map((c) => [c.name, { wide: c.source }]));
document.documentElement.dataset.ready = "yes";
