// What is shown: kept in the address after #, so that a view can be shared and found again.

const DEFAULTS = {
  task: "",
  kind: "",
  measure: "",
  langs: "",
  sort: "",
  dir: "",
  across: "",
  acrossdir: "",
  q: "",
  pub: "1",
  a: "",
  b: "",
  bias: "",
  heat: "",
  matrix: "",
  minus: "",
  hits: "",
};

/** As in the address: strings, empty where nothing was chosen. */
let chosen = { ...DEFAULTS };
const drawers = [];

/** The board to open with: a whole task before a part of one, and the one with the most to show. */
function firstTask() {
  const size = (task) => sum(Object.values(task.queries)) * task.kinds.length;
  const order = (x, y) =>
    x.notes.length - y.notes.length || Number(y.primary) - Number(x.primary) || size(y) - size(x);
  return [...TASKS].sort(order)[0];
}

/** What the choices come to on the data at hand: never anything that is not there. */
function view() {
  const task = TASKS.find((x) => x.slug === chosen.task) ?? firstTask();
  const sorted = task.columnOf.get(task.sort);
  const kind = task.kinds.includes(chosen.kind) ? chosen.kind : sorted.kind;
  const columns = task.ofKind(kind);
  const column =
    columns.find((x) => x.measure === chosen.measure) ??
    columns.find((x) => x.measure === sorted.measure) ??
    columns[0];
  const asked = chosen.langs
    .split(",")
    .map((x) => task.languages.indexOf(x))
    .filter((x) => x >= 0);
  const languages =
    asked.length && asked.length < task.languages.length
      ? [...new Set(asked)].sort((x, y) => x - y)
      : null;
  const value = (row) => task.value(row, column.key);
  const together = task.rows.filter((row) => !row.elsewhere);
  const byValue = inOrder(together, value, column.better);
  // Measured rows before published ones, the best two where nothing was chosen.
  byValue.sort((x, y) => Number(y.measured) - Number(x.measured));
  const b0 = together.find((row) => row.id === chosen.b);
  const a = together.find((row) => row.id === chosen.a) ?? byValue.find((row) => row !== b0) ?? b0;
  const b = b0 && b0 !== a ? b0 : (byValue.find((row) => row !== a) ?? a);
  return { task, kind, column, languages, a, b, published: chosen.pub !== "0", query: chosen.q };
}

/** `rows` by what `of` gives, best first, undefined last; highest first where no end is good. */
function inOrder(rows, of, better, reversed = false) {
  const sign = (better === "lower" ? 1 : -1) * (reversed ? -1 : 1);
  const keyed = rows.map((row) => [of(row), row]);
  return keyed
    .sort(([x, r], [y, s]) => compareNumbers(x, y, sign) || r.index - s.index)
    .map(([, row]) => row);
}

const sum = (values) => values.reduce((x, y) => x + y, 0);

/** Undefined last, whatever the direction. */
function compareNumbers(x, y, sign) {
  if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(x)) - Number(Number.isNaN(y));
  return sign * (x - y);
}

/** Change choices and draw the page again. */
function choose(changes) {
  chosen = { ...chosen, ...changes };
  const words = new URLSearchParams(Object.entries(chosen).filter(([k, v]) => v !== DEFAULTS[k]));
  const hash = words.toString();
  history.replaceState(null, "", hash ? `#${hash}` : `${location.pathname}${location.search}`);
  draw();
}

function readAddress() {
  const words = new URLSearchParams(location.hash.slice(1));
  chosen = { ...DEFAULTS };
  for (const name of Object.keys(DEFAULTS)) if (words.has(name)) chosen[name] = words.get(name);
}

/** What chooses rows of the table and their order: charts of single models do not change with it. */
const OF_THE_TABLE = ["q", "pub", "sort", "dir", "across", "acrossdir"];

/** Draw with `drawer` when something else than the choices called `names` has changed. */
function drawWithout(names, drawer) {
  let before = null;
  drawers.push((now) => {
    const others = Object.entries(chosen).filter(([name]) => !names.includes(name));
    const key = JSON.stringify([others, drawnWidth]);
    if (key === before) return;
    before = key;
    drawer(now);
  });
}

let drawnWidth = 0;
const rooms = new Map();

/** Width of a figure, measured before anything is drawn: to measure in between is slow. */
const roomIn = (figure) => rooms.get(figure) || figure.clientWidth;

/** Draw everything; what is drawn anew and had the focus has it again. */
function draw() {
  drawnWidth = document.documentElement.clientWidth;
  for (const figure of document.querySelectorAll("figure")) rooms.set(figure, figure.clientWidth);
  const now = view();
  const held = document.activeElement?.dataset.focus;
  for (const drawer of drawers) drawer(now);
  if (held && document.activeElement?.dataset.focus !== held) {
    document.querySelector(`[data-focus="${CSS.escape(held)}"]`)?.focus({ preventScroll: true });
  }
}

/** Take a row as A or B; the one that was there becomes the other, so that they are never one. */
function pickRow(letter, id) {
  const now = view();
  const other = letter === "a" ? "b" : "a";
  const changes = now[other]?.id === id ? { [other]: now[letter].id } : {};
  choose({ [letter]: id, ...changes });
  say(`${letter.toUpperCase()} is ${now.task.rowById(id).model}`);
}

/** Whether a row holds every word of the filter. */
function matches(row, query) {
  const words = query.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  const text = [row.model, row.recipe, row.kind, row.source, row.options, row.reference]
    .join(" ")
    .toLocaleLowerCase();
  return words.every((word) => text.includes(word));
}

/** Rows that the filter and the switch for published rows leave; or those that stand apart. */
function visibleRows({ task, published, query }, elsewhere = false) {
  return task.rows.filter((row) => {
    if (row.elsewhere !== elsewhere) return false;
    if (!published && row.source === "published") return false;
    return matches(row, query);
  });
}
