// Quality against language bias in the pool of all languages; intervals both ways.

drawForRows((now, visible) => {
  const { task, column, languages, a, b } = now;
  const figure = byId("scatter");
  const select = byId("bias");
  const biases = task.columns.filter(isBias);
  const section = figure.closest("section");
  section.hidden = !biases.length;
  if (!biases.length) return;
  const across =
    biases.find((x) => x.measure === chosen.bias) ??
    biases.find((x) => x.measure === column.measure) ??
    biases.find((x) => x.measure === "rank_distance") ??
    biases[0];
  fill(select, biases.map(measureOption), across.measure);
  // A model that ranks everything equally badly does well by rank distance: mAP stands beside it.
  const wanted = isBias(column) || needsQuality(across.measure) ? "map" : column.measure;
  const up =
    task.columnOf.get(`multi/${wanted}`) ??
    task.columnOf.get("multi/map") ??
    task.ofKind("multi").find((x) => !isBias(x));
  if (!up)
    return nothing(figure, "This board has no measure of quality for the pool of all languages.");
  const drawn = visible
    .map((row) => ({
      row,
      x: task.value(row, across.key, languages),
      y: task.value(row, up.key, languages),
      xs: task.interval(row, across.key, languages),
      ys: task.interval(row, up.key, languages),
    }))
    .filter((d) => !Number.isNaN(d.x) && !Number.isNaN(d.y));
  const towards =
    across.better === "lower"
      ? "← better"
      : across.better === "higher"
        ? "better →"
        : "neither end is good";
  byId("scatter-about").textContent =
    `${up.label} (up is better) against ${across.label.toLowerCase()} (${direction(across)}), both in the multi setting. Crosses are ${LEVEL} intervals.`;
  if (!drawn.length) {
    nothing(figure, "No row that is shown has both measures.");
    byId("scatter-readout").textContent = "";
    return;
  }
  const narrow = roomIn(figure) < 480;
  const domains = [
    around(
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
  const kept = labelled(now, drawn, domains, frame);
  const svg = chart(figure, `${up.label} against ${across.label}, ${plural(drawn.length, "row")}`, {
    height: narrow ? 320 : 400,
    marginLeft: 46,
    marginRight: 24,
    marginTop: 26,
    marginBottom: 44,
    x: {
      domain: domains[0],
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
        label: `${across.label}, ${towards}`,
        labelAnchor: "center",
        labelArrow: "none",
        labelOffset: 38,
      }),
      Plot.axisY({
        color: MUTED,
        tickSize: 0,
        ticks: 5,
        label: `↑ ${up.label}, multi`,
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
      `: ${up.label} ${shown(d.y, up.decimals)}, ${across.label.toLowerCase()} ${shown(d.x, across.decimals)}${d.row.measured ? "" : " (published)"}`,
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
      `${d.row.model}: ${up.label} ${shown(d.y, up.decimals)}, ${across.label} ${shown(d.x, across.decimals)}`,
    );
    circle.addEventListener("pointerenter", () => tell(d));
    const take = () => pickRow("a", d.row.id);
    circle.addEventListener("click", take);
    circle.addEventListener("keydown", (event) => {
      if (event.key === "Enter") take();
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
function labelled({ task, a, b }, drawn, [[x0, x1], [y0, y1]], frame) {
  const across = frame.width - frame.left - frame.right;
  const down = frame.height - frame.top - frame.bottom;
  const at = (d) => [
    frame.left + ((d.x - x0) / (x1 - x0 || 1)) * across,
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

function setUpScatter() {
  byId("bias").addEventListener("change", (event) => choose({ bias: event.target.value }));
}
