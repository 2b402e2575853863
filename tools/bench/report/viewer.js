// Two pictures in one frame, divided by a slider. Each of `entries` is a picture: `original` may be null, `targets` are
// rates with items. An item is named by `codec`, and says `caption` where it is there, else its rate, bytes and quality.
function mountViewer(entries) {
  const [first, second] = entries[0].targets[0].items;
  const at = { picture: 0, target: 0, left: second || !entries[0].original ? first.codec : "original", right: (second || first).codec };
  const side = (name) => {
    const entry = entries[at.picture], item = entry.targets[at.target].items.find((i) => i.codec === at[name]);
    $(`v-${name}-img`).src = item ? item.uri : entry.original;
    $(`v-${name}-text`).textContent = !item ? "original" : item.caption
      || `${item.codec}: ${item.rate.toFixed(3)} bpp, ${item.bytes} bytes, ${fixed(item.psnr, 2)} dB${item.ms_ssim ? `, MS-SSIM ${item.ms_ssim.toFixed(4)}` : ""}`;
  };
  const lay = () => {
    const entry = entries[at.picture], items = entry.targets[at.target].items;
    const names = [...(entry.original ? [["original", "original"]] : []), ...items.map((i) => [i.codec, i.codec])];
    for (const name of ["left", "right"]) {
      if (!names.some(([n]) => n === at[name])) at[name] = names[0][0];
      choose($(`v-${name}`), names, at[name], (value) => { at[name] = value; side(name); });
      side(name);
    }
    $("v").style.width = `${entry.width * Number($("v-zoom").value)}px`;
    $("v-captions").style.maxWidth = $("v").style.width;
    $("v").style.aspectRatio = `${entry.width} / ${entry.height}`;
  };
  choose($("v-picture"), entries.map((v, i) => [String(i), v.name]), "0", (value) => { at.picture = Number(value); targets(); lay(); });
  const targets = () => {
    const list = entries[at.picture].targets;
    at.target = Math.min(at.target, list.length - 1);
    choose($("v-target"), list.map((t, i) => [String(i), `${t.rate} bpp`]), String(at.target), (value) => { at.target = Number(value); lay(); });
  };
  $("v-pictures").hidden = entries.length < 2;
  $("v-targets").hidden = entries.every((e) => e.targets.length < 2);
  const alone = !entries[0].original && !second;
  for (const id of ["v-lefts", "v-rights", "v-line", "v-slider", "v-right-text"]) $(id).hidden = alone;
  $("v-zoom").onchange = lay;
  $("v-slider").oninput = () => $("v").style.setProperty("--at", `${$("v-slider").value}%`);
  targets(); lay();
}
