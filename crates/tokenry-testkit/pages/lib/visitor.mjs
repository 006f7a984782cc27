// A person at a browser of their own. Everything that no visitor may ever cause is noted: what a policy refused, what a
// page threw, what was asked of another machine, what was not there.
import assert from 'node:assert/strict';

import { isLocal } from './browser.mjs';
import { PATIENCE_MS } from './until.mjs';

export const WIDTHS = { phone: [360, 780], tablet: [768, 1024], desktop: [1440, 900] };

// Runs in every page before its own scripts.
function watch() {
  globalThis.__tokenry = { shift: 0, shifts: [] };
  const seen = globalThis.__tokenry;
  document.addEventListener('securitypolicyviolation', (event) => {
    globalThis.__tokenryRefused?.(`${event.effectiveDirective} refused ${event.blockedURI} at ${event.documentURI.split('?')[0]} ${event.sample}`);
  });
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      if (entry.hadRecentInput) continue;
      seen.shift += entry.value;
      seen.shifts.push(entry.sources.map(({ node }) => node?.outerHTML?.slice(0, 120) ?? node?.nodeName).join(' | '));
    }
  }).observe({ type: 'layout-shift', buffered: true });
}

export class Visitor {
  /// Opens a browser that shares nothing with another. `script: false` turns scripts off.
  static async open(browser, world, { width = 'desktop', dark = false, script = true, context: more = {} } = {}) {
    const visitor = new Visitor();
    const [w, h] = WIDTHS[width];
    visitor.world = world;
    visitor.troubles = [];
    visitor.excused = [];
    visitor.context = await browser.newContext({
      baseURL: world?.base,
      viewport: { width: w, height: h },
      colorScheme: dark ? 'dark' : 'light',
      reducedMotion: 'reduce',
      javaScriptEnabled: script,
      locale: 'en-GB',
      timezoneId: 'Europe/Vienna',
      ...more,
    });
    visitor.context.setDefaultTimeout(PATIENCE_MS);
    visitor.at = '';
    visitor.note = (what) => visitor.troubles.push(visitor.at ? `${visitor.at}: ${what}` : what);
    if (script) {
      await visitor.context.exposeFunction('__tokenryRefused', visitor.note);
      await visitor.context.addInitScript(watch);
    }
    visitor.context.on('request', (request) => {
      if (!isLocal(request.url())) visitor.note(`asked of another machine: ${request.url()}`);
    });
    visitor.context.on('response', (response) => {
      const request = response.request();
      if (response.status() >= 400 && request.resourceType() !== 'document') {
        visitor.note(`${response.status()} for ${request.resourceType()} ${response.url()}`);
      }
      if (response.status() >= 500) visitor.note(`${response.status()} at ${response.url().split('?')[0]}`);
    });
    visitor.context.on('console', (message) => {
      const text = message.text();
      // What came of a request was looked at above.
      if (['error', 'warning'].includes(message.type()) && !text.startsWith('Failed to load resource')) {
        visitor.note(`console: ${text}`);
      }
    });
    visitor.context.on('weberror', (error) => visitor.note(`thrown in a page: ${error.error().stack}`));
    visitor.context.on('dialog', (dialog) => {
      visitor.note(`a dialog: ${dialog.message()}`);
      dialog.dismiss().catch(() => {});
    });
    visitor.page = await visitor.context.newPage();
    return visitor;
  }

  /// A trouble that this trip is about is none.
  excuse(pattern) {
    this.excused.push(pattern);
  }

  problems() {
    return this.troubles.filter((trouble) => !this.excused.some((pattern) => pattern.test(trouble)));
  }

  /// Goes to an address, and expects this status.
  async go(path, status = 200) {
    const answer = await this.page.goto(path);
    assert.equal(answer.status(), status, `${path} answered ${answer.status()}`);
    return answer;
  }

  /// The heading of the page is this.
  async heading(name) {
    await this.page.getByRole('heading', { level: 1, name }).waitFor();
  }

  /// Something of this role and name is to be seen.
  async sees(role, name) {
    await this.page.getByRole(role, { name }).first().waitFor();
  }

  /// This text is to be seen.
  async reads(text) {
    await this.page.getByText(text).first().waitFor();
  }

  button(name) {
    return this.page.getByRole('button', { name });
  }

  link(name) {
    return this.page.getByRole('link', { name });
  }

  /// The path that is shown, without its query.
  path() {
    return new URL(this.page.url()).pathname;
  }

  /// Waits until a page of this path is shown.
  async arrives(path) {
    const fits = (url) => (path instanceof RegExp ? path.test(url.pathname) : url.pathname === path);
    await this.page.waitForURL((url) => fits(new URL(url)) && url.href.startsWith(this.world.base));
  }
}
