// One stop of the Tab key for many controls: arrow keys move among them.

/**
 * Make what `selector` finds in `container` one stop of the Tab key.
 *
 * `lines(elements)` gives them line by line; left and right move within a line, up and down between
 * lines, Home and End to the ends of a line. The last one that had the focus keeps the stop.
 */
function rove(container, selector, lines) {
  const elements = [...container.querySelectorAll(selector)];
  if (!elements.length) return;
  const grid = lines(elements);
  const place = new Map();
  grid.forEach((line, y) => line.forEach((element, x) => place.set(element, [y, x])));
  for (const element of elements) element.setAttribute("tabindex", "-1");
  grid[0][0].setAttribute("tabindex", "0");
  for (const element of elements) {
    element.addEventListener("focus", () => {
      for (const other of elements) other.setAttribute("tabindex", other === element ? "0" : "-1");
    });
    element.addEventListener("keydown", (event) => {
      const [y, x] = place.get(element);
      const last = grid[y].length - 1;
      const goal = {
        ArrowLeft: [y, x - 1],
        ArrowRight: [y, x + 1],
        ArrowUp: [y - 1, x],
        ArrowDown: [y + 1, x],
        Home: [y, 0],
        End: [y, last],
      }[event.key];
      if (!goal || event.ctrlKey || event.metaKey || event.altKey) return;
      const line = grid[goal[0]];
      const next = line?.[Math.min(goal[1], line.length - 1)];
      event.preventDefault();
      if (next && goal[1] >= 0) next.focus();
    });
  }
}

/** All in one line. */
const oneLine = (elements) => [elements];
