// Tells the page that opened this window how the connect is getting on. What it may hear, and nobody else, is in the page.
const told = document.getElementById("opener")?.dataset;
if (told && window.opener) {
  const tell = (news) => window.opener.postMessage({ tokenry: told.nonce, ...news }, told.origin);
  if (told.status) {
    const connection = told.connection ? Number(told.connection) : null;
    tell({ status: told.status, connection, service: told.service });
  } else {
    // From here on the window may look closed to the page that opened it, although it is not.
    const leaving = () => tell({ status: "leaving" });
    addEventListener("submit", leaving);
    addEventListener("click", (event) => event.target.closest('a[href]:not([href^="#"])') && leaving());
  }
}
