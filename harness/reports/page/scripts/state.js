// What is shown: kept in the address after #, so that a view can be shared and found again.

const DEFAULTS = {
  task: "",
  kind: "",
  measure: "",
  langs: "",
  sort: "",
  dir: "",
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

/** The board to open with: a whole task before a part of one, and the one with the most queries. */
function firstTask() {
  const size = (task) => sum(Object.values(task.queries));
  return [...TASKS].sort((x, y) => x.notes.length - y.notes.length || size(y) - size(x))[0];
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
  const comparable = task.rows.filter((row) => row.measured);
  const byValue = inOrder(task, comparable.length ? comparable : task.rows, column);
  const a = task.rowById(chosen.a) ?? byValue[0];
  const b = task.rowById(chosen.b) ?? byValue.find((row) => row !== a) ?? a;
  return { task, kind, column, languages, a, b, published: chosen.pub !== "0", query: chosen.q };
}

/** `rows` by a column, best first, undefined last; a column without a good end highest first. */
function inOrder(task, rows, column, languages = null, reversed = false) {
  const sign = (column.better === "lower" ? 1 : -1) * (reversed ? -1 : 1);
  const keyed = rows.map((row) => [task.value(row, column.key, languages), row]);
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

function draw() {
  const now = view();
  for (const drawer of drawers) drawer(now);
}

/** Rows that the filter and the switch for published rows leave. */
function visibleRows({ task, published, query }) {
  const words = query.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  return task.rows.filter((row) => {
    if (!published && row.source === "published") return false;
    const text = [row.model, row.recipe, row.kind, row.source, row.options, row.reference]
      .join(" ")
      .toLocaleLowerCase();
    return words.every((word) => text.includes(word));
  });
}
