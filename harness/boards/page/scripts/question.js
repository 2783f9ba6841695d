// One question opened: its text in each language, what is relevant, what A and B retrieved.

let openedTexts = null;

/** What the page has of single questions, by board; unpacked when first needed. */
function textsOfQuestions() {
  openedTexts ??= (async () => {
    const packed = byId("opened").textContent;
    if (!packed) return {};
    const raw = Uint8Array.from(atob(packed), (x) => x.charCodeAt(0));
    const stream = new Blob([raw]).stream().pipeThrough(new DecompressionStream("deflate"));
    return JSON.parse(await new Response(stream).text());
  })();
  return openedTexts;
}

/** Whether questions can be opened; what is in them is not known before one is. */
const opensQuestions = () => byId("opened").textContent !== "" && "DecompressionStream" in window;

const languageOfPassage = (id) => id.slice(0, id.indexOf(":"));

/** Passage `i` as readers see it: its language, its text, whether it is relevant. */
function passage(board, i, relevant) {
  const id = board.ids[i];
  return [
    make("span", { class: "chip" }, languageOfPassage(id)),
    make("bdi", { class: "passage", dir: "auto" }, board.texts[i] ?? `passage ${id}`),
    relevant ? make("strong", { class: "relevant" }, "relevant") : null,
  ];
}

/** What a row retrieved for a question, best first. */
function retrieved(task, board, row, kind, code, q, relevant) {
  const found = board.retrieved[row.id]?.[kind]?.[code];
  const first = found?.[q];
  if (first)
    return make(
      "ol",
      { class: "passages" },
      first.map((i) => make("li", {}, passage(board, i, relevant.has(i)))),
    );
  const hit = answered(task, row, kind, code, q);
  return make(
    "p",
    { class: "note" },
    hit === null
      ? "Not known: the row was not measured here."
      : `The first passage is ${hit ? "relevant" : "not relevant"}. ` +
          (found
            ? "Which it is was kept for some of the questions only."
            : "Which it is was not kept for this row: harness run --trec, then harness board add --trec."),
  );
}

/** Whether the first passage of a row is a relevant one; null if not known. */
function answered(task, row, kind, code, q) {
  const [hasQuery, hits] = [task.hasQuery[kind], task.hits[row.index]?.[kind]];
  const at = q * task.languages.length + task.languages.indexOf(code);
  return hasQuery && hits && bits(hasQuery)(at) ? bits(hits)(at) : null;
}

const mark = (hit) =>
  hit === null
    ? DASH
    : make("span", { class: hit ? "right" : "wrong" }, hit ? "✓" : "✗", make("span", { class: "unseen" }, hit ? "relevant first" : "another first"));

function questionTable(task, board, q, kind, { a, b }) {
  const codes = task.languages.filter((code) => board.queries[code]?.[q]);
  const own = (code) => board.relevant[q].filter((i) => languageOfPassage(board.ids[i]) === code);
  const head = (letter) =>
    make("th", { scope: "col" }, make("i", { class: `key key-${letter}` }), letter.toUpperCase());
  return make(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": "The question in each language" },
    make(
      "table",
      { class: "plain texts" },
      make(
        "thead",
        {},
        make(
          "tr",
          {},
          make("th", { scope: "col" }, "Language"),
          make("th", { scope: "col" }, "Question"),
          make("th", { scope: "col" }, "Relevant passage"),
          head("a"),
          head("b"),
        ),
      ),
      make(
        "tbody",
        {},
        codes.map((code) =>
          make(
            "tr",
            {},
            make("th", { scope: "row" }, languageName(code)),
            make("td", { dir: "auto", lang: code }, board.queries[code][q]),
            make(
              "td",
              { dir: "auto", lang: code },
              own(code).map((i) =>
                make("p", board.texts[i] ? {} : { class: "note" }, board.texts[i] ?? board.ids[i]),
              ),
            ),
            make("td", {}, mark(answered(task, a, kind, code, q))),
            make("td", {}, mark(answered(task, b, kind, code, q))),
          ),
        ),
      ),
    ),
  );
}

/** The two lists of what was retrieved, for the query language that is chosen in them. */
function retrievedPair(task, board, q, kind, { a, b }) {
  const codes = task.languages.filter((code) => board.queries[code]?.[q]);
  // A language in which the two differ says most.
  const differ = (code) => answered(task, a, kind, code, q) !== answered(task, b, kind, code, q);
  const begin = codes.find(differ) ?? (codes.includes("en") ? "en" : codes[0]);
  const relevant = new Set(board.relevant[q]);
  const lists = make("div", { class: "pair even" });
  const drawLists = (code) =>
    lists.replaceChildren(
      ...[
        ["a", a],
        ["b", b],
      ].map(([letter, row]) =>
        make(
          "div",
          {},
          make("h4", {}, make("i", { class: `key key-${letter}` }), named(plainName(task, row))),
          retrieved(task, board, row, kind, code, q, relevant),
        ),
      ),
    );
  const select = make("select", {
    onchange: (event) => drawLists(event.target.value),
  });
  fill(
    select,
    codes.map((code) => [code, languageName(code)]),
    begin,
  );
  drawLists(begin);
  return [
    make(
      "div",
      { class: "head row" },
      make("h3", {}, `First passages ${whereFound(kind)}`),
      make("label", { class: "field" }, make("span", {}, "Query in"), select),
    ),
    lists,
  ];
}

const whereFound = (kind) =>
  kind === "mono" ? "among those of the question's language" : "in the pool of all languages";

async function drawQuestion(now, q) {
  const { task } = now;
  const dialog = byId("question");
  const board = (await textsOfQuestions())[task.slug];
  if (!board || chosen.question !== String(q)) return;
  const kind = flipKind(now);
  const close = () => dialog.close();
  dialog.replaceChildren(
    make(
      "div",
      { class: "head" },
      make("h2", { id: "question-title", dir: "auto" }, questionText(task, q)),
      make("button", { type: "button", class: "close", "aria-label": "Close", onclick: close }, "×"),
    ),
    make(
      "p",
      { class: "about" },
      `A: ${plainName(task, now.a)}; B: ${plainName(task, now.b)}. ✓ a relevant passage is first ${whereFound(kind)}.`,
    ),
    ...retrievedPair(task, board, q, kind, now),
    make("h3", {}, "In each language"),
    questionTable(task, board, q, kind, now),
  );
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
}

const questionText = (task, q) =>
  task.questionTexts[q] ?? task.questionIds[q] ?? `question ${q + 1}`;

/** The questions of which it is known what was retrieved, to choose from. */
async function fillQuestions(task, select) {
  const board = (await textsOfQuestions())[task.slug];
  const known = new Set();
  for (const kinds of Object.values(board?.retrieved ?? {}))
    for (const by of Object.values(kinds))
      for (const lines of Object.values(by)) for (const q of Object.keys(lines)) known.add(Number(q));
  if (!known.size || !select.isConnected) return;
  fill(
    select,
    [
      ["", `choose one of ${known.size}`],
      ...[...known].sort((x, y) => x - y).map((q) => [String(q), questionText(task, q)]),
    ],
    "",
  );
  select.closest("label").hidden = false;
}

/** A select of the questions that show most. */
function questionSelect(task) {
  if (!opensQuestions()) return "";
  const select = make("select", {
    "data-focus": "open question",
    onchange: () => {
      const { value } = select;
      select.value = ""; // so that the same one can be chosen again
      choose({ question: value });
    },
  });
  const label = make(
    "label",
    { class: "field", hidden: true },
    make("span", {}, "Open a question with the passages found for it"),
    select,
  );
  fillQuestions(task, select);
  return label;
}

drawers.push((now) => {
  const q = Number(chosen.question || NaN);
  if (Number.isInteger(q) && q >= 0 && q < now.task.questions && opensQuestions())
    drawQuestion(now, q);
  else if (byId("question").open) byId("question").close();
});

function setUpQuestion() {
  const dialog = byId("question");
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => {
    if (chosen.question) choose({ question: "" });
  });
}
