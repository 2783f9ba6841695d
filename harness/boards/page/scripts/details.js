// One row's provenance: the command that makes it again, digests, fingerprint, cost, languages.

function copyButton(text) {
  const button = make("button", { type: "button", class: "copy" }, "Copy");
  button.addEventListener("click", async () => {
    button.textContent = (await copied(text)) ? "Copied" : "Press Ctrl+C";
    setTimeout(() => {
      button.textContent = "Copy";
    }, 2000);
  });
  return button;
}

/** Put `text` on the clipboard; where the browser refuses that, select it for the reader. */
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const code = [...document.querySelectorAll("code")].find(
      (x) => x.textContent === text && x.offsetParent,
    );
    if (code) getSelection().selectAllChildren(code);
    return false;
  }
}

function provenance(task, row) {
  const facts = row.facts;
  const code = (text) => make("code", { class: "digest" }, text);
  const known = (label, value) =>
    value === null || value === undefined || value === "" || value === false ? [] : [[label, value]];
  const arxiv = row.reference?.match(/arXiv (\d{4}\.\d{4,5})/);
  // mteb names models as the Hugging Face hub does.
  const hub = row.source === "imported" && /^[\w.-]+\/[\w.-]+$/.test(row.model);
  if (!facts)
    return [
      ...known("Source", row.reference),
      ...known("Paper", arxiv && link(`https://arxiv.org/abs/${arxiv[1]}`, arxiv[0])),
      ...known("Model", hub && link(`https://huggingface.co/${row.model}`, row.model)),
      ...known("Parameters", row.parameters && parameters(row.parameters)),
      ...known("Released", row.released),
      ...known("Licence of the weights", row.license),
      ...known("Weights", { true: "open", false: "closed" }[row.open_weights]),
      ...known("Trained on data of this task", row.trained_on_task),
      ...known("Languages in training", row.trained_on?.join(", ")),
      ...known("Recipe", row.recipe),
      ...known("Text", row.text),
      ...row.notes.map((x) => ["Mind", x]),
    ];
  return [
    ["Data digest", code(task.data_digest)],
    [
      "Model fingerprint",
      facts.fingerprint
        ? code(facts.fingerprint)
        : "none: the encoder offers none, so its vectors were not stored",
    ],
    ["Per-query table", code(facts.record_sha256)],
    ...known("Data revision", task.revision && code(task.revision)),
    ["Text of a passage", task.text],
    ...known("Recipe", row.recipe),
    ...known("Options", row.options),
    ...known("Trained on", row.trained_on?.join(", ")),
    [
      "Made",
      [
        facts.created.slice(0, 10),
        facts.harness && `polyglot-harness ${facts.harness}`,
        `${facts.device}, ${facts.processor}`,
      ]
        .filter(Boolean)
        .join("; "),
    ],
    [
      "Texts",
      `${grouped.format(facts.texts)}, of which ${grouped.format(facts.encoded)} encoded in that run` +
        (facts.texts_per_second
          ? `, ${grouped.format(Math.round(facts.texts_per_second))} a second`
          : ""),
    ],
    [
      "Seconds",
      Object.entries(facts.seconds)
        .map(([stage, s]) => `${stage} ${s.toFixed(1)}`)
        .join(", "),
    ],
    ...row.notes.map((x) => ["Mind", x]),
  ];
}

const definitions = (pairs) =>
  make(
    "dl",
    { class: "facts" },
    pairs.flatMap(([term, value]) => [make("dt", {}, term), make("dd", {}, value)]),
  );

function command(row) {
  if (!row.facts) return [];
  return [
    make(
      "div",
      { class: "command" },
      make("pre", { tabindex: "0", "aria-label": "Command" }, make("code", {}, row.facts.command)),
      copyButton(row.facts.command),
    ),
  ];
}

function openDetails(row) {
  const { task, column } = view();
  const dialog = byId("details");
  const byLanguage = task.languages
    .map((code, i) => [
      code,
      task.languageValue(row, column.key, i),
      task.languageInterval(row, column.key, i),
    ])
    .filter(([, value]) => !Number.isNaN(value));
  dialog.replaceChildren(
    make(
      "div",
      { class: "head" },
      make(
        "h2",
        { id: "details-title" },
        named(row.model),
        row.recipe ? make("small", {}, ` ${row.recipe}`) : null,
      ),
      make(
        "button",
        { type: "button", class: "close", "aria-label": "Close", onclick: () => dialog.close() },
        "×",
      ),
    ),
    make(
      "p",
      { class: "about" },
      row.measured
        ? `Makes this row of ${task.title} again:`
        : "This row was not measured here: there is no command that makes it again.",
    ),
    ...command(row),
    definitions(provenance(task, row)),
    byLanguage.length ? make("h3", {}, `${column.label}, ${column.kind}, by query language`) : "",
    byLanguage.length
      ? make(
          "div",
          { class: "scroll" },
          make(
            "table",
            { class: "plain" },
            make(
              "thead",
              {},
              make(
                "tr",
                {},
                make("th", { scope: "col" }, "Language"),
                make("th", { scope: "col", class: "number" }, column.label),
                make("th", { scope: "col" }, `${LEVEL} interval`),
              ),
            ),
            make(
              "tbody",
              {},
              byLanguage.map(([code, value, ends]) =>
                make(
                  "tr",
                  {},
                  make("th", { scope: "row" }, languageName(code), " ", make("small", {}, code)),
                  make("td", { class: "number" }, shown(value, column.decimals)),
                  make(
                    "td",
                    { class: "ends" },
                    ends
                      ? `${shown(ends[0], column.decimals)} ${DASH} ${shown(ends[1], column.decimals)}`
                      : "",
                  ),
                ),
              ),
            ),
          ),
        )
      : "",
  );
  dialog.showModal();
  dialog.scrollTop = 0;
}

/** The same for all rows, at the page's end: for readers of a print, and for searching the page. */
function drawCommands() {
  const now = view();
  byId("commands").replaceChildren(
    ...visibleRows(now).map((row) =>
      make(
        "article",
        {},
        make("h3", {}, named(row.model), row.recipe ? ` ${row.recipe}` : ""),
        ...command(row),
        definitions(provenance(now.task, row)),
      ),
    ),
  );
}

drawers.push(() => {
  if (byId("commands-all").open) drawCommands();
});

function setUpDetails() {
  byId("commands-all").addEventListener("toggle", drawCommands);
  const dialog = byId("details");
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
}
