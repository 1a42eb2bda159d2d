// The time on the visitor's own clock, beside the circle's. Without scripts a list above offers the time zone.
(() => {
  "use strict";
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  document.querySelectorAll("[data-here]").forEach((part) => {
    if (!zone || part.textContent.includes(zone.replaceAll("_", " "))) return;
    const moment = new Date(part.dataset.here);
    const words = moment.toLocaleString(document.documentElement.lang, {
      weekday: "short", day: "numeric", month: "short", hour: "numeric", minute: "2-digit",
    });
    part.append(`, ${part.dataset.hereWords.replace("@", words)}`);
  });
})();
