// Every row's value with its interval, best first; bars at the right join rows not significantly different.

const MANY = 40;

/** Draw with `drawer` when something else than the filters, or the rows they leave, has changed. */
function drawForRows(drawer) {
  let before = null;
  let othersBefore = null;
  let later = 0;
  drawers.push((now) => {
    const others = Object.entries(chosen).filter(([name]) => name !== "question" && !FILTERS.includes(name));
    const rows = visibleRows(now);
    const key = JSON.stringify([others, drawnWidth, rows.map((row) => row.index)]);
    if (key === before) return;
    before = key;
    const filtered = JSON.stringify(others) === othersBefore && rows.length > MANY;
    othersBefore = JSON.stringify(others);
    clearTimeout(later);
    // Letters typed into the filter of a long table: the table first, charts when the typing rests.
    if (filtered) later = setTimeout(() => drawer(now, rows), 150);
    else drawer(now, rows);
  });
}

drawForRows((now, visible) => {
  const { task, column, languages, a, b } = now;
  const figure = byId("intervals");
  const every = inOrder(
    visible,
    (row) => task.value(row, column.key, languages),
    column.better,
  ).filter((row) => !Number.isNaN(task.value(row, column.key, languages)));
  // Of hundreds of published rows the best are enough: the table has them all.
  let others = MANY - every.filter((row) => row.measured).length;
  const rows = every.filter((row) => row.measured || row === a || row === b || others-- > 0);
  const drawn = rows.map((row, y) => ({
    row,
    y,
    value: task.value(row, column.key, languages),
    ends: task.interval(row, column.key, languages),
  }));
  byId("intervals-about").textContent =
    `${column.label}, ${column.kind}, with ${LEVEL} intervals from resampling questions. ` +
    "Bars at the right join rows that are not significantly different" +
    (now.published ? "; hollow: published, no interval" : "") +
    (rows.length < every.length ? `; the ${rows.length} best of ${every.length} rows` : "") +
    ".";
  if (!drawn.length) return nothing(figure, "No row that is shown has this measure.");
  const [low, high] = around(drawn.flatMap((x) => [x.value, ...(x.ends ?? [])]));
  const ranking = languages === null ? task.rankings[column.key] : undefined;
  const place = new Map(drawn.map((x) => [x.row.index, x.y]));
  const ties = tieLanes(ranking?.ties ?? [], place);
  const lanes = Math.max(0, ...ties.map((x) => x.lane + 1));
  const lane = (high - low) * 0.025;
  const narrow = roomIn(figure) < 480;
  const names = Math.max(...drawn.map((x) => Array.from(shortName(task, x.row, 34)).length));
  const side = narrow ? 150 : Math.min(270, 24 + 7.2 * names);
  const svg = chart(figure, `${column.label} of ${plural(drawn.length, "row")}, with intervals`, {
    height: 34 + drawn.length * 21 + 24,
    marginLeft: side,
    marginRight: 16,
    marginTop: 24,
    marginBottom: 34,
    x: { domain: [low, high + lane * (lanes + 1)], label: null },
    y: { domain: drawn.map((x) => x.y), axis: null, type: "band", padding: 0.1 },
    marks: [
      Plot.gridX({ stroke: RULE, strokeOpacity: 1, ticks: narrow ? 4 : 6 }),
      Plot.axisX({
        anchor: "bottom",
        ticks: narrow ? 4 : 6,
        tickSize: 0,
        color: MUTED,
        label: null,
      }),
      Plot.text(drawn, {
        y: "y",
        frameAnchor: "left",
        dx: 6 - side,
        textAnchor: "start",
        fill: (x) => colourOf(now, x.row),
        fontWeight: (x) => (x.row === a || x.row === b ? 600 : 400),
        text: (x) => shortName(task, x.row, narrow ? 21 : 34),
        title: (x) => x.row.model,
      }),
      Plot.link(
        drawn.filter((x) => x.ends),
        {
          y: "y",
          x1: (x) => x.ends[0],
          x2: (x) => x.ends[1],
          stroke: (x) => colourOf(now, x.row),
          strokeWidth: 2.5,
          strokeOpacity: 0.55,
          strokeLinecap: "round",
          className: "ends",
        },
      ),
      Plot.dot(drawn, {
        y: "y",
        x: "value",
        r: 4,
        fill: (x) => (x.row.measured ? colourOf(now, x.row) : "var(--paper)"),
        stroke: (x) => colourOf(now, x.row),
        strokeWidth: 1.5,
        className: "values",
        title: (x) =>
          `${x.row.model}: ${shown(x.value, column.decimals)}` +
          (x.ends
            ? ` (${shown(x.ends[0], column.decimals)} ${DASH} ${shown(x.ends[1], column.decimals)})`
            : ""),
      }),
      Plot.link(ties, {
        x1: (x) => high + lane * (x.lane + 1),
        x2: (x) => high + lane * (x.lane + 1),
        y1: "from",
        y2: "to",
        stroke: MUTED,
        strokeWidth: 3,
        strokeLinecap: "round",
        className: "ties",
      }),
    ],
    color: { type: "identity" },
  });
  svg.setAttribute("role", "img");
});
