// The inbox: keeps what is typed, opens a conversation at its end, and fills in replies that are ready.
(() => {
  "use strict";
  const find = (selector, from = document) => from.querySelector(selector);
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];

  // A conversation opens at its newest words, unless a safety flag stands above them.
  const thread = find("#thread");
  const atEnd = () => thread.scrollHeight - thread.scrollTop - thread.clientHeight < 80;
  if (thread) {
    thread.scrollTop = thread.scrollHeight;
    if (thread.dataset.stay === undefined && getComputedStyle(thread).overflowY === "visible") {
      find(".composer")?.scrollIntoView({ block: "end" });
    }
  }

  // When the words renew themselves: what was open stays open, and the place is kept unless one was at the end.
  let open = [], end = false;
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.target.id !== "entries") return;
    open = all("details[open][id]", event.target).map((one) => one.id);
    end = atEnd();
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.target.id !== "entries" || !thread) return;
    open.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
    if (end) thread.scrollTop = thread.scrollHeight;
  });

  // What is typed and not sent is kept for this tab, and forgotten once it is sent or one signs out.
  const forms = all("form[data-draft]");
  const words = (form) => find("textarea", form);
  const store = (act) => { try { return act(sessionStorage); } catch { return null; } };
  forms.forEach((form) => {
    const kept = store((s) => s.getItem(form.dataset.draft));
    const area = words(form);
    if (kept && !area.value) {
      area.value = kept;
      area.dispatchEvent(new Event("input", { bubbles: true }));
      const box = form.closest("details");
      if (box) { box.dataset.restored = ""; box.open = true; }
    }
    if (area.value) store((s) => s.setItem(form.dataset.draft, area.value)); // refused by the server, so not sent
    area.addEventListener("input", () => store((s) => area.value ? s.setItem(form.dataset.draft, area.value) : s.removeItem(form.dataset.draft)));
    form.addEventListener("submit", () => store((s) => s.removeItem(form.dataset.draft)));
  });
  all("form[action$='/sign-out']").forEach((form) => form.addEventListener("submit", () => store((s) => s.clear())));

  // Others who have this conversation open are told while somebody types an answer.
  let told = 0;
  const reply = find("form[data-writing]");
  reply?.addEventListener("input", () => {
    if (Date.now() - told < 8000 || !words(reply).value.trim()) return;
    told = Date.now();
    const token = find("input[name=csrf_token]", reply).value;
    fetch(reply.dataset.writing, { method: "POST", headers: { "X-CSRFToken": token } }).catch(() => {});
  });

  // The counter counts segments for a text and characters for a mail.
  document.addEventListener("change", (event) => {
    const area = find(".reply-box textarea");
    if (event.target.name === "channel" && area) {
      area.dataset.counter = event.target.value === "sms" ? "sms" : "chars";
      area.dispatchEvent(new Event("input", { bubbles: true }));
    }
    if (event.target.matches("[data-fill]") && event.target.value) {
      const box = event.target.form.elements[event.target.dataset.fill];
      box.value = box.value.trim() ? `${box.value.trim()}\n${event.target.value}` : event.target.value;
      box.dispatchEvent(new Event("input", { bubbles: true }));
      event.target.value = "";
      box.focus();
    }
    if (event.target.matches("[data-submit-on-change]")) event.target.form.requestSubmit();
  });

  // A box that a key has opened is for writing in.
  document.addEventListener("toggle", (event) => {
    if (event.target.dataset?.restored !== undefined) { delete event.target.dataset.restored; return; } // nobody opened it
    if (event.target.matches(".note-box[open], .flag-clear[open]")) find("textarea", event.target)?.focus();
    if (event.target.matches(".tag-add[open]")) find("input:not([type=hidden])", event.target)?.focus();
  }, true);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") all("details.menu[open]").forEach((one) => { one.open = false; find("summary", one).focus(); });
  });
})();
