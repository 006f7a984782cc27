// The browser, kept on this machine, and the packages that drive it.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const modules = process.env.MODULES ?? path.join(import.meta.dirname, '..');
const require = createRequire(path.join(modules, 'package.json'));

export const { chromium } = require('playwright-core');
export const axeSource = require('axe-core').source;

function find() {
  const named = process.env.TOKENRY_TEST_CHROMIUM;
  if (named) return named;
  for (const folder of (process.env.PATH ?? '').split(path.delimiter)) {
    for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
      const file = path.join(folder, name);
      if (fs.existsSync(file)) return file;
    }
  }
  throw new Error('no Chromium. On Debian: apt-get install chromium, or run crates/tokenry-testkit/scripts/install-needs.sh');
}

/// Whether an address is on this machine.
export function isLocal(url) {
  const { protocol, hostname } = new URL(url);
  return ['data:', 'blob:', 'about:'].includes(protocol) || ['127.0.0.1', 'localhost', '[::1]'].includes(hostname);
}

export function launch() {
  return chromium.launch({
    executablePath: find(),
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      // What is not here has no address, and no proxy leads out.
      '--no-proxy-server',
      '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost',
    ],
  });
}
