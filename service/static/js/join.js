// The words to agree to differ by country: show those of the country that is chosen. Without scripts the server asks again.
(() => {
  "use strict";
  const country = document.querySelector("select[name=country]");
  const texts = [...document.querySelectorAll("[data-wording]")].filter((part) => part.dataset.wording);
  const show = () => {
    const chosen = texts.some((part) => part.dataset.wording === country.value) ? country.value : null;
    if (!chosen) return;
    texts.forEach((part) => {
      part.hidden = part.dataset.wording !== chosen;
      part.querySelector("input").disabled = part.hidden;
    });
  };
  country?.addEventListener("change", show);
})();
