// Quality against language bias, size or speed: one dot a row, intervals where they are known.

/** What a model costs, as an axis; sizes and speeds differ by factors, so their axes are in powers. */
const COSTS = [
  ["parameters", "Parameters", "the model's size, as its files or its publisher say"],
  ["speed", "Texts/s", "texts encoded a second in the run, on the machine that its row names"],
  ["memory", "Peak memory", "of the run, by far the most of it the passages' vectors and scores"],
].map(([measure, label, about]) => {
  const fact = FACTS.find((x) => x.key === measure);
  const better = measure === "speed" ? "higher" : "lower";
  return { measure, label, about, better, cost: true, of: fact.of, write: fact.write };
});

/** Ends of an axis in powers with room around `values`. */
function aroundPowers(values) {
  const [low, high] = around(values.map(Math.log10), 0.1);
  return [10 ** low, 10 ** high];
}

/** What the scatter is drawn against, and the measure of quality that stands up. */
function scatterAxes({ task, column, languages }) {
  const biases = task.columns
    .filter(isBias)
    .map((x) => ({
      ...x,
      of: (row) => task.value(row, x.key, languages),
      ends: (row) => task.interval(row, x.key, languages),
      write: (row) => shown(task.value(row, x.key, languages), x.decimals),
    }));
  const costs = COSTS.filter((x) => task.rows.some((row) => !Number.isNaN(x.of(row))));
  const all = [...biases, ...costs];
  const named = (measure) => all.find((x) => x.measure === measure);
  const across =
    named(chosen.bias) ??
    biases.find((x) => x.measure === column.measure) ??
    named("rank_distance") ??
    all[0];
  // A model that ranks everything equally badly does well by rank distance: mAP stands beside it.
  const wanted = isBias(column) || needsQuality(across?.measure) ? "map" : column.measure;
  const multi = isBias(column) || !across?.cost;
  const up = multi
    ? (task.columnOf.get(`multi/${wanted}`) ??
      task.columnOf.get("multi/map") ??
      task.ofKind("multi").find((x) => !isBias(x) && x.better !== null))
    : column;
  return { biases, costs, across, up };
}

drawForRows((now, visible) => {
  const { task, languages, a, b } = now;
  const figure = byId("scatter");
  const section = figure.closest("section");
  const { biases, costs, across, up } = scatterAxes(now);
  section.hidden = !across;
  if (!across) return;
  fill(
    byId("bias"),
    [
      ["Language bias", biases.map(measureOption)],
      ["Size and speed", costs.map(measureOption)],
    ].filter(([, options]) => options.length),
    across.measure,
  );
  byId("scatter-title").textContent = across.cost
    ? across.measure === "parameters"
      ? "Quality against size"
      : across.measure === "speed"
        ? "Quality against speed"
        : "Quality against memory"
    : "Quality against language bias";
  if (!up)
    return nothing(figure, "This board has no measure of quality for the pool of all languages.");
  const drawn = visible
    .map((row) => ({
      row,
      x: across.of(row),
      y: task.value(row, up.key, languages),
      xs: across.ends?.(row),
      ys: task.interval(row, up.key, languages),
    }))
    .filter((d) => !Number.isNaN(d.x) && !Number.isNaN(d.y) && (!across.cost || d.x > 0));
  const towards =
    across.better === "lower"
      ? across.cost
        ? "← less"
        : "← better"
      : across.better === "higher"
        ? across.cost
          ? "faster →"
          : "better →"
        : "neither end is good";
  const upwards = { higher: "up is better", lower: "down is better" }[up.better] ?? direction(up);
  const missing = visible.filter(
    (row) => !drawn.some((d) => d.row === row) && !Number.isNaN(task.value(row, up.key, languages)),
  ).length;
  byId("scatter-about").textContent = across.cost
    ? `${up.label}, ${up.kind} (${upwards}) against ${across.label.toLowerCase()}: ${across.about}. ` +
      `The axis is in powers of ten; bars are ${LEVEL} intervals` +
      (missing ? `; of ${plural(missing, "row")} it is not known` : "") +
      "."
    : `${up.label} (${upwards}) against ${across.label.toLowerCase()} (${direction(across)}), both in the multi setting. Crosses are ${LEVEL} intervals.`;
  if (!drawn.length) {
    nothing(figure, "No row that is shown has both.");
    byId("scatter-readout").textContent = "";
    return;
  }
  const narrow = roomIn(figure) < 480;
  const domains = [
    across.cost
      ? aroundPowers(drawn.map((d) => d.x))
      : around(
          drawn.flatMap((d) => [d.x, ...(d.xs ?? [])]),
          0.14,
        ),
    around(
      drawn.flatMap((d) => [d.y, ...(d.ys ?? [])]),
      0.12,
    ),
  ];
  const frame = { left: 46, right: 24, top: 26, bottom: 44, height: narrow ? 320 : 400 };
  frame.width = Math.max(280, roomIn(figure));
  const kept = labelled(now, drawn, domains, frame, across.cost ? Math.log10 : (x) => x);
  const svg = chart(figure, `${up.label} against ${across.label}, ${plural(drawn.length, "row")}`, {
    height: narrow ? 320 : 400,
    marginLeft: 46,
    marginRight: 24,
    marginTop: 26,
    marginBottom: 44,
    x: {
      domain: domains[0],
      type: across.cost ? "log" : "linear",
      label: null,
    },
    y: {
      domain: domains[1],
      label: null,
    },
    color: { type: "identity" },
    marks: [
      Plot.gridX({ stroke: RULE, strokeOpacity: 1, ticks: narrow ? 4 : 6 }),
      Plot.gridY({ stroke: RULE, strokeOpacity: 1, ticks: 5 }),
      Plot.axisX({
        color: MUTED,
        tickSize: 0,
        ticks: narrow ? 4 : 6,
        tickFormat: across.cost ? costTick(across.measure) : undefined,
        label: `${across.label}, ${towards}`,
        labelAnchor: "center",
        labelArrow: "none",
        labelOffset: 38,
      }),
      Plot.axisY({
        color: MUTED,
        tickSize: 0,
        ticks: 5,
        label: `↑ ${up.label}, ${up.kind}`,
        labelArrow: "none",
      }),
      Plot.link(
        drawn.filter((d) => d.xs),
        {
          x1: (d) => d.xs[0],
          x2: (d) => d.xs[1],
          y: "y",
          stroke: (d) => colourOf(now, d.row),
          strokeOpacity: 0.5,
          strokeWidth: 1.5,
          className: "ends-across",
        },
      ),
      Plot.link(
        drawn.filter((d) => d.ys),
        {
          y1: (d) => d.ys[0],
          y2: (d) => d.ys[1],
          x: "x",
          stroke: (d) => colourOf(now, d.row),
          strokeOpacity: 0.5,
          strokeWidth: 1.5,
          className: "ends-up",
        },
      ),
      ...kept.map(({ d, text, dx, dy, anchor }) =>
        Plot.text([d], {
          x: "x",
          y: "y",
          dx,
          dy,
          textAnchor: anchor,
          text: () => text,
          fill: colourOf(now, d.row),
          fontWeight: d.row === a || d.row === b ? 600 : 400,
          stroke: "var(--paper)",
          strokeWidth: 4,
          className: "dot-name",
        }),
      ),
      Plot.dot(drawn, {
        x: "x",
        y: "y",
        r: 5,
        fill: (d) => (d.row.measured ? colourOf(now, d.row) : "var(--paper)"),
        stroke: (d) => colourOf(now, d.row),
        strokeWidth: 1.5,
        className: "models",
      }),
    ],
  });
  const readout = byId("scatter-readout");
  const tell = (d) => {
    readout.replaceChildren(
      named(d.row.model),
      d.row.recipe ? ` ${d.row.recipe}` : "",
      `: ${up.label} ${shown(d.y, up.decimals)}, ${across.label.toLowerCase()} ${across.write(d.row)}${d.row.measured ? "" : " (published)"}`,
    );
  };
  readout.textContent =
    "Point at a dot, or move among them with the arrow keys; Enter takes one as A.";
  shapes(svg, "models", "circle").forEach((circle, i) => {
    const d = drawn[i];
    circle.setAttribute("role", "button");
    circle.dataset.focus = `dot ${d.row.id}`;
    circle.setAttribute(
      "aria-label",
      `${d.row.model}: ${up.label} ${shown(d.y, up.decimals)}, ${across.label} ${across.write(d.row)}`,
    );
    circle.addEventListener("pointerenter", () => tell(d));
    const take = () => pickRow("a", d.row.id);
    circle.addEventListener("click", take);
    circle.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault(); // the space bar would scroll
      take();
    });
    circle.addEventListener("focus", () => tell(d));
  });
  const leftToRight = (elements) => [
    elements
      .map((x, i) => [drawn[i].x, x])
      .sort(([p], [q]) => p - q)
      .map(([, x]) => x),
  ];
  rove(svg, ".models circle", leftToRight);
});

/**
 * Names that fit, with their places: A and B first, then from the best on.
 *
 * A name stands above its dot, below it, to its right or left: where it covers no dot and no other
 * name, and stays within the frame. Where there is no such place it is left to the line below.
 */
function labelled({ task, a, b }, drawn, [ends, [y0, y1]], frame, powers) {
  const [x0, x1] = ends.map(powers);
  const across = frame.width - frame.left - frame.right;
  const down = frame.height - frame.top - frame.bottom;
  const at = (d) => [
    frame.left + ((powers(d.x) - x0) / (x1 - x0 || 1)) * across,
    frame.top + ((y1 - d.y) / (y1 - y0 || 1)) * down,
  ];
  const taken = drawn.map((d) => {
    const [x, y] = at(d);
    return [x - 5, y - 5, x + 5, y + 5];
  });
  const clear = ([l, t, r, m]) =>
    l >= 0 &&
    r <= frame.width &&
    t >= 0 &&
    m <= frame.height - frame.bottom + 8 &&
    taken.every(([p, q, s, u]) => r < p || l > s || m < q || t > u);
  const first = (d) => (d.row === a || d.row === b ? 0 : d.row.measured ? 1 : 2);
  const found = [];
  for (const d of [...drawn].sort((p, q) => first(p) - first(q) || q.y - p.y)) {
    const [x, y] = at(d);
    const text = shortName(task, d.row, 26);
    const long = 7.3 * (Array.from(text).length - 2) + 4;
    const places = [
      { dx: 0, dy: -13, anchor: "middle", box: [x - long / 2, y - 21, x + long / 2, y - 6] },
      { dx: 0, dy: 14, anchor: "middle", box: [x - long / 2, y + 7, x + long / 2, y + 22] },
      { dx: 10, dy: 0, anchor: "start", box: [x + 7, y - 7, x + 10 + long, y + 7] },
      { dx: -10, dy: 0, anchor: "end", box: [x - 10 - long, y - 7, x - 7, y + 7] },
    ];
    const place = places.find(({ box }) => clear(box));
    if (!place) continue;
    taken.push(place.box);
    found.push({ d, text, ...place });
  }
  return found;
}

/** Ticks of a cost, in few letters: `70 M`, `1 GiB`, `2,000`. */
const costTick = (measure) => (x) =>
  measure === "parameters"
    ? parameters(x).replace(/\.0+(?= )/, "")
    : measure === "memory"
      ? memory(x)
      : grouped.format(x);

function setUpScatter() {
  byId("bias").addEventListener("change", (event) => choose({ bias: event.target.value }));
}
