// Another site, on this machine: its name is `localhost`, so browsers hold it to be a site apart from 127.0.0.1.
import http from 'node:http';

/// Serves `pages` (HTML by path), and notes where it was asked. Gives its origin, `visits`, and what closes it.
export async function serveSite(pages) {
  const visits = [];
  const server = http.createServer((request, response) => {
    const url = new URL(request.url, 'http://localhost');
    visits.push(`${request.method} ${url.pathname}${url.search}`);
    const page = typeof pages === 'function' ? pages(url) : pages[url.pathname];
    if (page === undefined) {
      response.writeHead(url.pathname === '/favicon.ico' ? 204 : 404).end();
      return;
    }
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(page);
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return {
    origin: `http://localhost:${server.address().port}`,
    visits,
    close: () => new Promise((done) => {
      server.closeAllConnections();
      server.close(done);
    }),
  };
}
