// Runs before the page is painted: light or dark as chosen, else as the system has it.
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const stored = () => {
    try { return localStorage.getItem("theme"); } catch { return null; }
  };
  const apply = () => { root.dataset.bsTheme = stored() || (system.matches ? "dark" : "light"); };
  apply();
  system.addEventListener("change", apply);
  root.classList.add("js");
})();
