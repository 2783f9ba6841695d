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
  pub: "0",
  table: "",
  hide: "",
  size: "",
  type: "",
  licence: "",
  a: "",
  b: "",
  bias: "",
  heat: "",
  matrix: "",
  minus: "",
  hits: "",
  question: "",
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
  const queryLanguages = chosen.langs
    .split(",")
    .map((x) => task.languages.indexOf(x))
    .filter((x) => x >= 0);
  const languages =
    queryLanguages.length && queryLanguages.length < task.languages.length
      ? [...new Set(queryLanguages)].sort((x, y) => x - y)
      : null;
  const value = (row) => task.value(row, column.key);
  const together = task.rows.filter((row) => !row.elsewhere);
  const byValue = inOrder(together, value, column.better);
  // Measured rows before published ones, the best two where nothing was chosen.
  byValue.sort((x, y) => Number(y.measured) - Number(x.measured));
  const b0 = together.find((row) => row.id === chosen.b);
  const a = together.find((row) => row.id === chosen.a) ?? byValue.find((row) => row !== b0) ?? b0;
  const b = b0 && b0 !== a ? b0 : (byValue.find((row) => row !== a) ?? a);
  return {
    task,
    kind,
    column,
    languages,
    a,
    b,
    published: chosen.pub !== "0",
    query: chosen.q,
    size: SIZES.find(([name]) => name === chosen.size) ?? null,
    type: task.rows.some((row) => kindOf(row) === chosen.type) ? chosen.type : "",
    licence: task.rows.some((row) => licenceOf(row) === chosen.licence) ? chosen.licence : "",
    byLanguage: chosen.table === "languages",
  };
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

/**
 * Change choices and draw the page again.
 *
 * Each choice is a step that the browser's Back undoes, but letters typed one after another are one.
 */
function choose(changes) {
  const typing = Object.keys(changes).join() === "q" && chosen.q !== "";
  chosen = { ...chosen, ...changes };
  const words = new URLSearchParams(Object.entries(chosen).filter(([k, v]) => v !== DEFAULTS[k]));
  const hash = words.toString();
  const address = hash ? `#${hash}` : `${location.pathname}${location.search}`;
  if (typing) history.replaceState(null, "", address);
  else history.pushState(null, "", address);
  draw();
}

function readAddress() {
  // The links within the page name a section, not a view.
  if (location.hash && !location.hash.includes("=")) return;
  const words = new URLSearchParams(location.hash.slice(1));
  chosen = { ...DEFAULTS };
  for (const name of Object.keys(DEFAULTS)) if (words.has(name)) chosen[name] = words.get(name);
}

/** What chooses rows of the table and their order: charts of single models do not change with it. */
const FILTERS = ["q", "size", "type", "licence"];
/** What changes nothing in a table, but which of its rows are left. */
const NOT_OF_TABLES = [...FILTERS, "question", "bias", "heat", "matrix", "minus", "hits"];
const OF_THE_TABLE = [...FILTERS, "question", "pub", "sort", "dir", "across", "acrossdir", "table", "hide"];

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

/** Draw everything; what is drawn again and had the focus has it again. */
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

/**
 * Take a row as A or B; the one that was there becomes the other, so that they are never one.
 *
 * The other is in the address from then on: it was the best row, say, and would become another.
 */
function pickRow(letter, id) {
  const now = view();
  const other = letter === "a" ? "b" : "a";
  choose({ [letter]: id, [other]: now[other].id === id ? now[letter].id : now[other].id });
  say(`${letter.toUpperCase()} is ${now.task.rowById(id).model}`);
}

/** Whether a row holds every word of the filter. */
function matches(row, query) {
  const words = query.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  row.haystack ??= [row.model, row.recipe, row.kind, row.source, row.options, row.reference]
    .join(" ")
    .toLocaleLowerCase();
  const text = row.haystack;
  return words.every((word) => text.includes(word));
}

/** Sizes that models are sorted into: name, words, parameters from and to. */
const SIZES = [
  ["small", "under 200 M", 0, 2e8],
  ["medium", "200 M to 1 B", 2e8, 1e9],
  ["large", "1 B and more", 1e9, Infinity],
];

/** Whether a row is left by the filter and by the choices of size, kind and licence. */
function passes(row, { query, size, type, licence }) {
  if (!matches(row, query)) return false;
  const parameters = row.parameters ?? NaN; // of no known size
  if (size && !(parameters >= size[2] && parameters < size[3])) return false;
  if (type && kindOf(row) !== type) return false;
  return !licence || licenceOf(row) === licence;
}

const kindOf = (row) => row.kind ?? "not said";

/** The licence of the weights, else whether they can be had at all. */
const licenceOf = (row) =>
  row.license ??
  (row.open_weights === true ? "open weights" : row.open_weights === false ? "closed" : "not said");

/** Rows that charts draw: the measured ones, and published ones while their group is open. */
function visibleRows(now) {
  const rows = now.task.rows.filter(
    (row) => !row.elsewhere && (row.measured || now.published) && passes(row, now),
  );
  return rows;
}
