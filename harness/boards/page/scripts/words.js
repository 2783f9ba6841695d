// What each measure asks, in a sentence.

const WORDS = {
  map: "Mean average precision over the whole ranking: precision at the rank of each relevant passage, averaged.",
  recall: "Share of the relevant passages among the first k.",
  precision: "Share of the first k passages that are relevant.",
  success: "Share of queries with a relevant passage among the first k.",
  mrr: "Reciprocal rank of the first relevant passage, 0 beyond the first k.",
  ndcg: "Discounted cumulative gain over the best that is possible, with trec_eval's log2 discount.",
  rank_distance:
    "Last minus first rank of the passages that answer one question in different languages, in one pool. A model that ranks everything equally badly does well by it: read it with mAP.",
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
    "How alike the rankings of one question are when it is asked in different languages.",
  language_ndcg_spread: "Spread of nDCG over the languages of the relevant passages.",
  peer: "Probability of ranks at least this unequal between languages if the model had no preference.",
};

drawers.push(({ task }) => {
  const columns = new Map();
  for (const x of task.columns) if (!columns.has(x.measure)) columns.set(x.measure, x);
  const terms = [...columns.values()].map((x) => [
    x.label,
    `${Object.hasOwn(WORDS, x.measure.split("@")[0]) ? WORDS[x.measure.split("@")[0]] : "A measure of an installed package."} ${capital(direction(x))}.`,
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
        `Intervals are ${LEVEL} and come from resampling questions, not queries: one question asked in several languages is one draw.`,
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
