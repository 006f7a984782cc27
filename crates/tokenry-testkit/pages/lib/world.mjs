// The real binary as a server and as the sandbox provider, each a process of its own in a folder of its own.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';

import { Api } from './api.mjs';

const READY_MS = 60_000;
const CLIENT = { id: 'tokenry-pages', secret: 's3cret: %+/&=~ and more' };
export const PASSWORD = 'correct horse battery';

let nextPort = 32_000 + ((process.pid * 7) % 700);

// Below the range that outgoing connections are given, so that it stays free until the server takes it.
async function freePort() {
  for (;;) {
    nextPort = nextPort >= 32_760 ? 32_000 : nextPort + 1;
    const port = nextPort;
    const free = await new Promise((done) => {
      const probe = net.createServer();
      probe.once('error', () => done(false));
      probe.listen(port, '127.0.0.1', () => probe.close(() => done(true)));
    });
    if (free) return port;
  }
}

/// A process of the binary whose output is kept.
class Process {
  constructor(binary, args, env, cwd) {
    this.said = '';
    this.waiting = [];
    this.child = spawn(binary, args, { env: { PATH: process.env.PATH, ...env }, cwd, stdio: ['pipe', 'pipe', 'pipe'] });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        this.said += text;
        this.tell();
      });
    }
    this.ended = new Promise((done) => this.child.on('close', (status, signal) => {
      this.over = true;
      this.tell();
      done({ status, signal });
    }));
  }

  tell() {
    for (const look of this.waiting) look();
  }

  /// The first match in its output, now or to come.
  match(pattern) {
    return new Promise((yes, no) => {
      const timer = setTimeout(() => no(new Error(`it never said ${pattern}: ${this.said}`)), READY_MS);
      const look = () => {
        const found = this.said.match(pattern);
        if (!found && !this.over) return;
        clearTimeout(timer);
        this.waiting = this.waiting.filter((other) => other !== look);
        if (found) yes(found);
        else no(new Error(`it ended and never said ${pattern}: ${this.said}`));
      };
      this.waiting.push(look);
      look();
    });
  }

  async stop() {
    this.child.kill('SIGTERM');
    return this.ended;
  }
}

export class World {
  /// Starts a server. `services` are those that have their client (of `sandbox` and `oidc`); the others are known to the
  /// server by their issuer and wait for an operator. `env` comes on top. `access_ttl_s` is how long the sandbox's access
  /// tokens live. With `device` there is a service `tv`, which can be allowed on another device.
  static async start(scene, { services = ['sandbox', 'oidc'], env = {}, access_ttl_s: ttl = 3600, device = false } = {}) {
    const world = new World();
    world.scene = scene;
    world.home = fs.mkdtempSync(path.join(scene.scratch, 'world-'));
    world.oidc = scene.oidc;
    const args = ['sandbox', '--port', '0', '--access-ttl', String(ttl), '--client-id', CLIENT.id];
    args.push('--client-secret', CLIENT.secret, '--redirect-uri', 'http://127.0.0.1/callback/sandbox');
    world.sandboxProcess = new Process(scene.tokenry, args, {}, world.home);
    const [, sandbox] = await world.sandboxProcess.match(/runs at (http:\/\/[^\s/]+)/);
    world.sandbox = sandbox;
    world.client = CLIENT;
    const port = await freePort();
    world.base = `http://127.0.0.1:${port}`;
    world.env = {
      TOKENRY_LISTEN: `127.0.0.1:${port}`,
      TOKENRY_PUBLIC_URL: world.base,
      TOKENRY_LOG__LEVEL: 'warn,tokenry=info',
      TOKENRY_OUTBOUND__ALLOW_PRIVATE: 'true',
      TOKENRY_PROVIDERS__SANDBOX__ISSUER: sandbox,
      TOKENRY_PROVIDERS__SANDBOX__NAME: 'Sandbox',
      TOKENRY_PROVIDERS__OIDC__ISSUER: scene.oidc.issuer,
      TOKENRY_PROVIDERS__OIDC__NAME: 'Oidc',
      // Who is counted among the failures is who the trip made fail.
      TOKENRY_REFRESH_AHEAD: 'false',
    };
    const clients = { sandbox: CLIENT, oidc: { id: scene.oidc.client_id, secret: scene.oidc.client_secret } };
    for (const service of services) {
      const name = `TOKENRY_PROVIDERS__${service.toUpperCase()}__CLIENT`;
      Object.assign(world.env, { [`${name}_ID`]: clients[service].id, [`${name}_SECRET`]: clients[service].secret });
    }
    if (device) world.addDeviceService();
    Object.assign(world.env, env);
    world.server = new Process(scene.tokenry, ['serve'], world.env, world.home);
    await world.server.match(/listens on http/);
    return world;
  }

  addDeviceService() {
    const folder = path.join(this.home, 'data', 'providers');
    fs.mkdirSync(folder, { recursive: true });
    const at = (name) => JSON.stringify(`${this.sandbox}/${name}`);
    fs.writeFileSync(path.join(folder, 'tv.toml'), `
id = "tv"
name = "Television"
[authorize]
url = ${at('authorize')}
[token]
url = ${at('token')}
[identity]
url = ${at('userinfo')}
account_id = ["sub"]
[device]
url = ${at('device_authorization')}
`);
    Object.assign(this.env, {
      TOKENRY_PROVIDERS__TV__CLIENT_ID: this.client.id,
      TOKENRY_PROVIDERS__TV__CLIENT_SECRET: this.client.secret,
    });
  }

  /// Has the server read its files again.
  async reload() {
    this.server.child.kill('SIGHUP');
    await this.server.match(/the services were read again/);
  }

  /// The address with which one becomes its operator, if it printed one.
  get setupLink() {
    return this.server.said.match(/http:\/\/\S+\/setup\/[\w-]+/)?.[0];
  }

  /// A caller of its API.
  api() {
    return new Api(this.base);
  }

  /// Runs a command of the binary in the server's folder, and gives what it printed.
  async run(args, input = '') {
    const process = new Process(this.scene.tokenry, args, this.env, this.home);
    // A command may end before it has read what it does not ask for.
    process.child.stdin.on('error', () => {});
    process.child.stdin.end(input);
    const { status } = await process.ended;
    if (status !== 0) throw new Error(`tokenry ${args.join(' ')} ended with ${status}: ${process.said}`);
    return process.said;
  }

  /// Tells the sandbox how to behave; see its README.
  async control(wish) {
    const answer = await post(`${this.sandbox}/control`, wish);
    if (answer.status !== 200) throw new Error(`the sandbox answered ${answer.status}`);
    return answer.json();
  }

  /// Whether a service still takes this token.
  async accepts(service, token) {
    const url = service === 'sandbox' ? `${this.sandbox}/userinfo` : `${this.oidc.issuer}/me`;
    const { status } = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
    if (![200, 401].includes(status)) throw new Error(`${service} answered ${status}`);
    return status === 200;
  }

  /// The person ends, at the provider, what they allowed.
  async revoke(service, account) {
    if (service === 'sandbox') await this.control({ forget: account });
    else await post(`${this.oidc.issuer}/__test`, { revoke_account: account });
  }

  /// Ends both; what is wrong with how they ended.
  async stop() {
    const { status, signal } = await this.server.stop();
    await this.sandboxProcess.stop();
    const problems = [];
    if (status !== 0) problems.push(`the server ended with ${status ?? signal}: ${this.server.said}`);
    if (/ (ERROR|WARN) |panicked/.test(this.server.said)) {
      problems.push(...this.server.said.split('\n').filter((line) => / ERROR |panicked/.test(line)).map((line) => `logged: ${line}`));
    }
    fs.rmSync(this.home, { recursive: true, force: true });
    return problems;
  }
}

function post(url, body) {
  return fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
}
