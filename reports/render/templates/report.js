/* What a page can do with a script: values under the pointer and by keyboard, zoom, sorted and filtered tables.
   In: the page, whose charts carry their scales and words as data- attributes. Out: nothing leaves the page.
   Never: the network, storage, a number that the page does not hold. Without it everything can still be read. */
(() => {
"use strict";
const SVG = "http://www.w3.org/2000/svg";
const NEAR_PX = 18; // how far from a mark a pointer still means it
const DRAG_PX = 6; // less is a click
const ZOOM_MIN_PX = 4; // of the whole width: closer there is nothing between two points
const WIDTH_PX = 460, LETTER_PX = 8; // of a chart, and of a letter of its labels at most
const ROWS_MIN = 6; // of a table that is worth sorting; fewer are seen at a glance
const make = (name, attributes, parent) => {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (parent) parent.append(node);
  return node;
};
const html = (name, properties, ...children) => {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children);
  return node;
};
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/* ---- scales: the same three kinds as the charts are drawn with ---- */
const scaleOf = (text) => {
  const [kind, low, high, from, to, unit] = text.split(",");
  return { kind, low: +low, high: +high, from: +from, to: +to, unit };
};
const valueAt = (s, px) => {
  const share = (px - s.from) / (s.to - s.from);
  return s.kind === "log" ? s.low * Math.pow(s.high / s.low, share) : s.low + share * (s.high - s.low);
};
const pixelOf = (s, value) => s.from + (s.to - s.from) * (s.kind === "log"
  ? Math.log(value / s.low) / Math.log(s.high / s.low) : (value - s.low) / (s.high - s.low));
const two = (n, width = 2) => String(n).padStart(width, "0");
const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
const dayOf = (ms) => {
  const t = new Date(Math.round(ms));
  return `${MONTHS[t.getUTCMonth()]} ${t.getUTCDate()}`;
};
const clock = (ms, span) => {
  const t = new Date(Math.round(ms));
  const day = dayOf(ms);
  const time = `${two(t.getUTCHours())}:${two(t.getUTCMinutes())}`;
  if (span <= 5e3) return `${time}:${two(t.getUTCSeconds())}.${two(t.getUTCMilliseconds(), 3)}`;
  if (span <= 6e5) return `${time}:${two(t.getUTCSeconds())}`;
  if (span <= 864e5) return time;
  return span <= 4 * 864e5 ? `${day} ${time}` : day;
};
const moment = (ms, s, grid) => {
  const t = new Date(ms);
  const day = dayOf(ms);
  const time = `${two(t.getUTCHours())}:${two(t.getUTCMinutes())}${grid % 6e4 ? `:${two(t.getUTCSeconds())}` : ""}`;
  return grid % 864e5 === 0 ? day : dayOf(s.low) !== dayOf(s.high) ? `${day} ${time}` : time;
};
const plain = (value, span) => {
  const digits = span > 0 ? clamp(2 - Math.floor(Math.log10(span)), 0, 6) : 3;
  return value.toLocaleString("en-US", { maximumFractionDigits: digits });
};
const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5, 36e5, 72e5,
  108e5, 216e5, 432e5, 864e5, 1728e5, 6048e5];
const ticksOf = (s, count) => {
  if (s.kind === "log" && s.high / s.low >= 10) {
    const found = [];
    for (let p = Math.floor(Math.log10(s.low)); p <= Math.ceil(Math.log10(s.high)); p++) found.push(Math.pow(10, p));
    return found.filter((tick) => tick >= s.low && tick <= s.high);
  }
  const wanted = (s.high - s.low) / count;
  const power = Math.pow(10, Math.floor(Math.log10(wanted)));
  const step = s.kind === "utc" ? STEPS.find((one) => one >= wanted) || Math.ceil(wanted / 864e5) * 864e5
    : power * [1, 2, 5, 10].find((m) => power * m >= wanted * 0.999);
  const found = [];
  for (let i = Math.ceil(s.low / step - 1e-9); i * step <= s.high * (1 + 1e-12); i++) found.push(i * step);
  return found;
};

/* ticks with their words, as many as stand apart; over midnight a time carries its date where it is a new one */
const labelled = (s) => {
  const dated = s.kind === "utc" && s.high - s.low <= 864e5 && dayOf(s.low) !== dayOf(s.high);
  for (let count = 4; ; count--) {
    let told = "";
    const placed = ticksOf(s, count).map((tick) => {
      let words = s.kind === "utc" ? clock(tick, s.high - s.low) : plain(tick, s.high - s.low);
      if (dated && dayOf(tick) !== told) words = `${told = dayOf(tick)} ${words}`;
      const half = words.length * LETTER_PX / 2;
      const x = pixelOf(s, tick);
      return { x, at: clamp(x, half, WIDTH_PX - half), half, words };
    });
    const apart = placed.every((one, i) => !i || placed[i - 1].at + placed[i - 1].half + 12 <= one.at - one.half);
    if (apart || count === 1) return placed;
  }
};

/* ---- one chart ---- */
const chart = (svg) => {
  const figure = svg.closest("figure");
  const zoomable = svg.dataset.keys === "zoom";
  const tip = html("div", { className: "tip", hidden: true });
  tip.setAttribute("role", "status");
  figure.append(tip);
  const title = svg.querySelector("title");
  if (title) title.textContent = ""; // the browser's own tip would cover ours; the name stays in aria-label
  svg.tabIndex = 0;
  svg.setAttribute("role", "application");
  svg.setAttribute("aria-roledescription", "chart");
  svg.setAttribute("aria-label", `${svg.getAttribute("aria-label")}. Arrow keys say its values${zoomable ? ", plus and minus zoom" : ""}.`);

  const show = (words, x, y) => {
    tip.textContent = words;
    tip.hidden = false;
    const box = figure.getBoundingClientRect();
    const wide = tip.offsetWidth;
    tip.style.left = `${clamp(x - box.left - wide / 2, 0, Math.max(0, box.width - wide))}px`;
    const above = y - box.top - tip.offsetHeight - 14;
    tip.style.top = `${above >= 0 ? above : y - box.top + 18}px`;
  };
  const hide = () => { tip.hidden = true; };
  const place = (event) => {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    return [at.x, at.y];
  };
  const onScreen = (x, y) => {
    const at = new DOMPoint(x, y).matrixTransform(svg.getScreenCTM());
    return [at.x, at.y];
  };

  /* marks that say their own words */
  const marks = [...svg.querySelectorAll("[data-v]")];
  let marked = -1;
  const middle = (node) => {
    if (node.getAttribute("fill") === "none") { // an arc: its middle is on it, not in the middle of its box
      const half = node.getPointAtLength(node.getTotalLength() / 2);
      return onScreen(half.x, half.y);
    }
    const box = node.getBoundingClientRect();
    return [box.left + box.width / 2, box.top + box.height / 2];
  };
  const mark = (index) => {
    if (marks[marked]) marks[marked].classList.remove("on");
    marked = index;
    if (index < 0) return hide();
    const [x, y] = middle(marks[index]);
    marks[index].classList.add("on");
    show(marks[index].dataset.v, x, y);
  };
  const nearestMark = (event) => {
    const direct = event.target.closest && event.target.closest("[data-v]");
    if (direct) return marks.indexOf(direct);
    let best = -1, least = NEAR_PX;
    marks.forEach((node, i) => {
      const [x, y] = middle(node);
      const far = Math.hypot(x - event.clientX, y - event.clientY);
      if (far < least) [best, least] = [i, far];
    });
    return best;
  };

  /* panels with lines: values at a place, zoom */
  const panels = zoomable ? [...svg.querySelectorAll(".panel")].map((node, number) => {
    const [left, top, width, height] = node.dataset.box.split(",").map(Number);
    const group = node.querySelector(".marks");
    const id = `${svg.getAttribute("aria-describedby")}-clip-${number}`;
    make("rect", { x: left, y: top - 3, width, height: height + 6 }, make("clipPath", { id }, group));
    const axis = node.querySelector(".x-axis");
    return {
      node, left, top, width, height, group, id, axis, drawn: axis.innerHTML,
      x: scaleOf(node.dataset.x), y: scaleOf(node.dataset.y), from: left, to: left + width,
      lines: [...node.querySelectorAll(".line")].map((line) => ({
        line, name: line.dataset.s, step: line.dataset.k === "step",
        points: line.getAttribute("d").slice(1).split("L").map((pair) => pair.split(",").map(Number)),
      })),
      marks: [...node.querySelectorAll(".mark")].map((one) => ({
        one, at: one.getAttribute("transform").match(/-?[\d.]+/g).map(Number), words: one.dataset.v,
      })),
      cursor: make("line", { class: "cursor", y1: top, y2: top + height, visibility: "hidden" }, node),
    };
  }) : [];
  let active = 0, cursor = null;
  const shift = (p, x) => p.left + (x - p.from) * p.width / (p.to - p.from);
  const unshift = (p, x) => p.from + (x - p.left) * (p.to - p.from) / p.width;

  const draw = (p) => {
    const whole = p.from <= p.left && p.to >= p.left + p.width;
    for (const line of p.lines) line.line.setAttribute("d", "M" + line.points.map(([x, y]) => `${shift(p, x).toFixed(2)},${y}`).join("L"));
    for (const m of p.marks) m.one.setAttribute("transform", `translate(${shift(p, m.at[0]).toFixed(2)},${m.at[1]})`);
    if (whole) {
      p.axis.innerHTML = p.drawn;
      p.group.removeAttribute("clip-path");
      return;
    }
    p.group.setAttribute("clip-path", "url(#" + p.id + ")");
    const s = { ...p.x, low: valueAt(p.x, p.from), high: valueAt(p.x, p.to), from: p.left, to: p.left + p.width };
    p.axis.textContent = "";
    const bottom = p.top + p.height;
    for (const { x, at, words } of labelled(s)) {
      make("line", { x1: x, x2: x, y1: p.top, y2: bottom, stroke: "#d1d9e0" }, p.axis);
      make("text", { x: at, y: bottom + 16, "text-anchor": "middle", fill: "#59636e" }, p.axis).textContent = words;
    }
    make("line", { x1: p.left, x2: p.left + p.width, y1: bottom, y2: bottom, stroke: "#818b98" }, p.axis);
  };
  const zoom = (p, from, to) => {
    const end = p.left + p.width;
    const wide = clamp(to - from, ZOOM_MIN_PX, p.width);
    const begin = clamp(from, p.left, end - wide);
    for (const one of panels) {
      if (one !== p && one.node.dataset.x !== p.node.dataset.x) continue; // panels of one time axis move together
      [one.from, one.to] = [begin, begin + wide];
      draw(one);
    }
    back.disabled = panels.every((one) => one.to - one.from >= one.width - 1e-6);
    if (cursor !== null && (cursor < p.from || cursor > p.to)) point(active, null);
    else if (cursor !== null) point(active, cursor);
  };
  const around = (p, factor) => {
    const centre = cursor === null ? (p.from + p.to) / 2 : cursor;
    const wide = (p.to - p.from) * factor;
    zoom(p, centre - wide * (centre - p.from) / (p.to - p.from), centre + wide * (p.to - centre) / (p.to - p.from));
  };
  const stops = (p) => [...new Set(p.lines.flatMap((l) => l.points.map(([x]) => x)).concat(p.marks.map((m) => m.at[0])))]
    .filter((x) => x >= p.from - 1e-6 && x <= p.to + 1e-6).sort((a, b) => a - b);
  const said = (p, x) => {
    const grid = +p.node.dataset.grid || 1;
    const words = [p.x.kind === "utc" ? moment(Math.round(valueAt(p.x, x) / grid) * grid, p.x, grid) + " UTC"
      : `${plain(valueAt(p.x, x), valueAt(p.x, p.to) - valueAt(p.x, p.from))} ${p.x.unit}`];
    const seen = new Map();
    for (const { name, points, step } of p.lines) {
      let found = null;
      if (step) {
        for (const pair of points) if (pair[0] <= x + 1e-6) found = pair;
        if (!found) found = [x, p.y.from];
      } else found = points.find((pair) => Math.abs(pair[0] - x) < 0.02);
      if (found) seen.set(name, `${name}: ${plain(valueAt(p.y, found[1]), p.y.high - p.y.low)} ${p.y.unit}`);
    }
    const near = p.marks.filter((m) => Math.abs(m.at[0] - x) < 0.5).map((m) => m.words);
    return [...words, ...seen.values(), ...near].join("\n");
  };
  const point = (number, x) => {
    panels.forEach((p) => p.cursor.setAttribute("visibility", "hidden"));
    active = number;
    cursor = x;
    if (x === null) return hide();
    const p = panels[number], at = shift(p, x);
    p.cursor.setAttribute("x1", at);
    p.cursor.setAttribute("x2", at);
    p.cursor.setAttribute("visibility", "visible");
    const [sx, sy] = onScreen(at, p.top);
    show(said(p, x), sx, sy);
  };
  const panelAt = ([x, y]) => panels.findIndex((p) => x >= p.left - 8 && x <= p.left + p.width + 8 && y >= p.top - 8 && y <= p.top + p.height + 8);
  const nearestStop = (p, x) => stops(p).reduce((best, stop) => Math.abs(stop - x) < Math.abs(best - x) ? stop : best, Infinity);

  const back = html("button", { type: "button", textContent: "Show all", disabled: true, onclick: () => reset() });
  const reset = () => panels.forEach((p) => zoom(p, p.left, p.left + p.width));
  if (zoomable) {
    figure.querySelector(".picture").after(html("div", { className: "tools" },
      html("button", { type: "button", textContent: "Zoom in", onclick: () => around(panels[active], 0.5) }),
      html("button", { type: "button", textContent: "Zoom out", onclick: () => around(panels[active], 2) }), back));
    for (const name of ["Zoom in", "Zoom out", "Show all"]) {
      const button = [...figure.querySelectorAll(".tools button")].find((b) => b.textContent === name);
      button.setAttribute("aria-label", `${name}: ${figure.querySelector("figcaption").textContent}`);
    }
  }

  let dragged = null, band = null;
  svg.addEventListener("pointerdown", (event) => {
    const number = panelAt(place(event));
    if (number >= 0 && event.isPrimary && event.button === 0) dragged = { number, x: place(event)[0], id: event.pointerId };
  });
  svg.addEventListener("pointermove", (event) => {
    if (!zoomable) return mark(nearestMark(event));
    const at = place(event);
    if (dragged && Math.abs(at[0] - dragged.x) > DRAG_PX) {
      const p = panels[dragged.number];
      svg.setPointerCapture(dragged.id);
      if (!band) band = make("rect", { class: "band", y: p.top, height: p.height }, p.node);
      const [a, b] = [dragged.x, clamp(at[0], p.left, p.left + p.width)].sort((m, n) => m - n);
      band.setAttribute("x", a);
      band.setAttribute("width", b - a);
      return hide();
    }
    const number = panelAt(at);
    if (number < 0) return point(active, null);
    const p = panels[number], x = unshift(p, at[0]);
    const stop = p.lines.some((l) => l.step) ? clamp(x, p.from, p.to) : nearestStop(p, x);
    return point(number, Number.isFinite(stop) ? stop : null);
  });
  svg.addEventListener("pointerup", (event) => {
    if (dragged && band) {
      const p = panels[dragged.number];
      const [a, b] = [dragged.x, clamp(place(event)[0], p.left, p.left + p.width)].sort((m, n) => m - n);
      zoom(p, unshift(p, a), unshift(p, b));
    }
    if (band) band.remove();
    dragged = band = null;
  });
  svg.addEventListener("pointercancel", () => { if (band) band.remove(); dragged = band = null; });
  svg.addEventListener("pointerleave", () => { if (!dragged) zoomable ? point(active, null) : mark(-1); });
  svg.addEventListener("blur", () => zoomable ? point(active, null) : mark(-1));
  svg.addEventListener("dblclick", () => { if (zoomable) reset(); });
  svg.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const way = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity }[event.key];
    if (!zoomable) {
      if (way !== undefined && marks.length) mark(clamp(marked < 0 && way === -1 ? marks.length - 1 : marked + way, 0, marks.length - 1));
      else if (event.key === "Escape") mark(-1);
      else return;
      event.preventDefault();
      return;
    }
    const p = panels[active], found = stops(p);
    if (way !== undefined && event.shiftKey) {
      const by = way * (p.to - p.from) / 4;
      if (Number.isFinite(by)) zoom(p, p.from + by, p.to + by);
    } else if (way !== undefined && found.length) {
      const here = cursor === null ? (way > 0 ? -1 : found.length)
        : found.findIndex((x) => x >= cursor - 1e-6);
      point(active, found[clamp(here + way, 0, found.length - 1)]);
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const next = clamp(active + (event.key === "ArrowDown" ? 1 : -1), 0, panels.length - 1);
      const from = panels[next];
      point(next, nearestStop(from, cursor === null ? from.from : clamp(cursor, from.from, from.to)));
    } else if (event.key === "+" || event.key === "=") around(p, 0.5);
    else if (event.key === "-") around(p, 2);
    else if (event.key === "0" || event.key === "Escape") { reset(); point(active, null); } else return;
    event.preventDefault();
  });
};

/* ---- tables ---- */
const UNITS = { h: 3.6e6, min: 6e4, s: 1e3, ms: 1, TiB: 1024 ** 4, GiB: 1024 ** 3, MiB: 1024 ** 2, KiB: 1024, B: 1 };
const keyOf = (cell) => {
  const words = (cell.firstElementChild && cell.firstChild.nodeType === 3 ? cell.firstChild.textContent : cell.textContent).trim();
  const found = words.match(/^([-+]?)\$?(-?[\d,]*\.?\d+(?:e[-+]?\d+)?)\s*(TiB|GiB|MiB|KiB|min|ms|[hsB%])?(?![\w-])(?!:)/);
  if (!found || /^\d{4}-\d\d/.test(words)) return words.toLowerCase();
  return (found[1] === "-" ? -1 : 1) * parseFloat(found[2].replace(/,/g, "")) * (UNITS[found[3]] || 1);
};
const table = (node) => {
  const body = node.tBodies[0], heads = node.tHead ? [...node.tHead.rows[0].cells] : [];
  if (!body || !heads.length) return;
  const groups = [];
  for (const row of body.rows) row.classList.contains("evidence") ? groups[groups.length - 1].push(row) : groups.push([row]);
  if (groups.length < ROWS_MIN) return;
  const name = (node.caption && node.caption.textContent) || node.parentElement.getAttribute("aria-label") || "table";
  let sorted = -1, up = true;
  const sort = (column, ascending) => {
    [sorted, up] = [column, ascending];
    const keyed = groups.map((rows, place) => ({ rows, place, key: column < 0 ? place : keyOf(rows[0].cells[column]) }));
    const missing = (key) => key === "–" || key === "" || key === "not measured" || key === "not priced";
    keyed.sort((a, b) => {
      if (missing(a.key) !== missing(b.key)) return missing(a.key) ? 1 : -1; // what is missing stays last, both ways
      const order = typeof a.key === typeof b.key ? (a.key < b.key ? -1 : a.key > b.key ? 1 : 0) : typeof a.key === "number" ? -1 : 1;
      return (ascending ? order : -order) || a.place - b.place;
    });
    for (const { rows } of keyed) body.append(...rows);
    heads.forEach((head, i) => i === column ? head.setAttribute("aria-sort", ascending ? "ascending" : "descending") : head.removeAttribute("aria-sort"));
    choice.value = String(column);
  };
  heads.forEach((head, i) => {
    if (!head.textContent.trim()) return;
    const button = html("button", { type: "button", className: "sort", onclick: () => sort(i, sorted === i ? !up : true) }, ...head.childNodes);
    head.append(button);
  });
  const choice = html("select", { onchange: () => sort(+choice.value, true) }, html("option", { value: "-1", textContent: "as made" }),
    ...heads.map((head, i) => html("option", { value: String(i), textContent: head.textContent.trim() || "first column" })));
  const count = html("span", { className: "note" });
  count.setAttribute("role", "status");
  const filter = html("input", { type: "search", placeholder: "Filter rows" });
  filter.setAttribute("aria-label", `Filter rows: ${name}`);
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const rows of groups) {
      const hit = words.every((word) => rows.some((row) => row.textContent.toLowerCase().includes(word)));
      rows.forEach((row) => { row.hidden = !hit; });
      if (hit) shown++;
    }
    count.textContent = words.length ? `${shown} of ${groups.length} rows` : "";
  });
  const label = html("label", { className: "by" }, "Sort by ", choice);
  node.parentElement.before(html("div", { className: "tools" }, filter, label, count));
};

document.documentElement.classList.add("js");
document.querySelectorAll("svg.chart[data-keys]").forEach(chart);
document.querySelectorAll("table").forEach(table);
})();
