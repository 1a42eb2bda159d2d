// Times in the reader's own zone, a thread that stays at its newest text, and Enter to send. All of it is a comfort:
// without this file the page shows UTC and still works.
(() => {
  const today = () => new Date().toDateString();

  function localTimes(root) {
    for (const time of root.querySelectorAll("time[datetime]")) {
      const when = new Date(time.dateTime);
      if (Number.isNaN(when.getTime())) continue;
      const clock = when.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
      const day = when.toLocaleDateString([], { day: "numeric", month: "short" });
      const recent = when.toDateString() === today();
      time.textContent = recent ? clock : "short" in time.dataset ? day : `${day} ${clock}`;
    }
  }

  const scroller = document.getElementById("scroller");
  const atEnd = () => scroller && scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 80;
  const toEnd = () => { if (scroller) scroller.scrollTop = scroller.scrollHeight; };
  let follow = true;

  localTimes(document);
  toEnd();
  const box = document.querySelector("[data-send-on-enter]");
  if (box && matchMedia("(min-width: 48rem)").matches) box.focus({ preventScroll: true });

  document.body.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.target.id === "thread") follow = atEnd() || event.detail.requestConfig.verb === "post";
  });
  // A quick answer leaves alone what is being written; what was sent from the box leaves the box.
  document.getElementById("compose")?.addEventListener("htmx:afterRequest", (event) => {
    const { successful, requestConfig } = event.detail;
    if (requestConfig.elt.id !== "compose") return;
    document.getElementById("send-error").hidden = successful;
    if (successful && !requestConfig.formData.has("quick")) { box.value = ""; document.getElementById("picture").value = ""; }
    box.focus({ preventScroll: true });
  });
  document.body.addEventListener("htmx:load", (event) => {
    const part = event.detail.elt;
    localTimes(part.parentElement || part);
    if (part.id === "thread") {
      if (follow) toEnd();
      announce(part);
    }
    if (part.id === "mails") announce(part);
  });

  // A screen reader hears that something came, not the whole thread again.
  const counts = {};
  for (const part of document.querySelectorAll("#thread, #mails")) counts[part.id] = Number(part.dataset.count);
  function announce(part) {
    const now = Number(part.dataset.count);
    if (part.id in counts && now > counts[part.id]) {
      const news = document.getElementById("news");
      news.textContent = "";
      setTimeout(() => { news.textContent = part.id === "thread" ? "A new text" : "A new mail"; }, 100);
    }
    counts[part.id] = now;
  }

  document.addEventListener("keydown", (event) => {
    if (event.target === box && event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      box.form.requestSubmit(box.form.querySelector(".btn"));
    }
  });
})();
