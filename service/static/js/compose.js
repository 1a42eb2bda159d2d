// Composing a campaign: merge fields go in at the cursor, and another kind takes effect at once.
(() => {
  "use strict";
  const form = document.querySelector("#compose");
  if (!form) return;
  let last = null;
  form.addEventListener("focusin", (event) => {
    if (event.target.matches("[data-words], [name$=_subject]")) last = event.target;
  });
  const target = () => last || form.querySelector("details[open] [data-words]");
  form.addEventListener("click", (event) => {
    const button = event.target.closest("[data-insert]");
    const field = button && target();
    if (!field) return;
    field.closest("details").open = true;
    field.focus();
    field.setRangeText(button.dataset.insert, field.selectionStart, field.selectionEnd, "end");
    field.dispatchEvent(new Event("input", { bubbles: true }));
    window.hearthline?.announce(`${button.dataset.insert} inserted`);
  });
  // With a keyboard the arrows choose one radio after another: the button stays, and only a click or Enter is taken up.
  form.addEventListener("change", (event) => {
    if (event.target.matches("[data-kind]")) form.classList.add("kind-changed");
  });
  form.addEventListener("click", (event) => {
    if (!event.target.closest(".kinds label, [data-kind]") || event.detail === 0) return;
    setTimeout(() => {
      if (form.classList.contains("kind-changed")) form.requestSubmit(form.querySelector("#use-kind"));
    });
  });
})();
