// The data of the page: boards as harness/boards/page/document.py packs them.

const DATA = JSON.parse(byId("data").textContent);

/** `95 %` */
const LEVEL = `${Math.round(100 * DATA.level)} %`;

const DIGITS = new Map(
  [..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"].map((x, i) => [x, i]),
);

/** A packed table as numbers, `columns` to a row; NaN where undefined. See packing.py. */
function unpack(packed, rows, columns) {
  const out = new Float64Array(rows * columns).fill(NaN);
  const { width, low, e, text } = packed;
  const undefinedCode = 64 ** width - 1;
  const step = 10 ** e;
  packed.rows.forEach((row, number) => {
    for (let column = 0; column < columns; column++) {
      const at = (number * columns + column) * width;
      let code = 0;
      for (let i = at; i < at + width; i++) code = code * 64 + DIGITS.get(text[i]);
      if (code !== undefinedCode) out[row * columns + column] = (low + code) / step;
    }
  });
  return out;
}

/** Bits of base64 text, first bit of a byte highest: `bit(i)` is true or false. */
function bits(text) {
  const raw = atob(text);
  return (i) => ((raw.charCodeAt(i >> 3) >> (7 - (i & 7))) & 1) === 1;
}

const KINDS = [
  ["mono", "Mono", "questions and passages of one language"],
  ["cross", "Cross", "questions of one language, passages of another"],
  ["multi", "Multi", "one pool of passages of all languages"],
];
const kindAbout = (kind) => KINDS.find(([name]) => name === kind)[2];

/** Rows from their fields, each value of which is held once; see document.py. */
function rowsOf(fields) {
  const count = Math.max(...Object.values(fields).map((x) => (x.at ?? x.values).length));
  return Array.from({ length: count }, (_, i) =>
    Object.fromEntries(
      Object.entries(fields).map(([name, { values, at }]) => [name, values[at?.[i] ?? (at ? 0 : i)]]),
    ),
  );
}

/** One board: rows of models on one task. */
class Task {
  constructor(raw) {
    Object.assign(this, raw);
    this.raw = raw;
    this.rows = rowsOf(raw.rows);
    this.columnOf = new Map(raw.columns.map((column) => [column.key, column]));
    this.rows.forEach((row, index) => {
      row.index = index;
      row.measured = row.source === "measured";
      row.comparable = row.measured && !row.notes.length;
      row.recipe = recipeInWords(row);
      row.elsewhere = row.elsewhere ?? false;
    });
    // Groups of rows and pairs of them that are not significantly different, whatever their places.
    for (const ranking of Object.values(this.rankings))
      ranking.tied = [...ranking.ties, ...(ranking.tied_apart ?? [])];
    this.unpacked = new Map();
  }

  table(where, key, columns) {
    const name = `${where} ${key}`;
    if (!this.unpacked.has(name)) {
      const held = key === null ? this.raw[where] : this.raw[where][key];
      this.unpacked.set(name, held ? unpack(held, this.rows.length, columns) : null);
    }
    return this.unpacked.get(name);
  }

  /** The value of `row` by the column `key`, over `languages` (positions; null for all). */
  value(row, key, languages = null) {
    if (languages === null) return this.table("cells", key, 1)?.[row.index] ?? NaN;
    const of = languages.map((x) => this.languageValue(row, key, x));
    const known = of.filter((x) => !Number.isNaN(x));
    // A row that lacks a language which others have is not comparable with them: no mean.
    if (!known.length || of.some((x, i) => Number.isNaN(x) && this.hasLanguage(key, languages[i])))
      return NaN;
    return known.reduce((sum, x) => sum + x, 0) / known.length;
  }

  /** Whether some row has a value of the column `key` for a language. */
  hasLanguage(key, language) {
    return this.rows.some((row) => !Number.isNaN(this.languageValue(row, key, language)));
  }

  languageValue(row, key, language) {
    const n = this.languages.length;
    return this.table("languageCells", key, n)?.[row.index * n + language] ?? NaN;
  }

  /** The interval of `value`, or null: none is known of some languages together. */
  interval(row, key, languages = null) {
    if (languages === null)
      return this.around(key, this.value(row, key), this.table("ends", key, 2), row.index);
    return languages.length === 1 ? this.languageInterval(row, key, languages[0]) : null;
  }

  languageInterval(row, key, language) {
    const n = this.languages.length;
    return this.around(
      key,
      this.languageValue(row, key, language),
      this.table("languageEnds", key, 2 * n),
      row.index * n + language,
    );
  }

  /** Ends are held as the last digits that they lie off their value, as it is shown. */
  around(key, value, off, index) {
    if (!off || Number.isNaN(off[2 * index])) return null;
    const unit = 10 ** this.columnOf.get(key).decimals;
    const middle = Math.round(Number(value.toFixed(this.columnOf.get(key).decimals)) * unit);
    return [(middle - off[2 * index]) / unit, (middle + off[2 * index + 1]) / unit];
  }

  /** Query language by passage language of one measure, row by row; null if there is none. */
  matrix(row, measure) {
    const size = this.languages.length ** 2;
    const all =
      measure === TOP
        ? this.table("topLanguages", null, size)
        : this.table("matrices", measure, size);
    const own = all?.subarray(row.index * size, (row.index + 1) * size);
    return own?.some((x) => !Number.isNaN(x)) ? own : null;
  }

  /** Column keys of a kind of setting. */
  ofKind(kind) {
    return this.raw.columns.filter((column) => column.kind === kind);
  }

  /** Half width of the interval of the difference of two rows, and its p-value; null if not known. */
  pair(a, b, key) {
    const { pairs } = this.raw;
    if (!pairs?.halves[key]) return null;
    const of = [a, b].map((row) => pairs.at.indexOf(row.index));
    if (of.includes(-1)) return null;
    const [i, j] = [Math.min(...of), Math.max(...of)];
    const n = pairs.at.length;
    const line = i * n - (i * (i + 1)) / 2 + (j - i - 1);
    const name = `pairs ${key}`;
    if (!this.unpacked.has(name)) {
      const size = (n * (n - 1)) / 2;
      this.unpacked.set(name, [pairs.halves[key], pairs.p[key]].map((x) => unpack(x, size, 1)));
    }
    const [half, p] = this.unpacked.get(name).map((x) => x[line]);
    return Number.isNaN(half) || Number.isNaN(p) ? null : { half, p };
  }

  rowById(id) {
    return this.rows.find((row) => row.id === id);
  }
}

const TOP = "top";

/** `hybrid, alpha 0.5, seed 1`; null where nothing is known of how a model was trained. */
function recipeInWords({ recipe, alpha, seed }) {
  const words = [
    recipe,
    alpha === null ? null : `alpha ${alpha}`,
    seed === null ? null : `seed ${seed}`,
  ];
  return words.filter(Boolean).join(", ") || null;
}

const TASKS = DATA.tasks.map((raw) => new Task(raw));
for (const task of TASKS) {
  const { questionIds, questionTexts } = DATA.tasks[task.questionsOf];
  Object.assign(task, { questionIds, questionTexts });
}

/** Measures that say nothing alone: a model that ranks everything equally badly does well by them. */
const needsQuality = (measure) => /^(scaled_)?rank_distance$/.test(measure);

const isBias = (column) =>
  column.kind === "multi" &&
  !/^(map|recall|precision|success|judged|mrr|ndcg)(@|$)/.test(column.measure);

/** Which end of a column is good, in a word. */
const direction = (column) =>
  column.better === "higher"
    ? "higher is better"
    : column.better === "lower"
      ? "lower is better"
      : "neither end is good";
