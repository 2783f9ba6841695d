// What each measure asks, in a sentence.

const WORDS = {
  map: "Mean average precision over the whole ranking: precision at the rank of each relevant passage, averaged.",
  recall: "Share of the relevant passages among the first k.",
  precision: "Share of the first k passages that are relevant.",
  success: "Share of queries with a relevant passage among the first k.",
  judged: "Share of the first k passages that are judged, relevant or not.",
  mrr: "Reciprocal rank of the first relevant passage, 0 beyond the first k.",
  ndcg: "Discounted cumulative gain over the best that is possible, with trec_eval's log2 discount.",
  rank_distance:
    "Last minus first rank of the passages that answer one question in different languages, in one pool. A model that ranks everything equally badly does well by it: read it with mAP.",
  max_rank:
    "Rank of the last relevant passage: how far one must read for all of them, in whatever language.",
  scaled_max_rank: "Max rank from 0 (best possible) to 1.",
  complete: "Share of queries with all of their relevant passages among the first k.",
  scaled_rank_distance: "Rank distance from 0 (best possible) to 1. Read it with mAP.",
  own_language_first:
    "Share of queries whose best-ranked relevant passage is in the query's language.",
  own_language_pairs:
    "Share of relevant passages in other languages that the one in the query's language outranks.",
  top_right_own: "Share of queries whose first passage is right and in the query's language.",
  top_right_other: "Share of queries whose first passage is right and in another language.",
  top_wrong_own: "Share of queries whose first passage is wrong and in the query's language.",
  top_wrong_other: "Share of queries whose first passage is wrong and in another language.",
  own_language_ndcg: "nDCG that counts relevant passages in the query's language alone.",
  language_aware_ndcg:
    "nDCG that counts a relevant passage in the query's language 1, in another 0.5.",
  map_without_own: "mAP with the answer in the query's language taken out of the pool.",
  map_change_without_own:
    "How mAP changes when the answer in the query's language is taken out of the pool.",
  other_language_recall:
    "Recall among the first k over relevant passages in other languages than the query's.",
  own_language_share:
    "Share of the first k passages that are in the query's language, right or wrong.",
  rank_fairness:
    "How close the languages that a ranking shows, by rank, are to those of the relevant passages; 1 is equal.",
  mean_rank_correlation:
    "How alike the rankings of one question are in different languages.",
  language_ndcg_spread: "Spread of nDCG over the languages of the relevant passages.",
  intrusion:
    "Passages in other languages above a relevant one in the query's language, on average.",
  ndcg_drop:
    "nDCG among the passages of the query's language less that in the pool, where only these are relevant.",
  peer: "Probability of ranks at least this unequal between languages if the model had no preference.",
};

/** What a measure asks, in a sentence. */
const meaning = (measure) =>
  WORDS[Object.hasOwn(WORDS, measure) ? measure : measure.split("@")[0]] ??
  "A measure of an installed package.";

/**
 * The best value that a measure can have and what random order gives, over all query languages.
 *
 * Known where every question has one relevant passage in each language that has a query of it; null
 * elsewhere. Formulas: the r relevant passages of a pool of n are a random subset of its ranks.
 */
function ends(task, { kind, measure }) {
  if (!task.oneEach || !task.kinds.includes("cross") || !task.hasQuery.mono || kind === "cross")
    return null;
  const key = `${kind} ${measure}`;
  task.ends_ ??= new Map();
  if (!task.ends_.has(key)) task.ends_.set(key, endsOf(task, kind, measure));
  return task.ends_.get(key);
}

function endsOf(task, kind, measure) {
  const [name, depth] = [measure.split("@")[0], Number(measure.split("@")[1] ?? Infinity)];
  const formula = CHANCE[name];
  if (!formula) return null;
  const n = task.languages.length;
  const hasQuery = bits(task.hasQuery.mono);
  const totals = task.languages.map(() => [0, 0, 0]);
  const whole = sum(Object.values(task.passages));
  const memo = new Map();
  for (let q = 0; q < task.questions; q++) {
    const of = task.languages.map((_, l) => l).filter((l) => hasQuery(q * n + l));
    for (const l of of) {
      const r = kind === "mono" ? 1 : of.length;
      const size = kind === "mono" ? task.passages[task.languages[l]] : whole;
      const at = `${r} ${size}`;
      if (!memo.has(at)) memo.set(at, formula(size, r, Math.min(depth, size)));
      const [best, chance] = memo.get(at);
      if (Number.isNaN(chance)) continue;
      totals[l][0] += best;
      totals[l][1] += chance;
      totals[l][2]++;
    }
  }
  const known = totals.filter(([, , count]) => count);
  if (!known.length) return null;
  const mean = (i) => sum(known.map((x) => x[i] / x[2])) / known.length;
  return { best: mean(0), chance: mean(1) };
}

const harmonic = (k) => {
  let total = 0;
  for (let i = 1; i <= k; i++) total += 1 / i;
  return total;
};
const discounts = (k) => {
  let total = 0;
  for (let i = 1; i <= k; i++) total += 1 / Math.log2(i + 1);
  return total;
};

/** Chance that none of the first k of n is one of r, for each k up to `depth`. */
function missed(n, r, depth) {
  const out = [1];
  for (let i = 0; i < depth; i++) out.push(out[i] * Math.max(0, (n - r - i) / (n - i)));
  return out;
}

/** Chance that all r are among the first k of n. */
function allWithin(n, r, k) {
  let chance = 1;
  for (let i = 0; i < r; i++) chance *= Math.max(0, k - i) / (n - i);
  return chance;
}

/** Measure -> (passages, relevant ones, depth) -> [best, by chance]. */
const CHANCE = {
  map: (n, r) => [1, n > 1 ? (((r - 1) / (n - 1)) * (n - harmonic(n)) + harmonic(n)) / n : 1],
  recall: (n, r, k) => [Math.min(k, r) / r, k / n],
  precision: (n, r, k) => [Math.min(k, r) / k, r / n],
  success: (n, r, k) => [1, 1 - missed(n, r, k)[k]],
  mrr: (n, r, k) => {
    const none = missed(n, r, Math.min(k, n));
    let total = 0;
    for (let i = 1; i < none.length; i++) total += (none[i - 1] - none[i]) / i;
    return [1, total];
  },
  ndcg: (n, r, k) => [1, ((r / n) * discounts(k)) / discounts(Math.min(r, k))],
  max_rank: (n, r) => [r, (r * (n + 1)) / (r + 1)],
  scaled_max_rank: (n, r) => [0, n > r ? r / (r + 1) : NaN],
  complete: (n, r, k) => [r <= k ? 1 : 0, allWithin(n, r, k)],
  rank_distance: (n, r) => (r > 1 ? [r - 1, ((n + 1) * (r - 1)) / (r + 1)] : [NaN, NaN]),
};

/** The chosen measure: what it asks, which end is good, and between which values it lies. */
function aboutColumn({ task, column, languages }) {
  const known = languages === null ? ends(task, column) : null;
  const write = (x) =>
    column.decimals > 1 ? shown(x, x > 0 && x < 1 ? 4 : 0) : grouped.format(Math.round(x));
  return [
    make("strong", {}, `${column.label}, ${column.kind}`),
    ` (${kindAbout(column.kind)}). ${meaning(column.measure)} ${capital(direction(column))}`,
    known ? `; best possible ${write(known.best)}, random order ${write(known.chance)}` : "",
    languages === null
      ? "."
      : `; questions in ${languages.map((x) => languageName(task.languages[x])).join(", ")}.`,
  ];
}

drawWithout(NOT_OF_TABLES, (now) => {
  const { task, languages } = now;
  byId("task-name").replaceChildren(
    make("strong", {}, taskName(task)),
    task.about ? ` ${task.about.sentence}` : "",
  );
  const links = (task.about?.links ?? []).flatMap(([label, address]) => [" ", link(address, label)]);
  byId("lede").replaceChildren(
    `${plural(task.questions, "question")} in ${plural(task.languages.length, "language")}, ` +
      `${plural(sum(Object.values(task.passages)), "passage")}; ` +
      `${plural(task.rows.filter((row) => row.measured).length, "measured model")}.`,
    ...links,
  );
  byId("takeaway").textContent = languages === null ? takeaway(now) : "";
});

/** What the chosen column says, in a line made from its numbers. */
function takeaway({ task, column }) {
  const of = (row) => task.value(row, column.key);
  const known = task.rows.filter((row) => !row.elsewhere && !Number.isNaN(of(row)));
  // Not those that were trained on the task or measured by another formula.
  const measured = inOrder(
    known.filter((row) => row.comparable),
    of,
    column.better,
  );
  if (!measured.length || column.better === null) return "";
  const [first] = measured;
  const write = (row) => shown(of(row), column.decimals);
  const ranking = task.rankings[column.key];
  const tied = (ranking?.tied ?? [])
    .filter((tie) => tie.includes(first.index))
    .flat()
    .filter((x) => x !== first.index);
  const rivals = [...new Set(tied)].map((x) => plainName(task, task.rows[x]));
  const sure =
    measured.length < 2
      ? ""
      : ranking?.tested && !ranking.untested
        ? rivals.length
          ? `, not significantly better than ${rivals[0]}${rivals.length > 1 ? ` and ${plural(rivals.length - 1, "other")}` : ""}`
          : ", significantly better than every other"
        : "";
  const [other] = inOrder(
    known.filter((row) => !row.measured),
    of,
    column.better,
  );
  const sign = column.better === "lower" ? -1 : 1;
  const beside =
    other && sign * (of(other) - of(first)) > 0
      ? ` Best published, not measured here: ${write(other)} (${plainName(task, other)}).`
      : "";
  if (measured.length === 1)
    return (
      `One model was measured, ${plainName(task, first)}, with ${column.label} (${column.kind}) of ` +
      `${write(first)}.${beside}`
    );
  return (
    `Of ${plural(measured.length, "measured model")}, ${plainName(task, first)} is best by ` +
    `${column.label} (${column.kind}): ${write(first)}${sure}.${beside}`
  );
}

/** A link out of the page: followed only when a reader does. */
const link = (href, text) => make("a", { href, rel: "noopener noreferrer" }, text);

drawers.push(({ task }) => {
  const columns = new Map();
  for (const x of task.columns) if (!columns.has(x.measure)) columns.set(x.measure, x);
  const terms = [...columns.values()].map((x) => [
    x.label,
    `${meaning(x.measure)} ${capital(direction(x))}.`,
  ]);
  byId("notes").replaceChildren(
    make(
      "ul",
      { class: "prose" },
      make(
        "li",
        {},
        "Settings: ",
        KINDS.filter(([name]) => task.kinds.includes(name))
          .map(([name, , about]) => `${name}, ${about}`)
          .join("; "),
        ".",
      ),
      make(
        "li",
        {},
        "Means are per query language first, then over languages, each counting the same. A judged query without a result counts as 0. Equal scores are ordered as trec_eval orders them.",
      ),
      make(
        "li",
        {},
        `Intervals are ${LEVEL} and come from resampling questions, not queries: one question in several languages is one draw.`,
      ),
      make("li", {}, DATA.method),
      make(
        "li",
        {},
        "Published rows are the numbers printed in the papers named with them. They were not measured here, may have been made with other text options, and are neither ranked nor tested against measured rows.",
      ),
      make("li", {}, `Text of a passage: ${task.text}. Licence of the data: ${task.license}.`),
    ),
    make("details", {}, make("summary", {}, "What each measure asks"), definitions(terms)),
  );
  byId("made").textContent =
    `Made by polyglot-harness from ${plural(DATA.records, "record")}. This page holds all it shows and asks nothing of the network; its address after # holds the view.`;
});

const capital = (text) => text[0].toUpperCase() + text.slice(1);
