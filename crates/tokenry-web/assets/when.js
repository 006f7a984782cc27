// Puts times into the reader's zone and words, each as the page arrives and before it is painted, so that nothing moves. Without
// this they stand there in UTC.
(() => {
  "use strict";
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

  function tell(time) {
    const at = new Date(time.dateTime);
    // What has not arrived whole, or was told before, does not end like that.
    if (!time.textContent.endsWith(" UTC") || Number.isNaN(at.getTime())) return;
    time.title = time.textContent;
    time.textContent = format.format(at);
  }

  const tellAll = () => document.querySelectorAll("time.when").forEach(tell);
  const arriving = new MutationObserver(tellAll);
  arriving.observe(document, { childList: true, subtree: true });
  addEventListener("DOMContentLoaded", () => {
    arriving.disconnect();
    tellAll();
  });
})();
