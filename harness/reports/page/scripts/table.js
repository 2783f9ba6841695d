// The table of models: ordered by any column, best in bold, second underlined, ties as ranks.

/** Columns beyond measures: how they are read from a row, written and ordered. */
const FACTS = [
  {
    key: "parameters",
    label: "Parameters",
    better: null,
    of: (row) => row.parameters ?? NaN,
    write: (row) => parameters(row.parameters),
  },
  {
    key: "dimensions",
    label: "Dimensions",
    better: null,
    of: (row) => row.dimensions ?? NaN,
    write: (row) => (row.dimensions === null ? DASH : grouped.format(row.dimensions)),
  },
  {
    key: "speed",
    label: "Texts/s",
    better: "higher",
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
];

/** Groups of columns for what is chosen: [heading, columns]. */
function columnGroups({ task, kind, column }) {
  const wanted = task.columns.filter((x) => x.main && x.kind === kind && x.key !== column.key);
  const others = KINDS.map(([name]) => task.columnOf.get(`${name}/${column.measure}`)).filter(
    (x) => x && x.key !== column.key,
  );
  const quality = wanted.filter((x) => !isBias(x));
  // Rank distance is never shown without mAP, nor is a measure of bias without quality beside it.
  const bias = task.columns.filter((x) => x.main && isBias(x) && x.key !== column.key);
  return [
    [`${column.label} in other settings`, others],
    [kind, quality],
    ["language bias, multi", bias],
  ].filter(([, columns]) => columns.length);
}

drawers.push((now) => {
  const { task, column, languages } = now;
  const rows = visibleRows(now);
  const groups = columnGroups(now);
  const listed = [column, ...groups.flatMap(([, columns]) => columns)];
  const order = tableOrder(now, rows, listed);
  const held = byId("table-scroll").scrollLeft;
  const focus = focusedCell();

  byId("models-about").textContent =
    `${column.label} in the ${column.kind} setting (${kindAbout(column.kind)}), ${direction(column)}` +
    (languages === null
      ? "."
      : `; questions in ${languages.map((x) => languageName(task.languages[x])).join(", ")}.`);
  const table = make(
    "table",
    { class: "board", "aria-describedby": "models-about" },
    make("thead", {}, headings(now, groups, order)),
    make(
      "tbody",
      {},
      order.rows.map((row) => bodyRow(now, row, listed, order)),
    ),
  );
  byId("table-scroll").replaceChildren(table);
  byId("table-scroll").scrollLeft = held;
  rove(table.tHead, "button", oneLine);
  rove(table.tBodies[0], "button", (elements) =>
    order.rows.map((_, i) =>
      elements.filter((x) => x.closest("tr").rowIndex - table.tHead.rows.length === i),
    ),
  );
  if (focus)
    table.querySelector(`[data-focus="${CSS.escape(focus)}"]`)?.focus({ preventScroll: true });
  drawWarnings(task);
  byId("models-note").replaceChildren(...tableNote(now, rows));
});

const focusedCell = () =>
  document.activeElement?.closest?.(".board") && document.activeElement.dataset.focus;

function tableOrder(now, rows, listed) {
  const { task, column, languages } = now;
  const by =
    listed.find((x) => x.key === chosen.sort) ??
    FACTS.find((x) => x.key === chosen.sort) ??
    (chosen.sort === "model" ? "model" : column);
  const reversed = chosen.dir === "worst";
  const sign = reversed ? -1 : 1;
  let ordered;
  if (by === "model")
    ordered = [...rows].sort((x, y) => sign * x.model.localeCompare(y.model) || x.index - y.index);
  else if (by.of)
    ordered = [...rows].sort(
      (x, y) =>
        compareNumbers(by.of(x), by.of(y), (by.better === "lower" ? 1 : -1) * sign) ||
        x.index - y.index,
    );
  else ordered = inOrder(task, rows, by, languages, reversed);
  const ranking = by === column && languages === null ? task.rankings[column.key] : undefined;
  return {
    rows: ordered,
    key: by === "model" ? "model" : by.key,
    reversed,
    lanes: lanesOf(ranking, ordered),
  };
}

/** Groups of rows not told apart, in as few lanes as keep them from touching; at most LANES. */
function lanesOf(ranking, ordered) {
  const place = new Map(ordered.map((row, i) => [row.index, i]));
  const lanes = [];
  for (const { group, lane } of tieLanes(ranking?.ties ?? [], place))
    (lanes[lane] ??= []).push(group);
  return lanes;
}

function headings(now, groups, order) {
  const { column } = now;
  const cell = (key, label, better, properties = {}, title = null) => {
    const sorted = order.key === key;
    const low = better === "lower" || key === "model";
    const ascending = low !== order.reversed;
    return make(
      "th",
      {
        scope: "col",
        ...properties,
        "aria-sort": sorted ? (ascending ? "ascending" : "descending") : "none",
      },
      make(
        "button",
        {
          type: "button",
          title,
          "data-focus": `sort ${key}`,
          onclick: () => sortBy(key, label, order),
        },
        make("span", {}, label),
        make(
          "span",
          { class: "arrow", "aria-hidden": "true" },
          sorted ? (ascending ? "↑" : "↓") : "",
        ),
      ),
    );
  };
  const first = make(
    "tr",
    { class: "groups" },
    make("td", { class: "rank" }),
    make("td", { class: "stick name" }),
    make("th", { scope: "colgroup", class: "chosen", colspan: 2 }, column.kind),
    groups.map(([label, columns]) =>
      make("th", { scope: "colgroup", colspan: columns.length, class: "edge" }, label),
    ),
    make("th", { scope: "colgroup", colspan: FACTS.length, class: "edge fact" }, "model and cost"),
    make("td", {}),
  );
  const second = make(
    "tr",
    {},
    make(
      "th",
      { scope: "col", class: "rank" },
      make("abbr", { title: "Ranks that the data do not exclude" }, "Rank"),
    ),
    cell("model", "Model", null, { class: "stick name" }),
    cell(column.key, column.label, column.better, { class: "number chosen" }, direction(column)),
    make("th", { scope: "col", class: "chosen ends" }, percent(DATA.level)),
    groups.flatMap(([, columns], g) =>
      columns.map((x, i) =>
        cell(
          x.key,
          g === 0 && x.measure === column.measure ? x.kind : x.label,
          x.better,
          { class: i ? "number" : "number edge" },
          `${x.label}, ${x.kind}: ${direction(x)}`,
        ),
      ),
    ),
    FACTS.map((x, i) =>
      cell(x.key, x.label, x.better, { class: i ? "number fact" : "number fact edge" }),
    ),
    make(
      "th",
      { scope: "col" },
      make("span", { class: "unseen" }, "Side by side, and how it was made"),
    ),
  );
  return [first, second];
}

const percent = (level) => `${Math.round(100 * level)} % interval`;

function sortBy(key, label, order) {
  const dir = order.key === key && !order.reversed ? "worst" : "";
  choose({ sort: key, dir });
  say(`Ordered by ${label}, ${dir ? "reversed" : "best first"}`);
}

function bodyRow(now, row, listed, order) {
  const { task, column, languages, a, b } = now;
  const ranking = languages === null ? task.rankings[column.key] : undefined;
  const cell = (x, i, groupsFirst) => {
    const value = task.value(row, x.key, languages);
    const marks = languages === null ? task.rankings[x.key] : undefined;
    const best = marks?.best.includes(row.index);
    const second = marks?.second.includes(row.index);
    return make(
      "td",
      {
        class: [
          "number",
          i === 0 && "chosen",
          groupsFirst && "edge",
          best && "best",
          second && "second",
        ]
          .filter(Boolean)
          .join(" "),
      },
      shown(value, x.decimals),
    );
  };
  const starts = new Set();
  let at = 1;
  for (const [, columns] of columnGroups(now)) {
    starts.add(at);
    at += columns.length;
  }
  const ends = task.interval(row, column.key, languages);
  const pick = (letter, other) =>
    make(
      "button",
      {
        type: "button",
        class: `pick pick-${letter}`,
        "data-focus": `${letter} ${row.id}`,
        "aria-pressed": String((letter === "a" ? a : b) === row),
        "aria-label": `Side by side: ${letter.toUpperCase()} is ${row.model}`,
        onclick: () => {
          choose({
            [letter]: row.id,
            ...(other === row ? { [letter === "a" ? "b" : "a"]: (letter === "a" ? a : b).id } : {}),
          });
          say(`${letter.toUpperCase()} is ${row.model}`);
        },
      },
      letter.toUpperCase(),
    );
  return make(
    "tr",
    { class: row.source, "data-row": row.id },
    make("td", { class: "rank" }, rankOf(ranking, row, order)),
    make("th", { scope: "row", class: "stick name" }, nameOf(row)),
    cell(column, 0, false),
    make(
      "td",
      { class: "chosen ends" },
      ends ? `${shown(ends[0], column.decimals)} ${DASH} ${shown(ends[1], column.decimals)}` : "",
    ),
    listed.slice(1).map((x, i) => cell(x, i + 1, starts.has(i + 1))),
    FACTS.map((x, i) =>
      make(
        "td",
        { class: i ? "number fact" : "number fact edge", title: x.title?.(row) },
        x.write(row),
      ),
    ),
    make(
      "td",
      { class: "acts" },
      pick("a", b),
      pick("b", a),
      make(
        "button",
        {
          type: "button",
          class: "how",
          "data-focus": `how ${row.id}`,
          "aria-label": `${row.measured ? "Reproduce" : "Source of"} ${row.model}`,
          onclick: () => openDetails(row),
        },
        row.measured ? "Reproduce" : "Source",
      ),
    ),
  );
}

/** A model's name with what sets its row apart: where it comes from, how it was trained, warnings. */
function nameOf(row) {
  const words = [row.recipe, row.options].filter(Boolean).join(", ");
  const chip = row.measured
    ? row.kind === "lexical"
      ? make("span", { class: "chip" }, "lexical")
      : null
    : make("span", { class: "chip published" }, row.source);
  const mind = row.notes.filter((x) => !x.startsWith("published in"));
  return [
    make(
      "span",
      { class: "model", title: Array.from(row.model).length > 40 ? row.model : null },
      named(row.model),
    ),
    chip || words ? make("small", {}, chip ?? "", words ? named(words) : "") : null,
    mind.map((x) => make("small", { class: "caution" }, x)),
  ].flat();
}

/** Ranks not excluded, and a bar for each group of neighbours that the data do not tell apart. */
function rankOf(ranking, row, order) {
  const span = ranking?.spans.slice(2 * row.index, 2 * row.index + 2);
  if (!span?.[0]) return make("span", { class: "none" }, DASH);
  const text = span[0] === span[1] ? String(span[0]) : `${span[0]}–${span[1]}`;
  const lanes = order.lanes.map((lane) =>
    make("i", { class: lane.some((tie) => tie.includes(row.index)) ? "on" : "" }),
  );
  return [
    make("span", { class: "lanes", "aria-hidden": "true" }, lanes),
    make(
      "span",
      { title: span[0] === span[1] ? null : "Not told apart from its neighbours" },
      text,
    ),
  ];
}

/** What makes numbers other than the task's own stands above them and cannot be overlooked. */
function drawWarnings(task) {
  byId("warnings").replaceChildren(
    ...task.notes.map((note) => make("p", { class: "loud" }, make("strong", {}, "Mind: "), note)),
  );
}

function tableNote({ task, column, languages }, rows) {
  const ranking = task.rankings[column.key];
  const notes = [
    `${plural(rows.length, "row")} of ${task.rows.length}. Best measured value in bold, second underlined.`,
  ];
  if (languages !== null) notes.push(" Ranks and ties are known over all languages alone.");
  else if (ranking && !ranking.tested)
    notes.push(
      " Rows were not tested against each other: their records hold no values per question.",
    );
  else if (ranking?.ties.length)
    notes.push(" A range of ranks means that the data do not tell these rows apart.");
  return notes;
}
