// What every page shares: its data in #data, helpers, light and dark. Nothing is fetched.
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const fixed = (value, digits) => (value === null || value === undefined ? "–" : typeof value === "string" ? value : value.toFixed(digits));

function choose(select, values, picked, changed) {
  select.replaceChildren(...values.map(([value, text]) => new Option(text, value, false, value === picked)));
  select.onchange = () => changed(select.value);
}

const dark = () => (document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
const nameTheme = () => { $("theme").textContent = dark() ? "Light" : "Dark"; };
$("theme").onclick = () => { document.documentElement.dataset.theme = dark() ? "light" : "dark"; nameTheme(); };
nameTheme();
