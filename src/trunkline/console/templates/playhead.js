// The playhead: follows the tape through the rows, and a click on the picture seeks the tape.
(() => {
  "use strict";
  const tape = document.getElementById("tape");
  const picture = document.getElementById("timeline");
  const head = document.getElementById("playhead");
  if (!tape || !picture || !head) return;
  const { x0, pxS } = Object.fromEntries(
    Object.entries(picture.dataset).map(([name, value]) => [name, Number(value)]));
  const rows = [...picture.querySelectorAll("g[data-start]")].map((row) => ({
    start: Number(row.dataset.start), top: Number(row.dataset.top), bottom: Number(row.dataset.bottom) }));

  const show = () => {
    const row = rows.findLast((each) => each.start <= tape.currentTime) || rows[0];
    const x = x0 + (tape.currentTime - row.start) * pxS;
    head.setAttribute("x1", x);
    head.setAttribute("x2", x);
    head.setAttribute("y1", row.top);
    head.setAttribute("y2", row.bottom);
    head.setAttribute("visibility", "visible");
    if (!tape.paused) requestAnimationFrame(show);
  };
  tape.addEventListener("play", () => requestAnimationFrame(show));
  tape.addEventListener("seeked", show);

  picture.addEventListener("click", (event) => {
    const at = new DOMPoint(event.clientX, event.clientY)
      .matrixTransform(picture.getScreenCTM().inverse());
    const row = rows.find((each) => at.y >= each.top && at.y <= each.bottom);
    if (!row || at.x < x0) return;
    tape.currentTime = Math.min(tape.duration || 0, row.start + (at.x - x0) / pxS);
  });
})();
