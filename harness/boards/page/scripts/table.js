// The table of models: ordered by any column, best in bold, second underlined, ties as ranks.

drawers.push((now) => {
  const { task, column, languages } = now;
  const rows = visibleRows(now);
  const apart = visibleRows(now, true);
  const groups = columnGroups(now);
  const order = tableOrder(now, rows, groups);
  const scrolled = byId("table-scroll").scrollLeft;

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
      order.rows.map((row) => bodyRow(now, row, groups, order)),
    ),
    apart.length ? make("tbody", { class: "apart" }, apartRows(now, apart, groups, order)) : null,
  );
  byId("table-scroll").replaceChildren(table);
  byId("table-scroll").scrollLeft = scrolled;
  rove(table.tHead, "button", oneLine);
  for (const body of table.tBodies) {
    rove(body, "button", (buttons) => [...Map.groupBy(buttons, (x) => x.closest("tr")).values()]);
  }
  drawWarnings(task);
  byId("models-note").textContent = tableNote(now, rows);
});

/** Rows in the order that was chosen, else by the chosen measure. */
function tableOrder({ task, column, languages }, rows, groups) {
  const columns = groups.flatMap(([, of]) => of);
  const order = orderedBy(rows, columns, { sort: "sort", dir: "dir" });
  const own = order.key === column.key && languages === null;
  return { ...order, lanes: own ? lanesOf(task.rankings[column.key], order.rows) : [] };
}

/** `rows` by the one of `columns` that the choice `names.sort` says, else by the first of them. */
function orderedBy(rows, columns, names) {
  const key = chosen[names.sort];
  const reversed = chosen[names.dir] === "worst";
  if (key === "model") {
    const sign = reversed ? -1 : 1;
    const compare = (x, y) => sign * x.model.localeCompare(y.model) || x.index - y.index;
    return { ...names, rows: [...rows].sort(compare), key, reversed };
  }
  const by = columns.find((x) => x.key === key) ?? columns[0];
  return { ...names, rows: inOrder(rows, by.of, by.better, reversed), key: by.key, reversed };
}

/** Groups of rows not significantly different, in as few lanes as keep them from touching; at most LANES. */
function lanesOf(ranking, ordered) {
  const place = new Map(ordered.map((row, i) => [row.index, i]));
  const lanes = [];
  for (const { group, lane } of tieLanes(ranking?.ties ?? [], place)) {
    (lanes[lane] ??= []).push(group);
  }
  return lanes;
}

function heading({ key, label, better, title, classes = [] }, edge, order) {
  const sorted = order.key === key;
  const ascending = (better === "lower" || key === "model") !== order.reversed;
  const arrow = sorted ? (ascending ? "↑" : "↓") : "";
  return make(
    "th",
    {
      scope: "col",
      class: [key === "model" ? "stick name" : "number", edge && "edge", ...classes]
        .filter(Boolean)
        .join(" "),
      "aria-sort": sorted ? (ascending ? "ascending" : "descending") : "none",
    },
    make(
      "button",
      {
        type: "button",
        title,
        "data-focus": `${order.sort} ${key}`,
        onclick: () => {
          const dir = sorted && !order.reversed ? "worst" : "";
          choose({ [order.sort]: key, [order.dir]: dir });
          say(`Ordered by ${label}${dir ? ", reversed" : ""}`);
        },
      },
      make("span", {}, label),
      make("span", { class: "arrow", "aria-hidden": "true" }, arrow),
    ),
  );
}

function headings(now, groups, order) {
  const edgeOf = (group, i) => group > 0 && i === 0;
  const blank = [make("td", { class: "rank" }), make("td", { class: "stick name" })];
  const first = groups.map(([label, columns], group) =>
    make(
      "th",
      {
        scope: "colgroup",
        colspan: group ? columns.length : 2,
        class: group ? ["edge", ...(columns[0].classes ?? [])].join(" ") : "chosen",
      },
      label,
    ),
  );
  const second = groups.flatMap(([, columns], group) => [
    ...columns.map((x, i) => heading(x, edgeOf(group, i), order)),
    group ? null : make("th", { scope: "col", class: "chosen ends" }, `${LEVEL} interval`),
  ]);
  const rank = make("abbr", { title: "Ranks that the data do not exclude" }, "Rank");
  return [
    make("tr", { class: "groups" }, blank, first, make("td", {})),
    make(
      "tr",
      {},
      make("th", { scope: "col", class: "rank" }, rank),
      heading({ key: "model", label: "Model" }, false, order),
      second,
      make("th", { scope: "col" }, make("span", { class: "unseen" }, "Side by side; provenance")),
    ),
  ];
}

const endsText = (ends, column) =>
  ends ? `${shown(ends[0], column.decimals)} ${DASH} ${shown(ends[1], column.decimals)}` : "";

function bodyRow(now, row, groups, order) {
  const { task, column, languages } = now;
  const ends = endsText(task.interval(row, column.key, languages), column);
  const cells = groups.flatMap(([, columns], group) => [
    ...columns.map((x, i) =>
      make(
        "td",
        {
          class: [
            "number",
            group > 0 && i === 0 && "edge",
            ...(x.classes ?? []),
            ...(x.marks?.(row) ?? []),
          ]
            .filter(Boolean)
            .join(" "),
          title: typeof x.title === "function" ? x.title(row) : null,
        },
        x.write(row),
      ),
    ),
    group ? null : make("td", { class: "chosen ends" }, ends),
  ]);
  return make(
    "tr",
    { class: row.source, "data-row": row.id },
    make("td", { class: "rank" }, rankOf(now, row, order)),
    make("th", { scope: "row", class: "stick name" }, nameOf(row)),
    cells,
    make("td", { class: "acts" }, acts(now, row)),
  );
}

/** What can be done with a row: take it as A or B, and see how it was made. */
function acts({ a, b }, row) {
  const pick = (letter, mine, other) =>
    make(
      "button",
      {
        type: "button",
        class: `pick pick-${letter}`,
        "data-focus": `${letter} ${row.id}`,
        "aria-pressed": String(mine === row),
        "aria-label": `Side by side: ${letter.toUpperCase()} is ${row.model}`,
        onclick: () => pickRow(letter, row.id),
      },
      letter.toUpperCase(),
    );
  const how = row.measured ? "Reproduce" : "Source";
  return [
    ...(row.elsewhere ? [] : [pick("a", a, b), pick("b", b, a)]),
    make(
      "button",
      {
        type: "button",
        class: "how",
        "data-focus": `how ${row.id}`,
        "aria-label": `${how}: ${row.model}`,
        onclick: () => openDetails(row),
      },
      how,
    ),
  ];
}

/** What was measured on more than this board's sample, or on other data: no order, no ranks. */
function apartRows(now, rows, groups, order) {
  const width = 3 + groups.reduce((sum, [, columns]) => sum + columns.length, 0);
  const reasons = [...new Set(rows.flatMap((row) => row.notes))].join("; ");
  return [
    make(
      "tr",
      { class: "loud-row" },
      make(
        "th",
        { scope: "rowgroup", colspan: 2, class: "stick name" },
        "Not to be compared with the rows above",
      ),
      make("td", { colspan: width - 1 }, reasons),
    ),
    ...rows.map((row) => bodyRow(now, row, groups, order)),
  ];
}

/** A model's name with what sets its row apart: where it comes from, how it was trained, warnings. */
function nameOf(row) {
  const words = [row.recipe, row.options].filter(Boolean).join(", ");
  const kind = row.measured ? (row.kind === "dense" ? null : row.kind) : row.source;
  const chip = kind && make("span", { class: row.measured ? "chip" : "chip published" }, kind);
  const mind = row.elsewhere ? [] : row.notes.filter((x) => !x.startsWith("published in"));
  return [
    make(
      "span",
      { class: "model", title: Array.from(row.model).length > 40 ? row.model : null },
      named(row.model),
    ),
    chip || words ? make("small", {}, chip, words ? named(words) : null) : null,
    ...mind.map((x) => make("small", { class: "caution" }, x)),
  ];
}

/** Ranks not excluded, and a bar for each group of neighbours that the data do not tell apart. */
function rankOf({ task, column, languages }, row, order) {
  const ranking = languages === null ? task.rankings[column.key] : undefined;
  const [best, worst] = ranking?.spans.slice(2 * row.index, 2 * row.index + 2) ?? [];
  if (!best) return make("span", { class: "none" }, DASH);
  const lanes = order.lanes.map((lane) =>
    make("i", { class: lane.some((tie) => tie.includes(row.index)) ? "on" : "" }),
  );
  const title = best === worst ? null : "Not significantly different from its neighbours";
  return [
    make("span", { class: "lanes", "aria-hidden": "true" }, lanes),
    make("span", { title }, best === worst ? String(best) : `${best}${DASH}${worst}`),
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
  const all = task.rows.filter((row) => !row.elsewhere).length;
  const notes = [
    `${rows.length} of ${plural(all, "row")}. Best measured value in bold, second underlined.`,
  ];
  if (languages !== null) notes.push("Ranks and ties are known over all languages alone.");
  else if (ranking && ranking.untested)
    notes.push("Rows were not tested against each other in this column.");
  else if (ranking?.ties.length)
    notes.push("A range of ranks means that the data do not tell these rows apart.");
  if (languages !== null && !column.main)
    notes.push("This measure is on the page over all languages alone; choose one of the table's.");
  return notes.join(" ");
}
