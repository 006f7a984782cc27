// The second real OAuth server of Tokenry's tests: `better-auth` with its OAuth provider plugin, in memory, on loopback.
//
//   PORT=0 REDIRECT_URIS='["http://127.0.0.1/cb"]' node server.mjs
//
// Prints one line, `ready <issuer>`, when it listens. Ends when its standard input closes, so a killed test run
// leaves nothing behind. Environment:
//   PORT            port on 127.0.0.1; 0 (the default) takes any free one
//   ACCESS_TTL_S    life of an access token in whole seconds (default 3)
//   REDIRECT_URIS   JSON list; they match with any port, as RFC 8252 section 7.3 asks
//   MODULES         folder whose node_modules holds the packages (default: this file's folder)
//
// Everything of OAuth is the package's. Ours are the two pages that it leaves to the integrator, as plain forms
// that call its own endpoints, and `/__test`.
import http from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const { resolve } = createRequire(path.join(process.env.MODULES ?? import.meta.dirname, 'package.json'));
const load = (name) => import(pathToFileURL(resolve(name)));
const [{ betterAuth }, { memoryAdapter }, { jwt }, { toNodeHandler }, { oauthProvider }] = await Promise.all([
  load('better-auth'),
  load('better-auth/adapters/memory'),
  load('better-auth/plugins'),
  load('better-auth/node'),
  load('@better-auth/oauth-provider'),
]);

const SCOPES = ['openid', 'profile', 'email', 'offline_access', 'api:read', 'api:write'];
const PEOPLE = ['alice', 'bob'];
const PASSWORD = 'the password of everybody here';
const TABLES = [
  'user', 'session', 'account', 'verification', 'jwks', 'rateLimit',
  'oauthClient', 'oauthRefreshToken', 'oauthAccessToken', 'oauthConsent',
  'oauthResource', 'oauthClientResource', 'oauthClientAssertion',
];
const db = Object.fromEntries(TABLES.map((table) => [table, []]));

function makeAuth(base) {
  return betterAuth({
    baseURL: base,
    basePath: '/api/auth',
    secret: 'signs-cookies-of-a-loopback-test-server',
    database: memoryAdapter(db),
    trustedOrigins: [base],
    emailAndPassword: { enabled: true },
    rateLimit: { enabled: false },
    telemetry: { enabled: false },
    logger: { level: 'warn' },
    disabledPaths: ['/token'],
    plugins: [
      jwt(),
      oauthProvider({
        loginPage: '/sign-in',
        consentPage: '/consent',
        scopes: SCOPES,
        accessTokenExpiresIn: Number(process.env.ACCESS_TTL_S ?? 3),
        codeExpiresIn: 60,
        silenceWarnings: { oauthAuthServerConfig: true, openidConfig: true },
      }),
    ],
  });
}

// ---- people and the client ---------------------------------------------------------------------------------

const address = (name) => `${name}@example.test`;

async function signUpEverybody(auth) {
  const cookies = [];
  for (const name of PEOPLE) {
    const body = { email: address(name), password: PASSWORD, name };
    const answer = await auth.api.signUpEmail({ body, asResponse: true });
    cookies.push(answer.headers.getSetCookie().map((cookie) => cookie.split(';')[0]).join('; '));
  }
  return cookies;
}

// A "native" client may use plain http on loopback with any port.
function createClient(auth, cookie) {
  const body = {
    client_name: 'the client under test',
    redirect_uris: JSON.parse(process.env.REDIRECT_URIS ?? '["http://127.0.0.1/callback"]'),
    token_endpoint_auth_method: 'client_secret_basic',
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    scope: SCOPES.join(' '),
    application_type: 'native',
  };
  return auth.api.adminCreateOAuthClient({ headers: new Headers({ cookie }), body });
}

// ---- pages -------------------------------------------------------------------------------------------------

const escaped = (text) => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

function page(title, query, fields) {
  return `<!doctype html><title>${title}</title><form method="post">
    <input type="hidden" name="oauth_query" value="${escaped(query)}">${fields}</form>`;
}

const PAGES = {
  '/sign-in': {
    fields: '<input name="login"><input name="password" type="password"><button>Sign in</button>',
    endpoint: '/api/auth/sign-in/email',
    wish: (form) => ({ email: address(form.get('login')), password: form.get('password') }),
  },
  '/consent': {
    fields: '<button name="decision" value="allow">Allow</button><button name="decision" value="deny">Deny</button>',
    endpoint: '/api/auth/oauth2/consent',
    wish: (form) => ({ accept: form.get('decision') === 'allow' }),
  },
};

async function textOf(request) {
  let text = '';
  for await (const chunk of request) text += chunk;
  return text;
}

// Does what a script on the page would do: tells the package's endpoint, and goes where it says.
async function answerForm(auth, base, { endpoint, wish }, request, response) {
  const form = new URLSearchParams(await textOf(request));
  const headers = { 'content-type': 'application/json', origin: base, cookie: request.headers.cookie ?? '' };
  const body = JSON.stringify({ ...wish(form), oauth_query: form.get('oauth_query') });
  const answer = await auth.handler(new Request(base + endpoint, { method: 'POST', headers, body }));
  const said = await answer.json();
  response.setHeader('set-cookie', answer.headers.getSetCookie());
  if (!answer.ok || !said.url) {
    response.writeHead(answer.ok ? 500 : answer.status, { 'content-type': 'application/json' });
    return response.end(JSON.stringify(said));
  }
  response.writeHead(303, { location: said.url });
  return response.end();
}

// ---- server ------------------------------------------------------------------------------------------------

// What the package's own database says.
function state(client) {
  const isLive = (row) => !row.revoked && new Date(row.expiresAt) > new Date();
  return {
    client_id: client.client_id,
    client_secret: client.client_secret,
    token_requests: tokenRequests,
    live_access_tokens: db.oauthAccessToken.filter(isLive).length,
    live_refresh_tokens: db.oauthRefreshToken.filter(isLive).length,
  };
}

// How often the token endpoint did what it was asked to, and how often it refused.
const tokenRequests = { ok: 0, failed: 0 };

const server = http.createServer();
server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', async () => {
  const base = `http://127.0.0.1:${server.address().port}`;
  const auth = makeAuth(base);
  const [cookie] = await signUpEverybody(auth);
  const client = await createClient(auth, cookie);
  const handler = toNodeHandler(auth);
  server.on('request', async (request, response) => {
    const url = new URL(request.url, base);
    const ours = PAGES[url.pathname];
    const json = (value) => {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(value));
    };
    try {
      if (url.pathname === '/__test') {
        json(state(client));
      } else if (ours && request.method === 'POST') {
        await answerForm(auth, base, ours, request, response);
      } else if (ours) {
        response.setHeader('content-type', 'text/html');
        response.end(page(url.pathname, url.search.slice(1), ours.fields));
      } else {
        await handler(request, response);
        if (url.pathname.endsWith('/oauth2/token')) tokenRequests[response.statusCode === 200 ? 'ok' : 'failed'] += 1;
      }
    } catch (error) {
      console.error(error);
      response.writeHead(500).end();
    }
  });
  console.log(`ready ${base}/api/auth`);
});

process.stdin.on('end', () => process.exit(0)).on('error', () => process.exit(0)).resume();
