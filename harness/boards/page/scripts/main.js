// Start: read the address, listen, draw; draw again when the width or the address changes.

setUpControls();
setUpDetails();
setUpTable();
setUpSave();
setUpScatter();
setUpHeat();
setUpVersus();
setUpQuestion();
readAddress();
draw();

for (const event of ["hashchange", "popstate"])
  window.addEventListener(event, () => {
    const before = JSON.stringify(chosen);
    readAddress();
    if (JSON.stringify(chosen) !== before) draw();
  });

let waiting = 0;
window.addEventListener("resize", () => {
  if (document.documentElement.clientWidth === drawnWidth) return;
  cancelAnimationFrame(waiting);
  waiting = requestAnimationFrame(draw);
});

// A print shows what a screen folds away.
const folded = () => document.querySelectorAll("#commands-all, #notes details");
window.addEventListener("beforeprint", () => {
  for (const x of folded()) {
    x.dataset.was = String(x.open);
    x.open = true;
  }
  drawCommands();
});
window.addEventListener("afterprint", () => {
  for (const x of folded()) x.open = x.dataset.was === "true";
});
