// Two models side by side: every mean, each query language, and the questions that flipped.

const FEW = 10;
const MORE = 100;

drawWithout(OF_THE_TABLE, (now) => {
  const { task, column, a, b } = now;
  const together = task.rows.filter((row) => !row.elsewhere);
  byId("versus-section").hidden = together.length < 2;
  const options = [
    ["Measured", together.filter((row) => row.measured)],
    ["Not measured here", together.filter((row) => !row.measured)],
  ]
    .filter(([, rows]) => rows.length)
    .map(([label, rows]) => [label, rows.map((row) => [row.id, plainName(task, row)])]);
  fill(byId("model-a"), options, a.id);
  fill(byId("model-b"), options, b.id);
  byId("versus-printed").textContent =
    `${taskName(task)}, A: ${plainName(task, a)}; B: ${plainName(task, b)}.`;
  byId("versus-about").textContent =
    `Differences are B minus A, with the ${LEVEL} interval and the p-value of the paired test over questions where both were measured. ` +
    "Tied: not significantly different after Holm's correction over all pairs of rows; p itself is not corrected." +
    goneRows(together);
  byId("versus").replaceChildren(versusTable(now));
  byId("dumbbells-title").textContent = `${column.label}, ${column.kind}, by query language`;
  drawDumbbells(now);
  drawFlips(now);
});

/** Of an address that names rows of a board as it was: the rows that are shown are others. */
function goneRows(rows) {
  const gone = ["a", "b"].filter((x) => chosen[x] && !rows.some((row) => row.id === chosen[x]));
  const names = gone.map((x) => `${x.toUpperCase()} (${chosen[x]})`).join(" and ");
  return gone.length
    ? ` ${names} of this address ${gone.length > 1 ? "are" : "is"} not on this board: shown is the best that is.`
    : "";
}

function versusTable({ task, languages, a, b }) {
  const of = (row, column) => task.value(row, column.key, languages);
  const better = (column, difference) => {
    if (
      column.better === null ||
      Number.isNaN(difference) ||
      Number(difference.toFixed(column.decimals)) === 0
    )
      return "";
    return difference > 0 === (column.better === "higher") ? "B better" : "A better";
  };
  const bodies = KINDS.map(([kind]) => {
    const columns = task
      .ofKind(kind)
      .filter((x) => x.main && [a, b].some((row) => !Number.isNaN(of(row, x))));
    if (!columns.length) return null;
    return make(
      "tbody",
      {},
      make("tr", { class: "groups" }, make("th", { scope: "rowgroup", colspan: 7 }, kind)),
      columns.map((x) => {
        const [from, to] = [of(a, x), of(b, x)];
        const tie =
          languages === null &&
          task.rankings[x.key]?.tied.some((t) => t.includes(a.index) && t.includes(b.index));
        const change = to - from;
        const spans = languages === null ? task.rankings[x.key]?.spans : undefined;
        const tested = spans?.[2 * a.index] > 0 && spans?.[2 * b.index] > 0;
        const verdict = better(x, change);
        const pair = languages === null ? task.pair(a, b, x.key) : null;
        return make(
          "tr",
          {},
          make("th", { scope: "row" }, x.label),
          make("td", { class: "number" }, shown(from, x.decimals)),
          make("td", { class: "number" }, shown(to, x.decimals)),
          make(
            "td",
            {
              class: tie
                ? "number"
                : `number ${verdict.slice(0, 1).toLowerCase()}-better`,
            },
            signed(change, x.decimals),
          ),
          make(
            "td",
            { class: "ends" },
            pair
              ? `${signed(change - pair.half, x.decimals)} ${DASH} ${signed(change + pair.half, x.decimals)}`
              : "",
          ),
          make("td", { class: "ends" }, pair ? pValue(pair.p) : ""),
          make(
            "td",
            { class: "verdict" },
            tie
              ? make("span", { class: "chip" }, "tied")
              : verdict && !tested
                ? [verdict, make("small", {}, " untested")]
                : verdict,
          ),
        );
      }),
    );
  });
  const head = (letter, row) =>
    make(
      "th",
      { scope: "col", class: "number" },
      make("i", { class: `key key-${letter}` }),
      letter.toUpperCase(),
      row.measured ? "" : make("small", {}, " published"),
    );
  return make(
    "table",
    { class: "plain versus" },
    make("caption", { class: "unseen" }, `A is ${a.model}, B is ${b.model}`),
    make(
      "thead",
      {},
      make(
        "tr",
        {},
        make("td", {}),
        head("a", a),
        head("b", b),
        make("th", { scope: "col", class: "number" }, "B − A"),
        make("th", { scope: "col" }, `${LEVEL} interval`),
        make("th", { scope: "col" }, "p"),
        make("td", {}),
      ),
    ),
    bodies,
  );
}

function drawDumbbells(now) {
  const { task, column, languages, a, b } = now;
  const figure = byId("dumbbells");
  const drawn = (languages ?? task.languages.map((_, i) => i))
    .map((i) => ({
      i,
      from: task.languageValue(a, column.key, i),
      to: task.languageValue(b, column.key, i),
      fromEnds: task.languageInterval(a, column.key, i),
      toEnds: task.languageInterval(b, column.key, i),
    }))
    .filter((x) => !Number.isNaN(x.from) || !Number.isNaN(x.to));
  if (!drawn.length) return nothing(figure, "Neither row has this measure by language.");
  const points = drawn
    .flatMap((x) => [
      { i: x.i, value: x.from, ends: x.fromEnds, colour: COLOUR_A, dy: -4 },
      { i: x.i, value: x.to, ends: x.toEnds, colour: COLOUR_B, dy: 4 },
    ])
    .filter((x) => !Number.isNaN(x.value));
  const marks = [COLOUR_A, COLOUR_B].flatMap((colour) => {
    const own = points.filter((x) => x.colour === colour);
    const dy = colour === COLOUR_A ? -4 : 4;
    return [
      Plot.link(
        own.filter((x) => x.ends),
        {
          y: "i",
          x1: (x) => x.ends[0],
          x2: (x) => x.ends[1],
          dy,
          stroke: colour,
          strokeWidth: 2,
          strokeOpacity: 0.5,
          strokeLinecap: "round",
        },
      ),
      Plot.dot(own, {
        y: "i",
        x: "value",
        dy,
        r: 3.5,
        fill: colour,
        className: colour === COLOUR_A ? "dots-a" : "dots-b",
        title: (x) => `${languageName(task.languages[x.i])}: ${shown(x.value, column.decimals)}`,
      }),
    ];
  });
  const svg = chart(figure, `${column.label} of A and B by query language`, {
    height: 40 + 26 * drawn.length,
    marginLeft: 92,
    marginTop: 8,
    marginBottom: 28,
    marginRight: 12,
    x: { domain: around(points.flatMap((x) => [x.value, ...(x.ends ?? [])])), label: null },
    y: { domain: drawn.map((x) => x.i), type: "band", label: null },
    color: { type: "identity" },
    marks: [
      Plot.gridX({ stroke: RULE, strokeOpacity: 1, ticks: 5 }),
      Plot.axisX({ anchor: "bottom", ticks: 5, tickSize: 0, color: MUTED, label: null }),
      Plot.axisY({
        tickSize: 0,
        tickFormat: (i) => languageName(task.languages[i]),
        label: null,
        color: INK,
      }),
      ...marks,
    ],
  });
  svg.setAttribute("role", "img");
}

/** Questions whose first passage is right with one of the two and wrong with the other. */
function flips(task, kind, a, b, languages) {
  const texts = [
    a.hits?.[kind] ?? task.hits[a.index]?.[kind],
    b.hits?.[kind] ?? task.hits[b.index]?.[kind],
  ];
  if (!texts[0] || !texts[1] || !task.hasQuery[kind]) return null;
  const [hasQuery, first, second] = [task.hasQuery[kind], ...texts].map(bits);
  const n = task.languages.length;
  const wanted = languages ?? task.languages.map((_, i) => i);
  const found = { both: 0, onlyA: 0, onlyB: 0, neither: 0, questions: [] };
  for (let q = 0; q < task.questions; q++) {
    const [won, lost] = [[], []];
    for (const l of wanted) {
      const at = q * n + l;
      if (!hasQuery(at)) continue;
      const [x, y] = [first(at), second(at)];
      if (x && y) found.both++;
      else if (x) {
        found.onlyA++;
        lost.push(l);
      } else if (y) {
        found.onlyB++;
        won.push(l);
      } else found.neither++;
    }
    if (won.length || lost.length) found.questions.push({ q, won, lost });
  }
  return found;
}

/** Settings for which the page holds which questions the rows answer first. */
const flipKinds = ({ task, a, b }) =>
  ["mono", "multi"].filter(
    (x) => task.hasQuery[x] && [...task.hits, a.hits, b.hits].some((hits) => hits?.[x]),
  );

/** The one of them that is shown. */
function flipKind(now) {
  const kinds = flipKinds(now);
  if (kinds.includes(chosen.hits)) return chosen.hits;
  return kinds.includes(now.kind) ? now.kind : kinds[kinds.length - 1];
}

function drawFlips(now) {
  const { task, languages, a, b } = now;
  const target = byId("flips");
  const kinds = flipKinds(now);
  const of = flipKind(now);
  const found = of && flips(task, of, a, b, languages);
  const compare =
    a.measured && b.measured ? "harness compare A B --flips 20 lists them from two records." : "";
  if (!found) {
    target.replaceChildren(
      make("h3", {}, "Questions that flipped"),
      make(
        "p",
        { class: "note" },
        `This page does not hold which questions both of these models answer first. ${compare}`,
      ),
    );
    return;
  }
  const total = found.both + found.onlyA + found.onlyB + found.neither;
  const where =
    of === "mono" ? "among the passages of its own language" : "in the pool of all languages";
  const choice = make("div", {
    class: "segmented",
    role: "radiogroup",
    "aria-label": "Setting of the questions",
  });
  segmented(
    choice,
    "hits",
    kinds.map((x) => [x, KINDS.find(([name]) => name === x)[1]]),
    of,
    (value) => choose({ hits: value }),
  );
  const count = (label, number, name) =>
    make(
      "div",
      { class: `count ${name}` },
      make("dt", {}, label),
      make("dd", {}, grouped.format(number)),
    );
  target.replaceChildren(
    make(
      "div",
      { class: "head row" },
      make("h3", {}, "Questions that flipped"),
      kinds.length > 1 ? choice : "",
      questionSelect(task),
    ),
    make(
      "p",
      { class: "about" },
      `Of ${grouped.format(total)} questions in their languages: is the first passage found ${where} a right one?`,
    ),
    make(
      "dl",
      { class: "counts" },
      count("with both", found.both, "both"),
      count("with A alone", found.onlyA, "only-a"),
      count("with B alone", found.onlyB, "only-b"),
      count("with neither", found.neither, "neither"),
    ),
    make(
      "div",
      { class: "pair even" },
      flipList(
        task,
        "Right with A, wrong with B",
        "lost",
        found.questions.map((x) => ({ q: x.q, gone: x.lost, other: x.won })),
      ),
      flipList(
        task,
        "Wrong with A, right with B",
        "won",
        found.questions.map((x) => ({ q: x.q, gone: x.won, other: x.lost })),
      ),
    ),
  );
}

function flipList(task, title, name, questions) {
  const ordered = questions
    .filter((x) => x.gone.length)
    .sort(
      (x, y) =>
        y.gone.length - y.other.length - (x.gone.length - x.other.length) ||
        y.gone.length - x.gone.length ||
        x.q - y.q,
    );
  const item = ({ q, gone }) =>
    make(
      "li",
      {},
      opensQuestions()
        ? make(
            "button",
            {
              type: "button",
              class: "question",
              dir: "auto",
              "data-focus": `question ${name} ${q}`,
              onclick: () => choose({ question: String(q) }),
            },
            questionText(task, q),
          )
        : make("span", { class: "question", dir: "auto" }, questionText(task, q)),
      make(
        "small",
        { title: gone.map((x) => languageName(task.languages[x])).join(", ") },
        gone.length === task.languages.length
          ? "all languages"
          : gone.map((x) => task.languages[x]).join(" "),
      ),
    );
  const list = make("ol", { class: "flips" }, ordered.slice(0, FEW).map(item));
  let listed = Math.min(FEW, ordered.length);
  const more = make("button", { type: "button", class: "more" });
  const count = () => {
    const rest = ordered.length - listed;
    more.textContent = `${grouped.format(Math.min(rest, MORE))} more of ${grouped.format(rest)}`;
    more.hidden = rest === 0;
  };
  count();
  more.addEventListener("click", () => {
    const next = ordered.slice(listed, listed + MORE).map(item);
    list.append(...next);
    listed += next.length;
    count();
  });
  return make(
    "div",
    { class: name },
    make("h4", {}, title, " ", make("small", {}, plural(ordered.length, "question"))),
    ordered.length ? list : make("p", { class: "note" }, "None."),
    more,
  );
}

function setUpVersus() {
  for (const letter of ["a", "b"]) {
    byId(`model-${letter}`).addEventListener("change", (event) =>
      pickRow(letter, event.target.value),
    );
  }
  byId("swap").addEventListener("click", () => pickRow("a", view().b.id));
}
