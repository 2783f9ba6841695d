// What the charts share: Observable Plot, drawn with the page's own colours and type.

const INK = "var(--ink)";
const MUTED = "var(--muted)";
const RULE = "var(--rule)";
const COLOUR_A = "var(--a)";
const COLOUR_B = "var(--b)";

/** Draw with Plot into `figure`, as wide as it is; `describe` is what a screen reader says of it. */
function chart(figure, describe, options) {
  const svg = Plot.plot({
    // The style that Plot adds to a chart of this class is known to the page's security policy.
    className: "plot",
    width: Math.max(280, roomIn(figure)),
    ariaLabel: describe,
    ...options,
  });
  svg.setAttribute("role", "group");
  // Plot names its marks; a name needs a role.
  for (const mark of svg.querySelectorAll("g[aria-label]")) mark.setAttribute("role", "group");
  svg.setAttribute("font-size", "13");
  svg.removeAttribute("font-family");
  figure.replaceChildren(svg);
  return svg;
}

/** The shapes, in the order of the data they were drawn from, of the mark of class `name`. */
const shapes = (svg, name, tag) => [...svg.querySelectorAll(`.${name} ${tag}`)];

/** In a chart: the row's name, cut so that what tells it from rows of the same model is kept. */
function shortName(task, row, length = 26) {
  const twins = task.rows.filter((x) => x.model === row.model && x !== row).length > 0;
  const apart = twins ? plainName(task, row).slice(row.model.length) : "";
  const end = cut(apart, Math.max(8, length - 8));
  // Left-to-right isolation: a chart's labels are placed by their start.
  return `\u2068${cut(row.model, length - Array.from(end).length)}${end}\u2069`;
}

const colourOf = ({ a, b }, row) =>
  row === a ? COLOUR_A : row === b ? COLOUR_B : row.measured ? INK : MUTED;

/** Ends of an axis that leave room around `values`. */
function around(values, share = 0.06) {
  const known = values.filter((x) => !Number.isNaN(x));
  if (!known.length) return [0, 1];
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const room = (high - low || Math.abs(high) || 1) * share;
  return [low - room, high + room];
}

/** Where there is nothing to draw, say why. */
const nothing = (figure, why) => figure.replaceChildren(make("p", { class: "note" }, why));

const LANES = 5;

/**
 * Groups of rows as bars `from` one place `to` another, in lanes beside each other where they touch.
 *
 * `place` gives the place of a row's position; rows that are not shown have none, and a group with
 * less than two places is no bar. What needs more lanes than LANES is left to the ranks to say.
 */
function tieLanes(groups, place) {
  const bars = groups
    .map((group) => ({ group, places: group.filter((x) => place.has(x)).map((x) => place.get(x)) }))
    .filter(({ places }) => places.length > 1)
    .map(({ group, places }) => ({ group, from: Math.min(...places), to: Math.max(...places) }))
    .sort((x, y) => x.from - y.from);
  const ends = [];
  return bars.flatMap((bar) => {
    const free = ends.findIndex((end) => end < bar.from);
    const lane = free < 0 ? ends.length : free;
    if (lane >= LANES) return [];
    ends[lane] = bar.to;
    return [{ ...bar, lane }];
  });
}
