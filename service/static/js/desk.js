// The desk: a box that a key has opened is for writing in, and filters work at once.
(() => {
  "use strict";
  document.addEventListener("toggle", (event) => {
    if (event.target.matches?.(".desk-act[open]")) event.target.querySelector("textarea, input[type=radio]:checked")?.focus();
  }, true);
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-submit-on-change]")) event.target.form.requestSubmit();
  });
  document.addEventListener("keydown", (event) => {
    const box = event.key === "Escape" && event.target.closest?.(".desk-act[open]");
    if (box) { box.open = false; box.querySelector("summary").focus(); }
  });
})();
