"use strict";
// The boards of one store. All texts are put into the page as text; nothing is asked of any other place.
const DATA = JSON.parse(document.getElementById("data").textContent);
const state = { board: 0, q: "", sort: "rank", down: false, attack: "", recipe: "", architecture: "", open: new Set(), picked: [] };
const byId = (id) => document.getElementById(id);

function el(tag, attributes = {}, ...children) {
  const node = tag === "svg" || el.svg.has(tag) ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined).map((child) => (child instanceof Node ? child : String(child))));
  return node;
}
el.svg = new Set(["path", "line", "rect", "text", "g", "circle"]);

// Numbers
const percent = (share) => (100 * share).toFixed(1);
function wilson(count, total, z = 1.959963984540054) {
  if (!total) return [0, 1];
  const p = count / total, d = 1 + (z * z) / total, middle = p + (z * z) / (2 * total);
  const reach = z * Math.sqrt((p * (1 - p)) / total + (z * z) / (4 * total * total));
  return [Math.max(0, (middle - reach) / d), Math.min(1, (middle + reach) / d)];
}
const withEnds = ([count, total]) => (total ? `${percent(count / total)} (${wilson(count, total).map(percent).join("–")})` : "–");
function bits(text, length) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return Array.from({ length }, (_, i) => ((bytes[i >> 3] >> (i & 7)) & 1) === 1);
}
function halves(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0)), found = [];
  for (let i = 0; i < bytes.length; i += 2) {
    const h = bytes[i] | (bytes[i + 1] << 8), exponent = (h >> 10) & 31, rest = h & 1023;
    found.push((h >> 15 ? -1 : 1) * (exponent === 31 ? (rest ? NaN : Infinity) : exponent ? 2 ** (exponent - 15) * (1 + rest / 1024) : (2 ** -14 * rest) / 1024));
  }
  return found;
}
function mcnemar(b, c) { // exact, two-sided
  const n = b + c;
  let term = -n * Math.LN2, sum = 0;
  for (let k = 0; k <= Math.min(b, c); k++) {
    sum += Math.exp(term);
    term += Math.log(n - k) - Math.log(k + 1);
  }
  return Math.min(1, 2 * sum);
}
function paired(b, c, n) { // difference of two shares on the same images, Bonett & Price (2012)
  const p = (b + 1) / (n + 2), q = (c + 1) / (n + 2), reach = 1.959963984540054 * Math.sqrt((p + q - (p - q) ** 2) / (n + 2));
  return [(b - c) / n, p - q - reach, p - q + reach];
}

// The rows that are shown
const board = () => DATA.boards[state.board];
const model = (row) => DATA.models[row.m];
const share = ([count, total]) => (total ? count / total : -1);
const lacks = (row) => row.met < board().required.length;
const COLUMNS = [
  { key: "rank", name: "Rank", of: (row) => row.rank ?? Infinity, text: (row) => row.rank ?? "–" },
  { key: "defense", name: "Defense", left: true, of: (row) => row.label, text: (row) => row.label },
  { key: "worst", name: "Worst case ↑", down: true, of: (row) => share(row.worst), text: (row) => (lacks(row) ? "≤ " : "") + withEnds(row.worst) },
  { key: "clean", name: "Clean", down: true, wide: true, of: (row) => share(row.clean), text: (row) => withEnds(row.clean) },
  { key: "attacks", name: "Attacks", down: true, wide: true, of: (row) => row.met, text: (row) => `${row.met} of ${board().required.length}` },
  { key: "n", name: "n", down: true, wide: true, of: (row) => row.worst[1], text: (row) => row.worst[1].toLocaleString("en") },
  { key: "seeds", name: "Seeds", down: true, wide: true, of: (row) => row.seeds[0], text: (row) => (row.seeds[1] === null ? "1" : `${row.seeds[0]} (± ${percent(row.seeds[1])})`) },
  { key: "evidence", name: "Evidence", wide: true, left: true, of: (row) => row.evidence, text: (row) => row.evidence },
  { key: "published", name: "Published", down: true, wide: true, of: (row) => (row.published ? row.published[0] : -1), text: (row) => (row.published ? `${percent(row.published[0])} ${row.published[1]} (${(100 * (share(row.worst) - row.published[0])).toFixed(1).replace(/^(?!-)/, "+")})` : "–") },
];
const hits = (label) => state.q.toLowerCase().split(/\s+/).filter(Boolean).every((word) => label.toLowerCase().includes(word));
// Of what could not be measured it is not known what it is made of: a chip leaves it out, as it does rows that are something else.
function shownRefused() {
  return state.recipe || state.architecture || state.attack ? [] : board().refused.filter(([label]) => hits(label));
}
function shownRows() {
  const place = board().attacks.indexOf(state.attack);
  const rows = board().rows.filter((row) =>
    hits(row.label) &&
    (!state.recipe || model(row).recipe === state.recipe) &&
    (!state.architecture || model(row).architecture === state.architecture) &&
    (!state.attack || row.faced.some((one) => one[0] === place)));
  const column = COLUMNS.find((one) => one.key === state.sort), sign = state.down ? -1 : 1;
  return rows.map((row, i) => [row, i]).sort(([a, i], [b, j]) => {
    const [x, y] = [column.of(a), column.of(b)];
    return x === y ? i - j : sign * (x < y ? -1 : 1);
  }).map(([row]) => row);
}

// Controls
function chipRow(name, key, values, chosen, act) {
  if (values.length < 2 && !chosen) return null; // one that is chosen can be undone, as after opening an address
  const buttons = values.map((value) => el("button", { type: "button", "aria-pressed": String(chosen === value), onclick: () => act(chosen === value && key !== "knowledge" ? "" : value) }, value));
  return el("div", { role: "group", "aria-label": name }, el("span", {}, name), ...buttons);
}
function drawControls() {
  const same = (one) => [one.dataset, one.norm, one.eps].join() === [board().dataset, board().norm, board().eps].join();
  const first = DATA.boards.filter((one, i) => DATA.boards.findIndex((other) => [other.dataset, other.norm, other.eps].join() === [one.dataset, one.norm, one.eps].join()) === i);
  byId("board").replaceChildren(...first.map((one) => el("option", { value: DATA.boards.indexOf(one), selected: same(one) }, one.title.replace(/, [^,]*$/, ""))));
  const unique = (values) => [...new Set(values)].sort();
  byId("chips").replaceChildren(...[
    chipRow("Knowledge", "knowledge", DATA.boards.filter(same).map((one) => one.knowledge), board().knowledge, (value) => go({ board: DATA.boards.findIndex((one) => same(one) && one.knowledge === value), attack: "", picked: [], open: new Set() })),
    chipRow("Attacked with", "attack", board().attacks, state.attack, (value) => go({ attack: value })),
    chipRow("Recipe", "recipe", unique(board().rows.map((row) => model(row).recipe)), state.recipe, (value) => go({ recipe: value })),
    chipRow("Architecture", "architecture", unique(board().rows.map((row) => model(row).architecture)), state.architecture, (value) => go({ architecture: value })),
  ].filter(Boolean));
  if (byId("search").value !== state.q) byId("search").value = state.q;
}

// The table
function drawTable() {
  const table = byId("table"), rows = shownRows();
  table.caption.textContent = board().title;
  table.tHead.replaceChildren(el("tr", {}, ...COLUMNS.map((column) => el("th", {
    scope: "col", class: [column.left ? "left" : "", column.wide ? "wide-only" : "", column.key === "defense" ? "defense" : ""].join(" ").trim(),
    "aria-sort": state.sort === column.key ? (state.down ? "descending" : "ascending") : "none",
  }, el("button", { type: "button", onclick: () => go({ sort: column.key, down: state.sort === column.key ? !state.down : Boolean(column.down) }) }, column.name)))));
  table.tBodies[0].replaceChildren(...rows.flatMap((row) => (state.open.has(row.m) ? [line(row), detail(row)] : [line(row)])), ...shownRefused().map(([label, reason]) =>
    el("tr", { class: "row" }, el("td", {}, "–"), el("th", { scope: "row", class: "defense" }, label, el("span", { class: "why" }, `refused: ${reason}`)), el("td", { colspan: 7 }))));
  byId("status").textContent = `${rows.length} of ${board().rows.length} defenses. Open a row by its name; tick two to compare them.`;
  byId("notes").replaceChildren(...board().caption.map((text) => el("p", {}, text)));
}
function line(row) {
  const cells = COLUMNS.map((column) => {
    if (column.key === "defense") {
      const open = state.open.has(row.m);
      return el("th", { scope: "row", class: "defense" },
        el("input", { type: "checkbox", "aria-label": `Compare ${row.label}`, checked: state.picked.includes(row.m), onchange: () => pick(row.m) }),
        el("button", { type: "button", class: "open call", "aria-expanded": String(open), title: row.label, onclick: () => toggle(row.m) }, row.label),
        row.why ? el("span", { class: "why" }, row.why) : null);
    }
    const kind = [column.left ? "left" : "", column.wide ? "wide-only" : "", column.key === "published" ? "soft" : ""].join(" ").trim();
    const cell = el("td", { class: kind });
    if (column.key === "worst" || column.key === "clean") {
      const [value, ends] = column.text(row).split(/ (?=\()/);
      cell.append(value, ends ? el("span", { class: "ends" }, ` ${ends}`) : "");
      if (column.key === "worst") cell.append(el("span", { class: "bar", style: `width:${(100 * Math.max(0, share(row.worst))).toFixed(1)}%` }));
    } else cell.textContent = column.text(row);
    return cell;
  });
  return el("tr", { class: "row", "data-model": row.m }, ...cells);
}

// What is behind a row
function detail(row) {
  const m = model(row), parts = [];
  const part = (title, ...nodes) => parts.push(el("div", parts.length ? {} : { class: "whole" }, el("h2", {}, title), ...nodes));
  const attacks = row.faced.map(([place, count, total, only, forwards, backwards]) => el("tr", {}, el("th", { scope: "row", class: "left call" }, board().attacks[place]),
    el("td", {}, `${count}/${total}`), el("td", {}, withEnds([count, total])), el("td", {}, only), el("td", {}, `${forwards} + ${backwards}`)));
  part("Robust accuracy under each attack", el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `Attacks on ${row.label}` }, el("table", {}, el("thead", {}, el("tr", {}, ...["Attack", "Right", "%", "Only this one breaks", "Passes forward + backward"].map((name, i) => el("th", { scope: "col", class: i ? "" : "left" }, name)))), el("tbody", {}, ...attacks))));
  const beside = board().rows.filter((other) => other !== row && state.picked.includes(other.m)).slice(0, 3);
  if (m.curves[board().norm]) part("Worst case over ε", curves([row, ...beside]));
  if (m.distances[board().norm]) part("Smallest perturbations found", histogram(m.distances[board().norm]));
  if (Object.keys(m.corruptions).length) part("Errors under corruptions, %", heat(m.corruptions, row.label));
  if (m.picture) part(`Pictures, ${m.picture.attack}`, el("figure", {}, el("img", { class: "sprite", src: m.picture.png, alt: `Clean, adversarial, and their difference: ${m.picture.said.join(", ")}` }), el("figcaption", {}, `Above clean, below adversarial, last the difference, enlarged: ${m.picture.said.join(", ")}`)));
  if (m.attention.length) part("Attention held by the 4 largest weights", el("p", {}, m.attention.map((mass, i) => `layer ${i + 1}: ${percent(mass)} %`).join(", ")));
  const facts = { Call: m.call, Weights: m.weights, Data: m.data, "Attack seed": m.seed, Parameters: m.parameters?.toLocaleString("en"), "Multiply-accumulates": m.macs?.toLocaleString("en"), "Made with": m.versions, Records: m.records.length > 12 ? `${m.records.slice(0, 12).join(" ")} and ${m.records.length - 12} more` : m.records.join(" ") };
  part("Where it comes from", el("dl", {}, ...Object.entries(facts).filter(([, value]) => value !== undefined && value !== null).flatMap(([name, value]) => [el("dt", {}, name), el("dd", { class: "call" }, value)])));
  part("Run it again", el("pre", {}, el("code", {}, m.command)));
  const rest = el("dl", { class: "phone" }, ...COLUMNS.filter((column) => column.wide).flatMap((column) => [el("dt", {}, column.name), el("dd", {}, column.text(row))]));
  return el("tr", { class: "detail" }, el("td", { colspan: COLUMNS.length }, rest, el("div", { class: "parts" }, ...parts)));
}
const COLOURS = ["var(--accent)", "var(--bad)", "var(--soft)", "var(--ink)"], DASHES = ["", "6 3", "2 3", "8 3 2 3"];
function curves(rows) {
  const lines = rows.map((row) => model(row).curves[board().norm] || []), [reach, , far] = lines.flat().reduce((most, point) => (point[0] > most[0] ? point : most), [1e-9, 0, "0"]);
  const x = (eps) => 34 + (eps / reach) * 290, y = (value) => 150 - 140 * value, nodes = [];
  for (const value of [0, 0.5, 1]) nodes.push(el("line", { class: "axis", x1: 34, x2: 324, y1: y(value), y2: y(value) }), el("text", { x: 28, y: y(value) + 4, "text-anchor": "end" }, 100 * value));
  lines.forEach((line, i) => nodes.push(el("path", { d: line.map(([eps, value], k) => `${k ? "L" : "M"}${x(eps).toFixed(1)} ${y(value).toFixed(1)}`).join(""), fill: "none", stroke: COLOURS[i], "stroke-width": 2, "stroke-dasharray": DASHES[i] })));
  nodes.push(el("text", { x: 34, y: 166 }, "0"), el("text", { x: 324, y: 166, "text-anchor": "end" }, `ε ${far}`));
  const said = rows.map((row, i) => `${["solid", "dashed", "dotted", "dash-dot"][i]}: ${row.label}`).join("; ");
  return el("figure", {}, el("svg", { viewBox: "0 0 340 172", width: 340, height: 172, role: "img", "aria-label": `Robust accuracy in % over the radius, ${said}` }, ...nodes), el("figcaption", {}, `Robust accuracy, %; ${said}${rows.length < 2 ? "; tick other rows to have theirs beside it" : ""}`));
}
function histogram(text) {
  const all = halves(text).filter((size) => !Number.isNaN(size)), sizes = all.filter((size) => size > 0 && Number.isFinite(size));
  const top = Math.max(...sizes, 1e-9), bins = new Array(20).fill(0), nodes = [];
  for (const size of sizes) bins[Math.min(19, Math.floor((20 * size) / top))]++;
  const most = Math.max(...bins, 1);
  bins.forEach((count, i) => nodes.push(el("rect", { x: 10 + 15 * i, width: 13, y: 120 - (110 * count) / most, height: (110 * count) / most, fill: "var(--accent)" })));
  nodes.push(el("text", { x: 10, y: 136 }, "0"), el("text", { x: 310, y: 136, "text-anchor": "end" }, top.toPrecision(3)));
  const said = `${sizes.length} images fooled, ${all.filter((size) => size === Infinity).length} not, ${all.filter((size) => size === 0).length} wrong before`;
  return el("figure", {}, el("svg", { viewBox: "0 0 320 140", width: 320, height: 140, role: "img", "aria-label": `Histogram of distances: ${said}` }, ...nodes), el("figcaption", {}, `${said}; nearest of all minimal attacks`));
}
function heat(errors, label) {
  const shade = (value) => `background:hsl(${Math.round(205 - 190 * value)} 75% ${Math.round(86 - 12 * value)}%)`;
  const rows = Object.entries(errors).map(([name, five]) => el("tr", {}, el("th", { scope: "row" }, name), ...five.map((value) => el("td", value === null ? {} : { style: shade(value) }, value === null ? "–" : (100 * value).toFixed(0)))));
  return el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `Corruptions on ${label}` }, el("table", { class: "heat" }, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Corruption"), ...[1, 2, 3, 4, 5].map((s) => el("th", { scope: "col" }, s)))), el("tbody", {}, ...rows)));
}

// Two rows against each other
function drawCompare() {
  const place = byId("compare"), rows = state.picked.map((m) => board().rows.find((row) => row.m === m)).filter(Boolean);
  place.hidden = rows.length !== 2;
  if (rows.length !== 2) return place.replaceChildren();
  const [a, b] = rows, length = board().images, right = rows.map((row) => bits(row.right, length)), has = rows.map((row) => (row.has ? bits(row.has, length) : null));
  let n = 0, onlyA = 0, onlyB = 0;
  for (let i = 0; i < length; i++) {
    if ((has[0] && !has[0][i]) || (has[1] && !has[1][i])) continue;
    n++;
    if (right[0][i] && !right[1][i]) onlyA++;
    if (right[1][i] && !right[0][i]) onlyB++;
  }
  const said = [];
  if (n) {
    const [difference, low, high] = paired(onlyA, onlyB, n).map((value) => (100 * value).toFixed(1));
    said.push(`Worst case: ${a.label} minus ${b.label} is ${difference} points (95 % interval ${low} to ${high}) on the ${n} images that both have; McNemar's exact p = ${mcnemar(onlyA, onlyB).toPrecision(2)}, not corrected for other pairs.`, `${onlyB} images only ${a.label} loses, ${onlyA} only ${b.label}.`);
  } else said.push("They were tested on different images, of which none is common.");
  for (const norm of Object.keys(model(a).distances).filter((name) => model(b).distances[name])) {
    const [x, y] = [a, b].map((row) => halves(model(row).distances[norm])), both = x.map((_, i) => i).filter((i) => [x[i], y[i]].every((size) => size > 0 && Number.isFinite(size)));
    const mean = (sizes) => (both.reduce((sum, i) => sum + sizes[i], 0) / both.length).toPrecision(3);
    if (both.length) said.push(`Smallest perturbations, ${norm}, mean over the ${both.length} images that are broken in both: ${mean(x)} and ${mean(y)}.`);
  }
  place.replaceChildren(el("h2", {}, "Two rows compared"), ...said.map((text) => el("p", {}, text)));
}

// Export of what is shown
const TEX = { "\\": "\\textbackslash{}", "^": "\\textasciicircum{}", "~": "\\textasciitilde{}", "<": "\\textless{}", ">": "\\textgreater{}", "|": "\\textbar{}", '"': "\\char34{}", "↑": "$\\uparrow$", "≤": "$\\leq$", "±": "$\\pm$", "–": "--", "∞": "$\\infty$", "ε": "$\\varepsilon$", "κ": "$\\kappa$", "·": "$\\cdot$", "ᵃ": "a" };
const escapes = {
  md: (text) => text.replace(/[\\|*_`~<>$[\]]/g, (c) => ({ "<": "&lt;", ">": "&gt;", $: "&#36;" })[c] || `\\${c}`),
  tex: (text) => [...text].map((c) => TEX[c] || (/[{}%&#_$]/.test(c) ? `\\${c}` : c.charCodeAt(0) < 127 ? c : `\\symbol{${c.codePointAt(0)}}`)).join("").replace(/^(\s*)([[*])/, "$1{$2}"),
  csv: (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text),
};
function exported(form) {
  const rows = shownRows(), names = COLUMNS.map((column) => column.name);
  const refused = shownRefused(), empty = COLUMNS.slice(2).map(() => "");
  const texts = rows.map((row) => COLUMNS.map((column) => String(column.text(row)) + (column.key === "defense" && row.why ? ` · ${row.why}` : ""))).concat(refused.map(([label, reason]) => ["–", `${label} · refused: ${reason}`, ...empty]));
  if (form === "md") return [`**${escapes.md(board().title)}**`, "", ...[names.map(escapes.md), COLUMNS.map((column) => (column.left ? ":---" : "---:")), ...texts.map((line) => line.map(escapes.md))].map((line) => `| ${line.join(" | ")} |`), "", ...board().caption.map(escapes.md)].join("\n") + "\n";
  if (form === "tex") return ["% needs \\usepackage{booktabs,graphicx}", "\\begin{table}\\centering", `\\caption{${escapes.tex(board().title)}. Worst case and clean: accuracy in \\% with 95\\,\\% intervals over test images.}`, `\\label{tab:${board().title.toLowerCase().replace(/[^a-z0-9]+/g, "-")}}`,
    "\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%", `\\begin{tabular}{${COLUMNS.map((column) => (column.left ? "l" : "r")).join("")}}\\toprule`, ...[names, ...texts].map((line, i) => line.map(escapes.tex).join(" & ") + (i ? " \\\\" : " \\\\\\midrule")), "\\bottomrule\\end{tabular}}",
    "\\par\\smallskip\\parbox{\\linewidth}{\\footnotesize\\raggedright", board().caption.map(escapes.tex).join("\\par\n") + "}", "\\end{table}"].join("\n") + "\n";
  const fields = rows.map((row) => ({ dataset: board().dataset, norm: board().norm, eps: board().eps, knowledge: board().knowledge, rank: row.rank, defense: row.label, no_rank: row.why, robust: row.worst[0], n: row.worst[1], robust_accuracy: share(row.worst), low: wilson(...row.worst)[0], high: wilson(...row.worst)[1], clean_accuracy: share(row.clean), attacks: row.met, required: board().required.length, weights: model(row).weights, data: model(row).data }));
  fields.push(...refused.map(([label, reason]) => ({ dataset: board().dataset, norm: board().norm, eps: board().eps, knowledge: board().knowledge, rank: null, defense: label, no_rank: `refused: ${reason}`, robust: null, n: null, robust_accuracy: null, low: null, high: null, clean_accuracy: null, attacks: null, required: board().required.length, weights: null, data: null })));
  if (form === "json") return JSON.stringify(fields, null, 1) + "\n";
  return [Object.keys(fields[0] || {}), ...fields.map(Object.values)].map((line) => line.map((value) => escapes.csv(String(value ?? ""))).join(",")).join("\n") + "\n";
}

// State, and its place in the address
function go(changes) {
  Object.assign(state, changes);
  write();
  draw();
}
function pick(m) {
  go({ picked: state.picked.includes(m) ? state.picked.filter((one) => one !== m) : [...state.picked, m].slice(-4) });
}
function toggle(m) {
  const open = new Set(state.open);
  if (!open.delete(m)) open.add(m);
  go({ open });
  document.querySelector(`tr[data-model="${m}"] .open`)?.focus();
}
function write() {
  const said = new URLSearchParams();
  if (state.board) said.set("board", state.board);
  for (const key of ["q", "attack", "recipe", "architecture"]) if (state[key]) said.set(key, state[key]);
  if (state.sort !== "rank" || state.down) said.set("sort", (state.down ? "-" : "") + state.sort);
  if (state.open.size) said.set("open", [...state.open].join("."));
  if (state.picked.length) said.set("compare", state.picked.join("."));
  history.replaceState(null, "", said.size ? `#${said}` : location.pathname + location.search);
}
function read() {
  const said = new URLSearchParams(location.hash.slice(1)), sort = said.get("sort") || "rank", key = sort.replace(/^-/, "");
  const numbers = (name) => (said.get(name) || "").split(".").filter((one) => /^\d+$/.test(one)).map(Number).filter((m) => DATA.models[m]);
  const chosen = Number(said.get("board") || 0);
  Object.assign(state, {
    board: DATA.boards[chosen] ? chosen : 0, q: said.get("q") || "", attack: said.get("attack") || "", recipe: said.get("recipe") || "", architecture: said.get("architecture") || "",
    sort: COLUMNS.some((column) => column.key === key) ? key : "rank", down: sort.startsWith("-"), open: new Set(numbers("open")), picked: numbers("compare"),
  });
}
function draw() {
  drawControls();
  drawTable();
  drawCompare();
}
byId("controls").addEventListener("submit", (event) => event.preventDefault());
byId("board").addEventListener("change", (event) => go({ board: Number(event.target.value), attack: "", recipe: "", architecture: "", picked: [], open: new Set() }));
byId("search").addEventListener("input", (event) => go({ q: event.target.value }));
byId("copy").addEventListener("click", async () => {
  const text = exported(byId("format").value);
  try {
    await navigator.clipboard.writeText(text);
  } catch { // a file opened from a disk may have no clipboard
    const area = el("textarea", { "aria-hidden": "true" });
    document.body.append(area);
    area.value = text;
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  byId("status").textContent = "Copied what is shown.";
});
byId("save").addEventListener("click", () => {
  const form = byId("format").value, link = el("a", { download: `leaderboard.${form}`, href: URL.createObjectURL(new Blob([exported(form)], { type: "text/plain" })) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
});
// On paper the table stands whole, and what is behind its rows below it.
addEventListener("beforeprint", () => byId("printed").replaceChildren(...shownRows().filter((row) => !state.open.has(row.m)).map((row) => el("article", {}, el("h2", { class: "call" }, row.label), ...detail(row).firstChild.childNodes))));
addEventListener("afterprint", () => byId("printed").replaceChildren());
addEventListener("hashchange", () => { read(); draw(); });
read();
if (DATA.boards.length) draw();
else byId("status").textContent = "There is no board yet: run a defense with --suite linf.";
