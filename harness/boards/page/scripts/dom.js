// Elements are made here and nowhere else: every string goes in as text, never as markup.

const byId = (id) => document.getElementById(id);

/** An element with properties (`class`, `on...`, ARIA and other attributes) and children. */
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** What people named, in a direction of its own: right-to-left names do not turn the line. */
const named = (text) => make("bdi", {}, text);

/** `text` cut for a chart's axis, where lines do not wrap. */
function cut(text, length) {
  const letters = Array.from(text);
  return letters.length <= length ? text : `${letters.slice(0, length - 1).join("")}…`;
}

const DASH = "–";

/** A value as boards write it: its own count of decimals, no sign at 0, a dash where undefined. */
function shown(value, decimals) {
  if (Number.isNaN(value)) return DASH;
  const text = value.toFixed(decimals);
  return Number(text) === 0 ? text.replace("-", "") : minus(text);
}

/** With the sign of a difference. */
function signed(value, decimals) {
  if (Number.isNaN(value)) return DASH;
  const text = value.toFixed(decimals);
  return Number(text) === 0 ? text.replace("-", "") : value > 0 ? `+${text}` : minus(text);
}

const minus = (text) => text.replace("-", "−");

const grouped = new Intl.NumberFormat("en-US");

/** `68927232` -> `68.9 M`. */
function parameters(count) {
  if (count === null) return DASH;
  const rounded = Number(count.toPrecision(3)); // 999.9 M is 1.00 B
  for (const [size, unit] of [
    [1e9, "B"],
    [1e6, "M"],
    [1e3, "k"],
  ]) {
    if (rounded >= size) return `${(rounded / size).toPrecision(3)} ${unit}`;
  }
  return String(count);
}

/** Bytes as `640 MiB` or `1.5 GiB`. */
const memory = (bytes) =>
  bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(1)} GiB` : `${Math.round(bytes / 2 ** 20)} MiB`;

const plural = (count, noun) => `${grouped.format(count)} ${noun}${count === 1 ? "" : "s"}`;

const languageNames = new Intl.DisplayNames(["en"], { type: "language", fallback: "code" });

/** `de` -> `German`; the code itself where it is not one that is known. */
function languageName(code) {
  try {
    return languageNames.of(code);
  } catch {
    return code;
  }
}

/** Options of a select, from pairs of value and text; groups are pairs of label and options. */
function fill(select, options, chosen) {
  const one = ([value, text]) =>
    Array.isArray(text)
      ? make("optgroup", { label: value }, text.map(one))
      : make("option", { value, selected: value === chosen }, text);
  select.replaceChildren(...options.map(one));
}

/** Tell screen readers what a change did to the page. */
function say(text) {
  byId("said").textContent = text;
}

/** `.0312`; `< .0001` where four digits are zeros. */
const pValue = (p) => (p < 0.0001 ? "< .0001" : p.toFixed(4).replace(/^0/, ""));
