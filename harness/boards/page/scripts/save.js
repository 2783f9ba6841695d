// The rows that are shown, as files: made here, so that nothing leaves the page.

/** Rows and columns of the table as it stands: [columns, rows in their order]. */
function shownTable(now) {
  const columns = columnGroups(now).flatMap(([, of]) => of);
  const order = tableOrder(now, [], columnGroups(now));
  const { key, reversed } = order;
  const by = columns.find((x) => x.key === key) ?? columns[0];
  const rows = GROUPS.filter((group) => group === "measured" || now.published).flatMap((group) => {
    const own = now.task.rows.filter((row) => groupOf(row) === group && passes(row, now));
    return key === "model"
      ? orderedBy(own, columns, { sort: "sort", dir: "dir" }).rows
      : inOrder(own, by.of, by.better, reversed);
  });
  return [columns, rows];
}

/** One object a row: names as in the address, numbers with all the digits the page has. */
function shownRows(now) {
  const [columns, rows] = shownTable(now);
  return rows.map((row) => factsOf(now, columns, row));
}

function factsOf(now, columns, row) {
  const ends = now.task.interval(row, now.column.key, now.languages);
  const facts = {
    task: now.task.slug,
    model: row.model,
    recipe: row.recipe,
    options: row.options,
    source: row.source,
    comparable: row.comparable,
  };
  for (const x of columns) {
    const value = x.of(row);
    const name = x.key.startsWith("language/")
      ? `${now.column.key}/${x.key.slice("language/".length)}`
      : x.key;
    // Rounding errors of means over languages are no digits.
    facts[name] = Number.isNaN(value) ? null : Number(value.toPrecision(12));
    if (x.key === now.column.key) {
      facts[`${x.key} low`] = ends?.[0] ?? null;
      facts[`${x.key} high`] = ends?.[1] ?? null;
    }
  }
  return facts;
}

/** With its heads also where no row is left. */
function asCsv(now) {
  const [columns, rows] = shownTable(now);
  const quoted = (x) => {
    const text = x === null || x === undefined ? "" : String(x);
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const heads = Object.keys(factsOf(now, columns, now.task.rows[0]));
  const lines = [heads, ...rows.map((row) => Object.values(factsOf(now, columns, row)))];
  return `${lines.map((line) => line.map(quoted).join(",")).join("\r\n")}\r\n`;
}

function save(name, type, text) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
  say(`Saved ${name}`);
}

function setUpSave() {
  const named = (ending) => `${view().task.slug}.${ending}`;
  byId("save-csv").addEventListener("click", () =>
    save(named("csv"), "text/csv", asCsv(view())),
  );
  byId("save-json").addEventListener("click", () =>
    save(named("json"), "application/json", JSON.stringify(shownRows(view()), null, 1)),
  );
}
