// The bar at the top: task, setting, measure, languages, filter, published rows; and the theme.

function segmented(container, name, options, picked, onPick) {
  container.replaceChildren(
    ...options.map(([value, text, title]) =>
      make(
        "label",
        { title },
        make("input", {
          type: "radio",
          name,
          value,
          checked: value === picked,
          "data-focus": `${name} ${value}`,
          onchange: () => onPick(value),
        }),
        make("span", {}, text),
      ),
    ),
  );
}

const measureOption = (column) => [column.measure, column.label];

drawWithout(["q"], (now) => {
  const { task, kind, column, languages, published, byLanguage, size, type, licence } = now;
  fill(
    byId("task"),
    TASKS.map((x) => [x.slug, taskName(x)]),
    task.slug,
  );
  segmented(
    byId("kind"),
    "kind",
    KINDS.filter(([name]) => task.kinds.includes(name)),
    kind,
    (value) => choose({ kind: value, sort: "", dir: "" }),
  );
  const columns = task.ofKind(kind);
  const [bias, quality] = [columns.filter(isBias), columns.filter((x) => !isBias(x))];
  const groups = [["Retrieval", quality.map(measureOption)]];
  if (bias.length) groups.push(["Language bias", bias.map(measureOption)]);
  fill(byId("measure"), groups, column.measure);
  byId("languages-chosen").textContent =
    languages === null
      ? `all ${task.languages.length}`
      : languages.map((x) => task.languages[x]).join(", ");
  drawLanguages(task, languages);
  byId("published").checked = published;
  byId("published").closest("label").hidden = task.rows.every((row) => row.measured);
  segmented(
    byId("table-view"),
    "table",
    [
      ["", "Measures"],
      ["languages", "Languages", "The chosen measure of every model in every query language"],
    ],
    byLanguage ? "languages" : "",
    (value) => choose({ table: value, sort: "", dir: "" }),
  );
  const values = (of) => [...new Set(task.rows.map(of))].sort().map((x) => [x, x]);
  fill(
    byId("size"),
    [["", "any"], ...SIZES.map(([name, words]) => [name, words])],
    size?.[0] ?? "",
  );
  fill(byId("type"), [["", "any"], ...values(kindOf)], type);
  fill(byId("licence"), [["", "any"], ...values(licenceOf)], licence);
  const set = [size, type, licence].filter(Boolean);
  byId("filters-chosen").textContent = set.length ? `${set.length} set` : "none";
});

drawers.push(({ query }) => {
  if (byId("filter").value !== query) byId("filter").value = query;
});

/** A board's title; with its own name where another board has the same. */
const taskName = (task) =>
  TASKS.filter((x) => x.title === task.title).length > 1
    ? `${task.title} (${task.slug})`
    : task.title;

function drawLanguages(task, languages) {
  const sheet = byId("languages-sheet");
  if (sheet.dataset.task !== task.slug) {
    sheet.dataset.task = task.slug;
    const pick = () => {
      const picked = [...sheet.querySelectorAll("input:checked")].map((x) => x.value);
      choose({ langs: picked.length === task.languages.length ? "" : picked.join(",") });
    };
    sheet.replaceChildren(
      make("button", { type: "button", onclick: () => choose({ langs: "" }) }, "All languages"),
      make(
        "div",
        { class: "ticks" },
        task.languages.map((code) =>
          make(
            "label",
            {},
            make("input", { type: "checkbox", value: code, onchange: pick }),
            make("span", {}, languageName(code), " ", make("small", {}, code)),
          ),
        ),
      ),
      make(
        "p",
        { class: "note" },
        "Means are over the languages of the queries; passages stay as they are. A row that lacks one of them has none. An interval is known for all languages and for one.",
      ),
    );
  }
  for (const input of sheet.querySelectorAll("input")) {
    input.checked = languages === null || languages.includes(task.languages.indexOf(input.value));
  }
}

/** Colours follow the reader's system until the switch says otherwise; the browser keeps the choice. */
function setUpTheme() {
  const held = (value) => {
    try {
      if (value === undefined) return localStorage.getItem("theme");
      localStorage.setItem("theme", value);
    } catch {
      // Storage is refused to some pages opened from disk: the choice then lasts as long as the page.
    }
    return null;
  };
  const pick = (value) => {
    if (value === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = value;
    held(value);
  };
  const before = ["light", "dark"].find((x) => x === held()) ?? "auto";
  const legend = byId("theme").querySelector("legend");
  const inner = make("div", {});
  segmented(
    inner,
    "theme",
    [
      ["auto", "Auto"],
      ["light", "Light"],
      ["dark", "Dark"],
    ],
    before,
    pick,
  );
  byId("theme").replaceChildren(legend, ...inner.children);
  if (before !== "auto") document.documentElement.dataset.theme = before;
}

function setUpControls() {
  // A link would put its section into the address in place of the view.
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    byId("models").scrollIntoView();
    byId("models").focus();
  });
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  // Another board has other models and languages: what was chosen among them is let go.
  byId("task").addEventListener("change", (event) =>
    choose({ ...DEFAULTS, task: event.target.value, pub: chosen.pub, q: chosen.q, table: chosen.table }),
  );
  byId("measure").addEventListener("change", (event) =>
    choose({ measure: event.target.value, sort: "", dir: "" }),
  );
  byId("filter").addEventListener("input", (event) => choose({ q: event.target.value }));
  byId("published").addEventListener("change", (event) =>
    choose({ pub: event.target.checked ? "1" : "0" }),
  );
  for (const name of ["size", "type", "licence"])
    byId(name).addEventListener("change", (event) => choose({ [name]: event.target.value }));
  const sheets = ["languages", "filters", "columns", "save"].map(byId);
  document.addEventListener("click", (event) => {
    for (const sheet of sheets)
      if (event.target.isConnected && !sheet.contains(event.target)) sheet.open = false;
  });
  for (const sheet of sheets)
    sheet.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !sheet.open) return;
      sheet.open = false;
      sheet.querySelector("summary").focus();
    });
  setUpTheme();
}
