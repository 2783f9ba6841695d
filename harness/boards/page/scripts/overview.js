// The board across tasks: one row per model, its main measure in each setting of each task.

drawWithout(NOT_OF_TABLES, ({ published }) => {
  const { columns, averaged, best, second } = DATA.overview;
  const titles = [...new Set(columns.map((x) => x.title))];
  byId("overview-section").hidden = titles.length < 2;
  if (titles.length < 2) return;
  const marks = (key, index) =>
    best[key].includes(index) ? "best" : second[key].includes(index) ? "second" : "";
  const mean = {
    key: "mean",
    label: "Mean",
    better: "higher",
    of: (row) => row.mean ?? NaN,
    write: (row) => shown(row.mean ?? NaN, 4),
  };
  const groups = titles.map((title) => [
    title,
    columns
      .filter((x) => x.title === title)
      .map((x) => ({
        ...x,
        label: `${x.label}, ${x.kind}`,
        of: (row) => row.cells[x.key] ?? NaN,
        write: (row) => shown(row.cells[x.key] ?? NaN, x.decimals),
      })),
  ]);
  const listed = [mean, ...groups.flatMap(([, of]) => of)];
  const rows = DATA.overview.rows
    .map((row, index) => ({ ...row, index, measured: row.source === "measured", notes: [] }))
    .filter((row) => published || row.measured);
  const order = orderedBy(rows, listed, { sort: "across", dir: "acrossdir" });
  const edge = (x) => groups.some(([, of]) => of[0] === x);
  const table = make(
    "table",
    { class: "board across" },
    make(
      "thead",
      {},
      make(
        "tr",
        { class: "groups" },
        make("td", { class: "stick name" }),
        make("td", {}),
        groups.map(([title, of]) => {
          const notes = TASKS.find((x) => x.slug === of[0].slug)?.notes ?? [];
          return make(
            "th",
            {
              scope: "colgroup",
              colspan: of.length,
              class: notes.length ? "edge caution" : "edge",
              title: notes.join("; ") || null,
            },
            title,
          );
        }),
      ),
      make(
        "tr",
        {},
        heading({ key: "model", label: "Model" }, false, order),
        listed.map((x) => heading(x, edge(x), order)),
      ),
    ),
    make(
      "tbody",
      {},
      order.rows.map((row) =>
        make(
          "tr",
          { class: row.source, "data-index": row.index },
          make("th", { scope: "row", class: "stick name" }, nameOf(row)),
          listed.map((x) =>
            make(
              "td",
              { class: `number ${edge(x) ? "edge" : ""} ${marks(x.key, row.index)}` },
              x.write(row),
            ),
          ),
        ),
      ),
    ),
  );
  byId("overview").replaceChildren(table);
  rove(table.tHead, "button", oneLine);
  acrossRows = new Map(rows.map((row) => [String(row.index), row]));
  const kinds = Map.groupBy(
    columns.filter((x) => averaged.includes(x.key)),
    (x) => `${x.title} ${x.label}`,
  );
  const parts = [...kinds].map(([name, of]) => `${name} (${of.map((x) => x.kind).join(", ")})`);
  byId("overview-about").textContent = parts.length
    ? `Mean is over ${parts.join(" and ")}; rows that lack one of these have none.`
    : "";
});

let acrossRows = new Map();
drawers.push(({ query }) => {
  for (const line of byId("overview").querySelectorAll("tr[data-index]"))
    line.hidden = !matches(acrossRows.get(line.dataset.index), query);
});
