// One stop of the Tab key for many controls: arrow keys move among them.

const stopOf = new WeakMap(); // container -> the element that is its stop
const listOf = new WeakMap(); // element -> the list that it is in

/**
 * Make what `selector` finds in `container` one stop of the Tab key.
 *
 * `lines(elements)` gives them line by line; left and right move within a line, up and down between
 * lines, Home and End to the ends of a line. The last one that had the focus keeps the stop. Called
 * again for the same container when other elements are to be found in it.
 */
function rove(container, selector, lines) {
  const elements = [...container.querySelectorAll(selector)];
  const before = stopOf.get(container);
  before?.setAttribute("tabindex", "-1");
  if (!elements.length) return;
  const list = { container, elements, lines, grid: null };
  for (const element of elements) {
    listOf.set(element, list);
    if (element.getAttribute("tabindex") !== "-1") element.setAttribute("tabindex", "-1");
  }
  const stop = elements.includes(before) ? before : elements[0];
  stop.setAttribute("tabindex", "0");
  stopOf.set(container, stop);
}

// On the document: an SVG element that listens for the focus itself would be a stop of its own.
document.addEventListener("focusin", ({ target }) => {
  const list = listOf.get(target);
  const stop = list && stopOf.get(list.container);
  if (!list || target === stop) return;
  stop.setAttribute("tabindex", "-1");
  target.setAttribute("tabindex", "0");
  stopOf.set(list.container, target);
});

document.addEventListener("keydown", (event) => {
  const list = listOf.get(event.target);
  if (!list || event.ctrlKey || event.metaKey || event.altKey) return;
  // Made when first needed: most lists are never walked through.
  list.grid ??= list.lines(list.elements);
  const { grid } = list;
  const y = grid.findIndex((line) => line.includes(event.target));
  const x = grid[y].indexOf(event.target);
  const goal = {
    ArrowLeft: [y, x - 1],
    ArrowRight: [y, x + 1],
    ArrowUp: [y - 1, x],
    ArrowDown: [y + 1, x],
    Home: [y, 0],
    End: [y, grid[y].length - 1],
  }[event.key];
  if (!goal) return;
  const line = grid[goal[0]];
  event.preventDefault();
  if (line && goal[1] >= 0) line[Math.min(goal[1], line.length - 1)].focus();
});

/** All in one line. */
const oneLine = (elements) => [elements];
