// Comforts on top of pages that work without them: theme, shortcuts, counters, confirmations, announcements.
(() => {
  "use strict";
  const find = (selector, from = document) => from.querySelector(selector);
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const visible = (element) => element.getClientRects().length > 0;

  // Say something to people who listen to the page. Usage: hearthline.announce("Saved").
  const announce = (text) => {
    const place = find("#announcer");
    if (place) { place.textContent = ""; setTimeout(() => { place.textContent = text; }, 50); }
  };
  const toast = (text) => {
    const place = find("#toasts");
    if (!place) return;
    const note = document.createElement("div");
    note.className = "toast-note";
    note.textContent = text;
    place.append(note);
    setTimeout(() => note.remove(), 8000);
  };

  // Light and dark.
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-switch]")) return;
    const root = document.documentElement;
    root.dataset.bsTheme = root.dataset.bsTheme === "dark" ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.bsTheme); } catch { /* private window: this page only */ }
    announce(root.dataset.bsTheme === "dark" ? "Dark" : "Light");
  });

  // A question before a form is sent: <form data-confirm="Send it now?">.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    const question = event.submitter?.dataset.confirm || form.dataset.confirm;
    const dialog = find("#confirm-dialog");
    if (!question || !dialog || form.dataset.confirmed) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    find("#confirm-text", dialog).textContent = question;
    find("#confirm-yes", dialog).textContent =
      event.submitter?.dataset.confirmYes || form.dataset.confirmYes || "Yes";
    dialog.returnValue = "";
    dialog.addEventListener("close", () => {
      if (dialog.returnValue !== "yes") return;
      form.dataset.confirmed = "1";
      form.requestSubmit(event.submitter);
      delete form.dataset.confirmed;
    }, { once: true });
    dialog.showModal();
  }, true);

  // A form is sent once, however often the button is pressed; coming back to the page frees it again.
  document.addEventListener("submit", (event) => {
    if (event.defaultPrevented) return;
    if (event.target.dataset.sent) { event.preventDefault(); return; }
    if (event.target.method === "post" && !event.target.matches("[hx-post]")) event.target.dataset.sent = "1";
  });
  addEventListener("pageshow", () => all("form[data-sent]").forEach((form) => delete form.dataset.sent));

  // Shortcuts: data-key="n" or "g i" on a link, button or field. "?" lists them.
  const typing = (target) => target.closest("input:not([type=checkbox],[type=radio]), textarea, select, [contenteditable]");
  let before = "", since = 0;
  document.addEventListener("keydown", (event) => {
    if (document.body.dataset.shortcuts === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    if (typing(event.target)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (find("dialog[open]")) return;
    if (event.key === "?") { event.preventDefault(); listShortcuts(); return; }
    const chord = Date.now() - since < 1200 ? `${before} ${event.key}` : "";
    const target = keyed(chord) || keyed(event.key);
    before = event.key;
    since = Date.now();
    if (!target) return;
    event.preventDefault();
    before = "";
    if (target.matches("input, textarea, select")) target.focus(); else target.click();
  });
  const keyed = (key) => key && all("[data-key]").find((e) => e.dataset.key === key && visible(e));
  const listShortcuts = () => {
    const dialog = find("#shortcuts-dialog"), list = find("#shortcuts-list");
    if (!dialog) return;
    list.replaceChildren(...all("[data-key]").filter(visible).map((element) => {
      const row = document.createElement("div"), key = document.createElement("dt"), what = document.createElement("dd");
      for (const part of element.dataset.key.split(" ")) {
        const cap = document.createElement("kbd");
        cap.textContent = part;
        key.append(cap, " ");
      }
      const label = element.labels?.[0]?.innerText;
      what.textContent = element.dataset.keyLabel || element.getAttribute("aria-label") || label || element.innerText.trim();
      row.append(key, what);
      return row;
    }));
    dialog.showModal();
  };

  // How long a text gets: data-counter="sms" (segments, as GSM 03.38 counts) or "chars", said in data-counter-out.
  const GSM = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
  const GSM_TWO = "^{}\\[~]|€\f";
  const measure = (text) => {
    let units = 0;
    for (const sign of text) {
      if (GSM.includes(sign)) units += 1;
      else if (GSM_TWO.includes(sign)) units += 2;
      else return { units: text.length, one: 70, more: 67, odd: sign };
    }
    return { units, one: 160, more: 153, odd: "" };
  };
  const count = (area) => {
    const out = document.getElementById(area.dataset.counterOut);
    if (!out) return;
    if (area.dataset.counter === "chars") { out.textContent = `${area.value.length} ${area.dataset.counterWord || "characters"}`; return; }
    const { units, one, more, odd } = measure(area.value);
    const parts = units <= one ? (units ? 1 : 0) : Math.ceil(units / more);
    const left = parts <= 1 ? one - units : parts * more - units;
    out.textContent = `${units} characters, ${parts} ${parts === 1 ? "segment" : "segments"} (${left} left)` +
      (odd ? `. “${odd}” makes each segment shorter.` : "");
  };
  document.addEventListener("input", (event) => { if (event.target.dataset?.counter) count(event.target); });

  // The time zone of this browser, offered where nothing has been chosen yet.
  const guessZone = (field) => {
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    if (!field.value && (field.tagName !== "SELECT" || [...field.options].some((o) => o.value === zone))) field.value = zone;
  };

  const prepare = (root) => {
    all("[data-counter]", root).forEach(count);
    all("[data-guess-zone]", root).forEach(guessZone);
    all("[data-announce]", root).forEach((element) => announce(element.dataset.announce));
    find("[aria-invalid=true]", root)?.focus();
  };
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", () => prepare(document));
  else prepare(document);
  document.addEventListener("htmx:load", (event) => { if (event.detail.elt !== document.body) prepare(event.detail.elt); });
  document.addEventListener("htmx:responseError", (event) => toast(event.detail.xhr.responseText.slice(0, 200)));
  document.addEventListener("htmx:sendError", () => toast("We could not reach the service. It will try again."));

  window.hearthline = { announce, toast };
})();
