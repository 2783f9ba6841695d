// The table of models: ordered by any column, best in bold, second underlined, ties as ranks.

drawWithout(NOT_OF_TABLES, (now) => {
  const { task, column, languages } = now;
  const groups = columnGroups(now);
  const scrolled = byId("table-scroll").scrollLeft;
  const all = columnsOf(now);
  const bodies = GROUPS.map((group) => {
    const rows = task.rows.filter((row) => groupOf(row) === group);
    const order = tableOrder(now, rows, groups);
    return { group, rows, order, open: group === "measured" || now.published };
  });
  byId("models-about").replaceChildren(...aboutColumn(now));
  const heat = heatOf(
    bodies.filter((x) => x.open).flatMap((x) => x.rows),
    groups.flatMap(([, columns]) => columns),
  );
  const table = make(
    "table",
    { class: "board", "aria-describedby": "models-about" },
    make("thead", {}, headings(now, groups, bodies[0].order)),
    bodies.map(({ group, rows, order, open }) =>
      rows.length || group === "measured"
        ? make(
            "tbody",
            { class: group },
            group === "measured" ? null : groupHead(now, group, rows, groups, open),
            open ? order.rows.map((row) => bodyRow(now, row, groups, order, heat)) : null,
          )
        : null,
    ),
  );
  byId("table-scroll").replaceChildren(table);
  if (scrolled) byId("table-scroll").scrollLeft = scrolled;
  rove(table.tHead, "button", oneLine);
  drawColumnChoice(now, all);
  drawWarnings(task);
  // To measure now would lay the table out once more than needed.
  requestAnimationFrame(tellOfTheRight);
});

/**
 * Keep the columns of a table as wide as they are.
 *
 * They then stay in place while rows are filtered, and hiding rows of a long table is quick.
 */
function fixColumns(table) {
  if (table.querySelector("colgroup")) return;
  const heads = [...table.tHead.rows[1].cells].map((x) => x.getBoundingClientRect().width);
  const { width } = table.getBoundingClientRect();
  table.prepend(make("colgroup", {}, heads.map(() => make("col"))));
  [...table.querySelectorAll("col")].forEach((col, i) => {
    col.style.width = `${heads[i]}px`;
  });
  table.style.width = `${width}px`;
  table.style.tableLayout = "fixed";
}

/** What the filters leave is shown and the rest hidden: the table itself stays, as it is large. */
drawers.push((now) => {
  const lines = byId("table-scroll").querySelectorAll("tr[data-row]");
  if (FILTERS.some((name) => chosen[name]) && lines.length > MANY)
    fixColumns(byId("table-scroll").querySelector("table"));
  const left = new Set(now.task.rows.filter((row) => passes(row, now)).map((row) => row.id));
  for (const line of byId("table-scroll").querySelectorAll("tr[data-row]"))
    line.hidden = !left.has(line.dataset.row);
  for (const count of byId("table-scroll").querySelectorAll(".group-count")) {
    const rows = now.task.rows.filter((row) => groupOf(row) === count.dataset.group);
    const found = rows.filter((row) => left.has(row.id)).length;
    count.textContent =
      found === rows.length ? grouped.format(found) : `${found} of ${rows.length}`;
  }
  for (const body of byId("table-scroll").querySelectorAll("tbody")) {
    rove(body, "tr:not([hidden]) button", (buttons) => [
      ...Map.groupBy(buttons, (x) => x.closest("tr")).values(),
    ]);
  }
  byId("models-note").textContent = tableNote(now, left.size);
});

const GROUPS = ["measured", "others", "apart"];

/** Measured rows stand first; what was published elsewhere, and what cannot be compared, below. */
const groupOf = (row) => (row.elsewhere ? "apart" : row.measured ? "measured" : "others");

/** The line over rows that were not measured here: it opens and closes them. */
function groupHead(now, group, rows, groups, open) {
  const width = 2 + groups.reduce((sum, [, columns]) => sum + columns.length, 0);
  const shared = rows[0].notes.filter((note) => rows.every((row) => row.notes.includes(note)));
  const about =
    group === "apart"
      ? ["Not to be compared with the rows above", shared.join("; ")]
      : ["Published and imported", "not measured here, so neither ranked nor tested"];
  return make(
    "tr",
    { class: group === "apart" ? "group-row loud-row" : "group-row" },
    make(
      "th",
      { scope: "rowgroup", colspan: 2, class: "stick name" },
      make(
        "button",
        {
          type: "button",
          class: "opens",
          "aria-expanded": String(open),
          "data-focus": `group ${group}`,
          onclick: () => choose({ pub: open ? "0" : "1" }),
        },
        make("span", { class: "arrow", "aria-hidden": "true" }, open ? "▾" : "▸"),
        make("span", {}, about[0], " (", make("span", { class: "group-count", "data-group": group }), ")"),
      ),
    ),
    make("td", { colspan: width }, about[1]),
  );
}

/** Say how many columns lie to the right of what is in view, and go there. */
function tellOfTheRight() {
  const box = byId("table-scroll");
  const button = byId("to-the-right");
  const edge = box.getBoundingClientRect().right;
  const heads = [...box.querySelectorAll("thead tr:last-child th")];
  const beyond = heads.filter((x) => x.getBoundingClientRect().right > edge + 8).length;
  button.hidden = beyond === 0;
  button.textContent = `${plural(beyond, "more column")} to the right →`;
  box.classList.toggle("more-right", beyond > 0);
}

function setUpTable() {
  const box = byId("table-scroll");
  let waiting = 0;
  box.addEventListener(
    "scroll",
    () => {
      cancelAnimationFrame(waiting);
      waiting = requestAnimationFrame(tellOfTheRight);
    },
    { passive: true },
  );
  byId("to-the-right").addEventListener("click", () => {
    box.scrollBy({ left: box.clientWidth * 0.7 });
  });
}

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
  const found = columns.find((x) => x.key === key);
  // The other way of a column that is not there, or hidden, is not that of the first.
  const reversed = chosen[names.dir] === "worst" && (key === "model" || found !== undefined);
  if (key === "model") {
    const sign = reversed ? -1 : 1;
    const compare = (x, y) => sign * x.model.localeCompare(y.model) || x.index - y.index;
    return { ...names, rows: [...rows].sort(compare), key, reversed };
  }
  const by = found ?? columns[0];
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

/** A cell of a language: its colour is its value, and a language not trained on is marked. */
function heatCell(now, x, row, cell, heat) {
  const share = heat(x.of(row));
  if (share !== null) {
    cell.style.background = heatColour(share, false);
    cell.style.color = inkOn(share, false);
  }
  if (!x.unseen(row)) return cell;
  cell.classList.add("unseen-language");
  cell.title = `${languageName(x.label)} is not among the languages that it was trained on`;
  return cell;
}

function bodyRow(now, row, groups, order, heat) {
  const { task, column, languages } = now;
  const ends = endsText(task.interval(row, column.key, languages), column);
  const cells = groups.flatMap(([, columns], group) => [
    ...columns.map((x, i) => {
      const cell = make(
        "td",
        {
          class: [
            "number",
            group > 0 && i === 0 && "edge",
            x.heat && "heat-cell",
            ...(x.classes ?? []),
            ...(x.marks?.(row) ?? []),
          ]
            .filter(Boolean)
            .join(" "),
          title: typeof x.title === "function" ? x.title(row) : null,
        },
        x.write(row),
      );
      return x.heat ? heatCell(now, x, row, cell, heat) : cell;
    }),
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

/** A model's name with what sets its row apart: where it comes from, how it was trained, warnings. */
function nameOf(row) {
  const words = [row.recipe, row.options].filter(Boolean).join(", ");
  const kind = row.measured ? (row.kind === "dense" ? null : row.kind) : row.source;
  const chip = kind && make("span", { class: row.measured ? "chip" : "chip published" }, kind);
  const known = /^(published in|imported from|over the whole corpus)/;
  const mind = row.notes.filter((x) => !known.test(x) && !(row.elsewhere && x.startsWith("another text")));
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
  const title = best === worst ? null : "Some rows are not significantly different from it";
  return [
    make("span", { class: "lanes", "aria-hidden": "true" }, lanes),
    make("span", { title }, best === worst ? String(best) : `${best}${DASH}${worst}`),
  ];
}

/** What makes numbers other than the task's own stands above them and cannot be overlooked. */
function drawWarnings(task) {
  const gone =
    chosen.task && chosen.task !== task.slug
      ? [`the board ${chosen.task} of this address is not on this page; this is ${taskName(task)}`]
      : [];
  byId("warnings").replaceChildren(
    ...[...gone, ...task.notes].map((note) =>
      make("p", { class: "loud" }, make("strong", {}, "Mind: "), note),
    ),
  );
}

function tableNote(now, count) {
  const { task, column, languages } = now;
  const ranking = task.rankings[column.key];
  const notes = [
    `${count} of ${plural(task.rows.length, "row")}. Best measured value in bold, second underlined.`,
  ];
  if (languages !== null) notes.push("Ranks and ties are known over all languages alone.");
  else if (ranking && ranking.untested)
    notes.push("Rows were not tested against each other in this column.");
  else if (ranking?.tied.length)
    notes.push("A range of ranks means that the data do not tell these rows apart.");
  if (columnGroups(now).some(([, of]) => of.some((x) => x.heat)))
    notes.push(
      "Languages: darker is higher (on dark paper, lighter); * not among the languages that the model was trained on, where these are known.",
    );
  if (languages !== null && !column.main)
    notes.push("This measure is on the page over all languages alone; choose one of the table's.");
  return notes.join(" ");
}
