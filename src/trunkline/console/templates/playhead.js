// The playhead: follows the tape through the rows, and a click on the picture seeks the tape.
(() => {
  "use strict";
  const tape = document.getElementById("tape");
  const picture = document.getElementById("timeline");
  const head = document.getElementById("playhead");
  if (!tape || !picture || !head) return;
  const { x0, pxS, rowS } = Object.fromEntries(
    Object.entries(picture.dataset).map(([name, value]) => [name, Number(value)]));
  const rows = [...picture.querySelectorAll("g[data-start]")].map((row) => ({
    top: Number(row.dataset.top), bottom: Number(row.dataset.bottom) }));

  const show = () => {
    const number = Math.min(rows.length - 1, Math.floor(tape.currentTime / rowS));
    const x = x0 + (tape.currentTime - number * rowS) * pxS;
    head.setAttribute("x1", x);
    head.setAttribute("x2", x);
    head.setAttribute("y1", rows[number].top);
    head.setAttribute("y2", rows[number].bottom);
    head.setAttribute("visibility", "visible");
    if (!tape.paused) requestAnimationFrame(show);
  };
  tape.addEventListener("play", () => requestAnimationFrame(show));
  tape.addEventListener("seeked", show);

  picture.addEventListener("click", (event) => {
    const at = new DOMPoint(event.clientX, event.clientY)
      .matrixTransform(picture.getScreenCTM().inverse());
    const number = rows.findIndex((row) => at.y >= row.top && at.y <= row.bottom);
    if (number < 0 || at.x < x0) return;
    tape.currentTime = Math.min(tape.duration || 0, number * rowS + (at.x - x0) / pxS);
  });
})();
