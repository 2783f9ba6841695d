// What the table of models has for columns: measures, languages, facts of a model and its cost.

/** Facts of a model and of its run: how they are read from a row and written. */
const FACTS = [
  {
    key: "parameters",
    label: "Parameters",
    of: (row) => row.parameters ?? NaN,
    write: (row) => parameters(row.parameters),
  },
  {
    key: "dimensions",
    label: "Dimensions",
    of: (row) => row.dimensions ?? NaN,
    write: (row) => (row.dimensions === null ? DASH : grouped.format(row.dimensions)),
  },
  {
    key: "speed",
    label: "Texts/s",
    of: (row) => row.facts?.texts_per_second ?? NaN,
    write: (row) =>
      row.facts?.texts_per_second ? grouped.format(Math.round(row.facts.texts_per_second)) : DASH,
    title: (row) => (row.facts ? `${row.facts.device}, ${row.facts.processor}` : null),
  },
  {
    key: "memory",
    label: "Peak memory",
    better: "lower",
    of: (row) => row.facts?.peak_bytes ?? NaN,
    write: (row) => (row.facts?.peak_bytes ? memory(row.facts.peak_bytes) : DASH),
  },
].map((fact) => ({ ...fact, classes: ["fact"] }));

/** What a heading says of its measure: definition, good end, best and chance. */
function measureTitle(task, column) {
  const known = ends(task, column);
  const write = (x) => shown(x, column.decimals);
  const range = known ? ` Best ${write(known.best)}, random order ${write(known.chance)}.` : "";
  return `${column.label}, ${column.kind}: ${direction(column)}. ${meaning(column.measure)}${range}`;
}

/** A measure as a column of the table. */
function measureColumn({ task, languages }, column, label = column.label) {
  const ranking = languages === null ? task.rankings[column.key] : undefined;
  return {
    key: column.key,
    label,
    title: measureTitle(task, column),
    better: column.better,
    of: (row) => task.value(row, column.key, languages),
    write: (row) => shown(task.value(row, column.key, languages), column.decimals),
    marks: (row) => [
      ranking?.best.includes(row.index) && "best",
      ranking?.second.includes(row.index) && "second",
    ],
  };
}

/** Where a task has no pairs of languages, each language stands in the table, with the median. */
function languageColumns({ task, column }) {
  const seen = new Map(task.rows.map((row) => [row, new Set(untrained(task, row))]));
  const unseenIn = (row, code) => seen.get(row).has(code);
  const of = (row, i) => task.languageValue(row, column.key, i);
  const middle = (row) => median(task.languages.map((_, i) => of(row, i)));
  const found = task.languages.map((code, i) => ({
    key: `language/${code}`,
    label: code,
    heat: true,
    title: `${column.label}, questions in ${languageName(code)}`,
    better: column.better,
    of: (row) => of(row, i),
    write: (row) => shown(of(row, i), column.decimals),
    unseen: (row) => unseenIn(row, code),
  }));
  return [
    {
      key: "language/median",
      label: "Median",
      title: `Median of ${column.label} over languages`,
      better: column.better,
      of: middle,
      write: (row) => shown(middle(row), column.decimals),
    },
    ...found,
  ];
}

/**
 * Colours of the languages' cells: from the lowest to the highest value of `rows`.
 *
 * Of all rows that are open, so that a cell's colour does not change with the filter.
 */
function heatOf(rows, columns) {
  const heated = columns.filter((x) => x.heat);
  const known = heated.flatMap((x) => rows.map(x.of)).filter((x) => !Number.isNaN(x));
  if (known.length < 2) return () => null;
  const [low, high] = [known.reduce((x, y) => Math.min(x, y)), known.reduce((x, y) => Math.max(x, y))];
  return (value) => (Number.isNaN(value) || high <= low ? null : (value - low) / (high - low));
}

function median(values) {
  const known = values.filter((x) => !Number.isNaN(x)).sort((x, y) => x - y);
  if (!known.length) return NaN;
  const half = known.length >> 1;
  return known.length % 2 ? known[half] : (known[half - 1] + known[half]) / 2;
}

/** All groups of columns for what is chosen: [heading, columns], the chosen measure alone first. */
function columnsOf(now) {
  const { task, kind, column } = now;
  const others = KINDS.map(([name]) => task.columnOf.get(`${name}/${column.measure}`));
  const main = task.columns.filter((x) => x.main && x.key !== column.key);
  const listed = (columns, label) =>
    columns.filter((x) => x && x.key !== column.key).map((x) => measureColumn(now, x, label?.(x)));
  const chosenOne = [column.kind, [{ ...measureColumn(now, column), classes: ["chosen"] }]];
  const byLanguage = [`${column.label} by query language`, languageColumns(now)];
  if (now.byLanguage) return [chosenOne, byLanguage];
  return [
    chosenOne,
    [`${column.label} in other settings`, listed(others, (x) => x.kind)],
    [kind, listed(main.filter((x) => x.kind === kind && !isBias(x)))],
    // Beside quality, as no measure of bias is to be read alone.
    ["language bias, multi", listed(main.filter(isBias))],
    [byLanguage[0], task.per_language_only ? byLanguage[1] : []],
    ["model and cost", FACTS],
  ].filter(([, columns]) => columns.length);
}

/** Those of them that the reader did not hide. */
function columnGroups(now) {
  const hidden = new Set(chosen.hide.split(",").filter(Boolean));
  const [first, ...rest] = columnsOf(now);
  return [
    first,
    ...rest
      .map(([label, columns]) => [label, columns.filter((x) => !hidden.has(x.key))])
      .filter(([, columns]) => columns.length),
  ];
}

/** Ticks for the columns that can be hidden. */
function drawColumnChoice(now, all) {
  const hidden = new Set(chosen.hide.split(",").filter(Boolean));
  const toggle = (key, on) => {
    const left = new Set(hidden);
    if (on) left.delete(key);
    else left.add(key);
    choose({ hide: [...left].join(",") });
  };
  const tick = (x) =>
    make(
      "label",
      {},
      make("input", {
        type: "checkbox",
        checked: !hidden.has(x.key),
        "data-focus": `show ${x.key}`,
        onchange: (event) => toggle(x.key, event.target.checked),
      }),
      make("span", {}, x.label),
    );
  byId("columns-sheet").replaceChildren(
    make("button", { type: "button", onclick: () => choose({ hide: "" }) }, "All columns"),
    ...all
      .slice(1)
      .map(([label, columns]) =>
        make(
          "fieldset",
          {},
          make("legend", {}, label),
          make("div", { class: "ticks" }, columns.map(tick)),
        ),
      ),
  );
}
