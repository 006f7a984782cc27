// Opens a connect link of Tokenry in a window and tells how it ended. Call it within a click:
//   Tokenry.connect(link).then(({ connection, service }) => …, (error) => error.reason)
// `link` is what POST /api/users/<username>/connect/links answered; it was made with the `origin` of this page.
(() => {
  "use strict";
  const WORDS = {
    declined: "the request was declined",
    failed: "the account could not be connected",
    expired: "the link has expired, or there is none",
    closed: "the window was closed",
    blocked: "the browser opened no window: call Tokenry.connect within a click",
    aborted: "it was given up",
  };

  function refusal({ status, service = null }) {
    const error = new Error(WORDS[status] ?? status);
    return Object.assign(error, { name: "TokenryError", reason: status, service });
  }

  function connect(link, { width = 520, height = 760, signal } = {}) {
    const target = new URL(link.url);
    const statusUrl = new URL(link.status_url);
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    const nonce = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    target.searchParams.set("popup", nonce);
    const left = Math.max(0, screenX + (outerWidth - width) / 2);
    const top = Math.max(0, screenY + (outerHeight - height) / 3);
    const popup = window.open(target, "_blank", `popup,width=${width},height=${height},left=${left},top=${top}`);
    const until = (Date.parse(link.expires_at) || Date.now() + 600000) + 600000;

    return new Promise((resolve, reject) => {
      if (!popup) return reject(refusal({ status: "blocked" }));
      let over = false, away = false, silent = 0, pause = 1000, timer;

      function end(news) {
        if (over) return;
        over = true;
        clearTimeout(timer);
        removeEventListener("message", hear);
        signal?.removeEventListener("abort", abort);
        popup.close();
        const { status, connection = null, service = null } = news;
        if (status === "connected") resolve({ status, connection, service });
        else reject(refusal(news));
      }

      function abort() {
        end({ status: "aborted" });
      }

      function hear(event) {
        if (event.origin !== target.origin || event.source !== popup) return;
        if (event.data?.tokenry !== nonce) return;
        if (event.data.status === "leaving") away = true;
        else end(event.data);
      }

      // A service may cut the tie between the windows: then no message comes, and ours looks closed. So the link is asked too.
      async function look() {
        const closed = popup.closed;
        let news;
        try {
          const answer = await fetch(statusUrl, { credentials: "omit", cache: "no-store" });
          if (answer.ok) news = await answer.json();
          else if (answer.status === 404) news = { status: "expired" };
        } catch {
          // Asked again below.
        }
        if (over) return;
        if (news && news.status !== "open") return end(news);
        silent = news ? 0 : silent + 1;
        if (closed && !away && (news || silent > 3)) return end({ status: "closed" });
        if (Date.now() > until) return end({ status: "expired" });
        pause = Math.min(pause * 1.25, 8000);
        timer = setTimeout(look, pause);
      }

      addEventListener("message", hear);
      signal?.addEventListener("abort", abort);
      if (signal?.aborted) return abort();
      timer = setTimeout(look, pause);
    });
  }

  window.Tokenry = Object.freeze({ connect });
})();
