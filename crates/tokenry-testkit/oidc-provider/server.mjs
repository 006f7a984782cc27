// The real OAuth 2.0 / OpenID Connect server of Tokenry's tests: the `oidc-provider` package, in memory, on loopback.
//
//   PORT=0 CLIENTS='[{"id":"app","secret":"...","auth_method":"client_secret_basic","redirect_uris":["http://127.0.0.1/cb"]}]' node server.mjs
//
// Prints one line, `ready <issuer>`, when it listens. Ends when its standard input closes, so a killed test run
// leaves nothing behind. Environment:
//   PORT            port on 127.0.0.1; 0 (the default) takes any free one
//   ACCESS_TTL_S    life of an access token in whole seconds (default 3)
//   CLIENTS         JSON list of clients; `redirect_uris` match with any port, as RFC 8252 section 7.3 asks. One with
//                   `auth_method` "private_key_jwt" has `jwks` and `signing_alg` in place of `secret`
//   REQUIRE_PAR     1: only pushed authorization requests are taken (RFC 9126)
//   MODULES         folder whose node_modules holds the package (default: this file's folder)
import { generateKeyPair } from 'node:crypto';
import http from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

// The package is written for Node 22; this is the one thing it needs that Node 20 has not.
URL.parse ??= (url, base) => (URL.canParse(url, base) ? new URL(url, base) : null);

const modules = process.env.MODULES ?? import.meta.dirname;
const entry = createRequire(path.join(modules, 'package.json')).resolve('oidc-provider');
const { Provider } = await import(pathToFileURL(entry));

const settings = { access_ttl_s: Number(process.env.ACCESS_TTL_S ?? 3), device_ttl_s: 300, faults: [] };

// ---- store -------------------------------------------------------------------------------------------------

// The adapter in the package forgets the oldest of 1000 entries, which under load looks like a revoked token.
const rows = new Map();
const idsByUid = new Map();
const idsByUserCode = new Map();

class Memory {
  constructor(model) {
    this.model = model;
  }

  key(id) {
    return `${this.model}:${id}`;
  }

  // The provider looks at the times in the payload itself, so expired rows may stay.
  async upsert(id, payload) {
    rows.set(this.key(id), payload);
    if (payload.uid) idsByUid.set(payload.uid, id);
    if (payload.userCode) idsByUserCode.set(payload.userCode, id);
  }

  async find(id) {
    return rows.get(this.key(id));
  }

  async findByUid(uid) {
    return this.find(idsByUid.get(uid));
  }

  async findByUserCode(userCode) {
    return this.find(idsByUserCode.get(userCode));
  }

  async consume(id) {
    const payload = rows.get(this.key(id));
    if (payload) payload.consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    rows.delete(this.key(id));
  }

  async revokeByGrantId(grantId) {
    for (const [key, payload] of rows) if (payload.grantId === grantId) rows.delete(key);
  }
}

// What a person does on the provider's "connected apps" page: the grant, all it gave out, and the session go.
function revokeAccount(account) {
  for (const [key, payload] of rows) if (payload.accountId === account) rows.delete(key);
}

// ---- counts ------------------------------------------------------------------------------------------------

const ENDPOINTS = {
  '/auth': 'authorize',
  '/token': 'token',
  '/me': 'userinfo',
  '/token/introspection': 'introspection',
  '/token/revocation': 'revocation',
  '/device/auth': 'device_authorization',
  '/request': 'pushed_authorization',
  '/jwks': 'jwks',
  '/.well-known/openid-configuration': 'discovery',
};
const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';
const GRANTS = {
  authorization_code: 'authorization_code',
  refresh_token: 'refresh_token',
  client_credentials: 'client_credentials',
  [DEVICE_GRANT]: 'device_code',
};
const zeros = (names, zero) => Object.fromEntries(names.map((name) => [name, zero()]));
const counts = {
  requests: zeros(Object.values(ENDPOINTS), () => 0),
  grants: zeros([...Object.values(GRANTS), 'other'], () => ({ ok: 0, failed: 0 })),
  issued: { access_tokens: 0, refresh_tokens: 0 },
  faults: 0,
};

// Every request, also one that a fault answers.
async function countRequests(ctx, next) {
  const endpoint = ENDPOINTS[ctx.path];
  if (endpoint) counts.requests[endpoint] += 1;
  return next();
}

// What the server itself made of a token request, whatever a fault did to the answer afterwards.
async function countGrants(ctx, next) {
  await next();
  if (ctx.path === '/token') {
    const grant = GRANTS[ctx.oidc?.body?.grant_type] ?? 'other';
    counts.grants[grant][ctx.status === 200 ? 'ok' : 'failed'] += 1;
  }
}

// ---- faults ------------------------------------------------------------------------------------------------

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// With `after` the server does its work first (it rotates the refresh token, say) and only the answer is lost or replaced.
async function faults(ctx, next) {
  const fault = settings.faults.find((f) => f.path === ctx.path && f.times > 0);
  if (!fault) return next();
  fault.times -= 1;
  counts.faults += 1;
  if (fault.after) await next();
  if (fault.delay_ms) await sleep(fault.delay_ms);
  if (fault.drop) {
    ctx.respond = false;
    ctx.req.socket.destroy();
  } else if (fault.status) {
    ctx.set('content-type', 'text/plain');
    ctx.set(fault.headers ?? {});
    ctx.status = fault.status;
    ctx.body = fault.body ?? 'a fault made for a test';
  } else if (!fault.after) {
    await next();
  }
}

// ---- control -----------------------------------------------------------------------------------------------

async function control(ctx, next) {
  if (ctx.path !== '/__test') return next();
  if (ctx.method === 'POST') {
    let text = '';
    for await (const chunk of ctx.req) text += chunk;
    const wish = JSON.parse(text);
    if (wish.access_ttl_s) settings.access_ttl_s = wish.access_ttl_s;
    if (wish.device_ttl_s) settings.device_ttl_s = wish.device_ttl_s;
    if (wish.faults) settings.faults.push(...wish.faults);
    if (wish.clear_faults) settings.faults = [];
    if (wish.revoke_account) revokeAccount(wish.revoke_account);
  }
  ctx.body = counts;
}

// ---- provider ----------------------------------------------------------------------------------------------

const SCOPES = ['openid', 'offline_access', 'profile', 'email', 'api:read', 'api:write'];

// A "native" client may use plain http on loopback with any port, and is asked for consent every time.
function client({ id, secret, auth_method, jwks, signing_alg, redirect_uris }) {
  const isPublic = auth_method === 'none';
  return {
    client_id: id,
    ...(secret ? { client_secret: secret } : {}),
    ...(jwks ? { jwks, token_endpoint_auth_signing_alg: signing_alg } : {}),
    token_endpoint_auth_method: auth_method,
    redirect_uris,
    application_type: 'native',
    response_types: ['code'],
    grant_types: ['authorization_code', 'refresh_token', DEVICE_GRANT, ...(isPublic ? [] : ['client_credentials'])],
    scope: SCOPES.join(' '),
  };
}

// Keys of its own for each server: a token signed by one must not pass as another's.
async function signingKeys() {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 });
  return { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256' }] };
}

async function makeProvider(issuer) {
  const accessTtl = () => settings.access_ttl_s;
  const provider = new Provider(issuer, {
    adapter: Memory,
    clients: JSON.parse(process.env.CLIENTS ?? '[]').map(client),
    jwks: await signingKeys(),
    cookies: { keys: ['signs-cookies-of-a-loopback-test-server'] },
    scopes: SCOPES,
    claims: { openid: ['sub'], profile: ['name', 'preferred_username'], email: ['email', 'email_verified'] },
    clockTolerance: 0, // the default lets a token live 15 s longer than it says
    features: {
      devInteractions: { enabled: true },
      deviceFlow: { enabled: true },
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
      pushedAuthorizationRequests: {
        enabled: true,
        requirePushedAuthorizationRequests: process.env.REQUIRE_PAR === '1',
      },
      revocation: { enabled: true },
      userinfo: { enabled: true },
      resourceIndicators: { enabled: false },
    },
    pkce: { required: () => true },
    rotateRefreshToken: () => true, // the default rotates a confidential client's token only late in its life
    issueRefreshToken: async (_ctx, forClient) => forClient.grantTypeAllowed('refresh_token'),
    expiresWithSession: async () => false,
    ttl: {
      AccessToken: accessTtl,
      ClientCredentials: accessTtl,
      AuthorizationCode: 60,
      DeviceCode: () => settings.device_ttl_s,
      IdToken: 600,
      Interaction: 3600,
      RefreshToken: 24 * 3600,
      Session: 24 * 3600,
      Grant: 30 * 24 * 3600,
    },
    async findAccount(_ctx, sub) {
      const email = `${sub}@example.test`;
      return { accountId: sub, claims: async () => ({ sub, name: sub, preferred_username: sub, email, email_verified: true }) };
    },
  });
  provider.use(control);
  provider.use(countRequests);
  provider.use(faults);
  provider.use(countGrants);
  const countAccess = () => { counts.issued.access_tokens += 1; };
  provider.on('access_token.saved', countAccess);
  provider.on('client_credentials.saved', countAccess);
  provider.on('refresh_token.saved', () => { counts.issued.refresh_tokens += 1; });
  provider.on('server_error', (_ctx, error) => console.error('server_error', error));
  return provider;
}

const server = http.createServer();
server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', async () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  server.on('request', (await makeProvider(issuer)).callback());
  console.log(`ready ${issuer}`);
});

process.stdin.on('end', () => process.exit(0)).on('error', () => process.exit(0)).resume();
