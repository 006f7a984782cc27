// One trip: its servers, its visitors, and what went wrong on the way.
import fs from 'node:fs';
import path from 'node:path';

import { Visitor } from './visitor.mjs';
import { World } from './world.mjs';

/// Where pictures go: the workspace's `target/pages`.
const PICTURES = path.join(import.meta.dirname, '../../../../target/pages');

export class Trip {
  constructor(name, browser, scene) {
    this.name = name;
    this.browser = browser;
    this.scene = scene;
    this.at = 'the start';
    this.visitors = [];
    this.worlds = [];
    this.closers = [];
    this.pictures = path.join(PICTURES, name);
    this.looks = Boolean(process.env.TOKENRY_TEST_LOOK);
    this.steps = 0;
    this.notes = [];
    fs.rmSync(this.pictures, { recursive: true, force: true });
  }

  /// Says what is being done, so that a failure can be placed. With TOKENRY_TEST_LOOK a picture shows how it ended.
  async step(what, body) {
    this.at = what;
    const value = await body();
    if (this.looks) {
      this.steps += 1;
      await this.photograph(`${String(this.steps).padStart(2, '0')} ${what}`);
    }
    return value;
  }

  /// A server of this trip's own, with a sandbox beside it. See `World.start`.
  async world(options) {
    const world = await World.start(this.scene, options);
    this.worlds.push(world);
    return world;
  }

  /// A browser of its own, at this world: no cookie is shared with another. See `Visitor.open`.
  async visitor(world, options) {
    const visitor = await Visitor.open(this.browser, world, options);
    this.visitors.push(visitor);
    return visitor;
  }

  /// Something to be told with the verdict.
  note(what) {
    this.notes.push(what);
  }

  /// Something to be closed at the end.
  closing(close) {
    this.closers.push(close);
  }

  async photograph(name) {
    fs.mkdirSync(this.pictures, { recursive: true });
    const files = [];
    for (const [v, visitor] of this.visitors.entries()) {
      for (const [p, page] of visitor.context.pages().entries()) {
        const file = path.join(this.pictures, `${name.replaceAll(/[^\w .-]+/g, '_').slice(0, 80)} ${v}.${p}`);
        try {
          await page.screenshot({ path: `${file}.png`, fullPage: true, timeout: 5000 });
          fs.writeFileSync(`${file}.html`, `<!-- ${page.url()} -->\n${await page.content()}`);
          files.push(`${page.url().split('?')[0]}: ${file}.png`);
        } catch (error) {
          files.push(`${page.url().split('?')[0]}: no picture (${String(error).split('\n')[0]})`);
        }
      }
    }
    return files;
  }

  async picturesOfFailure() {
    return (await this.photograph('failed')).map((line) => `shown at the end: ${line}`);
  }

  /// Ends everything, and tells what nobody may see happen: refused by a policy, thrown in a page, asked of elsewhere.
  async end() {
    const problems = this.visitors.flatMap((visitor) => visitor.problems());
    for (const visitor of this.visitors) await visitor.context.close();
    for (const close of this.closers) await close();
    for (const world of this.worlds) problems.push(...await world.stop());
    return problems;
  }
}
