// Language by language: what a question in one language finds among the passages of another.

drawWithout(OF_THE_TABLE, (now) => {
  const { task, column, languages } = now;
  const section = byId("heat-section");
  const measures = task.columns.filter((x) => x.kind === "cross").map((x) => x.measure);
  const whats = [...measures, TOP].filter((what) =>
    task.rows.some((row) => task.matrix(row, what)),
  );
  section.hidden = !whats.length;
  if (!whats.length) return;
  const what = whats.includes(chosen.matrix)
    ? chosen.matrix
    : whats.includes(column.measure)
      ? column.measure
      : whats[0];
  const rows = task.rows.filter((row) => task.matrix(row, what));
  const row = rows.find((x) => x.id === chosen.heat) ?? (rows.includes(now.a) ? now.a : rows[0]);
  const less = rows.find((x) => x.id === chosen.minus && x !== row) ?? null;
  const label = (key) =>
    key === TOP ? "Languages of the first 10" : task.columnOf.get(`cross/${key}`).label;
  fill(
    byId("heat-model"),
    rows.map((x) => [x.id, plainName(task, x)]),
    row.id,
  );
  fill(
    byId("heat-what"),
    whats.map((x) => [x, label(x)]),
    what,
  );
  fill(
    byId("heat-minus"),
    [["", "nothing"], ...rows.filter((x) => x !== row).map((x) => [x.id, plainName(task, x)])],
    less?.id ?? "",
  );
  const decimals = what === TOP ? 4 : task.columnOf.get(`cross/${what}`).decimals;
  const [own, other] = [task.matrix(row, what), less && task.matrix(less, what)];
  const n = task.languages.length;
  const queryLanguages = languages ?? task.languages.map((_, i) => i);
  const cells = queryLanguages.flatMap((q) =>
    task.languages.map((_, p) => ({
      q,
      p,
      value: own[q * n + p] - (other ? other[q * n + p] : 0),
    })),
  );
  byId("heat-about").textContent =
    (what === TOP
      ? "Share of each passage language among the first 10 passages that a question finds in the pool of all languages. "
      : "Rows: language of the question; columns: language of the passages searched. ") +
    "The outlined diagonal is a question's own language." +
    unseen(task, row) +
    (less ? ` Shown: ${plainName(task, row)} minus ${plainName(task, less)}.` : "");
  drawHeat(task, cells, queryLanguages, {
    what: label(what),
    decimals,
    difference: Boolean(less),
    rowName: row.model,
    lessName: less?.model,
    untrained: new Set(untrained(task, row)),
  });
  drawHeatTable(task, cells, queryLanguages, decimals, Boolean(less));
});

/** Languages of the task that a model was not trained on; none if that is not known. */
function untrained(task, row) {
  if (!row.trained_on) return [];
  const known = new Set(row.trained_on.map((code) => code.split("-")[0]));
  return task.languages.filter((code) => !known.has(code.split("-")[0]));
}

/** The same in a sentence; empty if not known. */
function unseen(task, row) {
  const codes = untrained(task, row);
  if (!codes.length) return "";
  return ` ${cut(row.model, 40)} was not trained on ${codes.map(languageName).join(", ")} (marked *).`;
}

const plainName = (task, row) =>
  (row.recipe ? `${row.model} ${row.recipe}` : row.model) +
  (task.rows.filter((x) => x.model === row.model && x.recipe === row.recipe).length > 1
    ? ` (${row.options || row.id})`
    : "");

/** A colour between the ends of the scale; the ends are the page's, light or dark. */
function heatColour(share, difference) {
  const part = (x) => `${(100 * x).toFixed(1)}%`;
  if (difference)
    return share >= 0.5
      ? `color-mix(in oklab, var(--heat-more) ${part(2 * share - 1)}, var(--heat-none))`
      : `color-mix(in oklab, var(--heat-less) ${part(1 - 2 * share)}, var(--heat-none))`;
  return share >= 0.5
    ? `color-mix(in oklab, var(--heat-high) ${part(2 * share - 1)}, var(--heat-middle))`
    : `color-mix(in oklab, var(--heat-middle) ${part(2 * share)}, var(--heat-low))`;
}

/** How far along a scale black and white letters stand out alike, on light and on dark paper. */
const TURNS = { up: [0.73, 0.59], more: [0.82, 0.6], less: [0.96, 0.59] };

/** Black or white, whichever stands out more on `heatColour(share, difference)`. */
function inkOn(share, difference) {
  const [light, dark] = TURNS[difference ? (share >= 0.5 ? "more" : "less") : "up"];
  const depth = difference ? Math.abs(2 * share - 1) : share;
  return `light-dark(${depth > light ? "white" : "black"}, ${depth > dark ? "black" : "white"})`;
}

function drawHeat(
  task,
  cells,
  queryLanguages,
  { what, decimals, difference, rowName, lessName, untrained: marked },
) {
  const named = (i) => task.languages[i] + (marked.has(task.languages[i]) ? "*" : "");
  const figure = byId("heat");
  const known = cells.map((x) => x.value).filter((x) => !Number.isNaN(x));
  let [low, high] = known.length ? [Math.min(...known), Math.max(...known)] : [0, 1];
  if (difference) {
    high = Math.max(Math.abs(low), Math.abs(high)) || 1;
    low = -high;
  }
  const share = (value) => (high > low ? (value - low) / (high - low) : 0.5);
  const wide = Math.min(roomIn(figure), 860);
  const n = task.languages.length;
  const digits = (wide - 60) / n >= 50 ? 3 : 2;
  const write = (value) =>
    Number.isNaN(value)
      ? DASH
      : difference
        ? signed(value, digits).replace(/^(\D?)0\./, "$1.")
        : shown(value, digits).replace(/^(\D?)0\./, "$1.");
  const side = Math.max(24, Math.min(48, (wide - 60) / n));
  const ink = (x) => (Number.isNaN(x.value) ? MUTED : inkOn(share(x.value), difference));
  const minus = difference ? ` minus ${lessName}` : "";
  const svg = chart(figure, `${what} by language of question and passage, ${rowName}${minus}`, {
    width: wide,
    height: queryLanguages.length * side * (wide < 520 ? 0.95 : 0.78) + 52,
    marginLeft: 36,
    marginRight: 8,
    marginTop: 26,
    marginBottom: 20,
    x: { domain: task.languages.map((_, i) => i), type: "band", padding: 0.03, label: null },
    y: { domain: queryLanguages, type: "band", padding: 0.03, label: null },
    color: { type: "identity" },
    marks: [
      Plot.axisX({
        anchor: "top",
        tickSize: 0,
        tickFormat: named,
        label: null,
        color: MUTED,
      }),
      Plot.axisY({ tickSize: 0, tickFormat: named, label: null, color: MUTED }),
      Plot.cell(cells, {
        x: "p",
        y: "q",
        fill: (x) =>
          Number.isNaN(x.value) ? "transparent" : heatColour(share(x.value), difference),
        stroke: "none",
        className: "cells",
      }),
      Plot.cell(
        cells.filter((x) => x.q === x.p),
        {
          x: "p",
          y: "q",
          fill: "none",
          stroke: INK,
          strokeWidth: 2,
          inset: 1,
          className: "own-language",
          pointerEvents: "none",
        },
      ),
      Plot.text(cells, {
        x: "p",
        y: "q",
        text: (x) => write(x.value),
        fill: ink,
        fontSize: wide < 520 ? 10 : 12,
        fontVariant: "tabular-nums",
        pointerEvents: "none",
      }),
    ],
  });
  byId("heat-scale").replaceChildren(heatScale(low, high, difference, digits));
  const readout = byId("heat-readout");
  const tell = (x) => {
    const names = [languageName(task.languages[x.q]), languageName(task.languages[x.p])];
    readout.replaceChildren(
      `Questions in ${names[0]}, passages in ${names[1]}: ${what} `,
      make("strong", {}, difference ? signed(x.value, decimals) : shown(x.value, decimals)),
      difference ? ` (${cut(rowName, 40)} minus ${cut(lessName, 40)})` : "",
    );
  };
  readout.textContent = "Point at a cell, or move among them with the arrow keys.";
  const shapesDrawn = shapes(svg, "cells", "rect");
  shapesDrawn.forEach((rect, i) => {
    const x = cells[i];
    rect.setAttribute("role", "img");
    rect.setAttribute(
      "aria-label",
      `${languageName(task.languages[x.q])} to ${languageName(task.languages[x.p])}: ${difference ? signed(x.value, decimals) : shown(x.value, decimals)}`,
    );
    rect.dataset.focus = `cell ${x.q} ${x.p}`;
    rect.dataset.cell = `${task.languages[x.q]} ${task.languages[x.p]}`;
    rect.dataset.value = shown(x.value, decimals);
    rect.addEventListener("pointerenter", () => tell(x));
    rect.addEventListener("focus", () => tell(x));
  });
  rove(svg, ".cells rect", (elements) =>
    queryLanguages.map((_, line) => elements.slice(line * n, (line + 1) * n)),
  );
}

/** The colours of the scale with its ends. */
function heatScale(low, high, difference, digits) {
  const steps = Array.from({ length: 24 }, (_, i) => i);
  const at = (i) => low + ((high - low) * i) / (steps.length - 1);
  const text = (value) => (difference ? signed(value, digits) : shown(value, digits));
  const svg = Plot.plot({
    className: "plot",
    width: 240,
    height: 34,
    margin: 0,
    marginLeft: 42,
    marginRight: 42,
    marginTop: 8,
    marginBottom: 12,
    ariaLabel: `Colours from ${text(low)} to ${text(high)}`,
    x: { type: "band", domain: steps, padding: 0, axis: null },
    color: { type: "identity" },
    marks: [
      Plot.cell(steps, {
        x: (i) => i,
        fill: (i) => heatColour(i / (steps.length - 1), difference),
      }),
      Plot.text([text(low)], { frameAnchor: "left", dx: -6, textAnchor: "end", fill: MUTED }),
      Plot.text([text(high)], { frameAnchor: "right", dx: 6, textAnchor: "start", fill: MUTED }),
    ],
  });
  svg.setAttribute("role", "img");
  // A picture with a name of its own: those of its parts are no roles' names.
  for (const mark of svg.querySelectorAll("g[aria-label]")) mark.removeAttribute("aria-label");
  svg.setAttribute("font-size", "13");
  svg.removeAttribute("font-family");
  return svg;
}

function drawHeatTable(task, cells, queryLanguages, decimals, difference) {
  const n = task.languages.length;
  byId("heat-table").replaceChildren(
    make(
      "table",
      { class: "plain" },
      make(
        "thead",
        {},
        make(
          "tr",
          {},
          make("td", {}),
          task.languages.map((code) => make("th", { scope: "col", class: "number" }, code)),
        ),
      ),
      make(
        "tbody",
        {},
        queryLanguages.map((q, line) =>
          make(
            "tr",
            {},
            make("th", { scope: "row" }, task.languages[q]),
            cells
              .slice(line * n, (line + 1) * n)
              .map((x) =>
                make(
                  "td",
                  { class: x.p === x.q ? "number own" : "number" },
                  difference ? signed(x.value, decimals) : shown(x.value, decimals),
                ),
              ),
          ),
        ),
      ),
    ),
  );
}

function setUpHeat() {
  byId("heat-model").addEventListener("change", (event) =>
    choose({ heat: event.target.value, minus: "" }),
  );
  byId("heat-what").addEventListener("change", (event) => choose({ matrix: event.target.value }));
  byId("heat-minus").addEventListener("change", (event) => choose({ minus: event.target.value }));
}
