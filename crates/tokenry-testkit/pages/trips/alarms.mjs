import assert from 'node:assert/strict';

import { violations } from '../lib/axe.mjs';
import { tabTo } from '../lib/keyboard.mjs';
import { layoutProblems } from '../lib/layout.mjs';
import { serveSite } from '../lib/site.mjs';

export const says = 'what no page may do is noticed: each alarm of these trips goes off when it is given a reason';
export const weight = 10;

export async function walk(trip) {
  const site = await serveSite({ '/': '<!doctype html><html lang="en"><title>Bad</title><h1>Bad</h1><p style="width: 3000px">wide</p><img src="/missing.png"><a href="/" style="outline: none">unseen</a>' });
  trip.closing(() => site.close());
  const world = await trip.world({ services: [] });
  const visitor = await trip.visitor(world);
  const { page } = visitor;
  const alarm = async (what, pattern, cause) => {
    const before = visitor.troubles.length;
    await trip.step(what, cause);
    // What the browser tells comes a moment later than what caused it.
    const began = Date.now();
    while (!visitor.troubles.slice(before).some((trouble) => pattern.test(trouble))) {
      assert.ok(Date.now() - began < 5000, `nobody noticed: ${what}: ${visitor.troubles.slice(before)}`);
      await page.evaluate(() => new Promise((done) => requestAnimationFrame(done)));
    }
    visitor.excuse(pattern);
  };

  await visitor.go('/sign-in');
  await alarm('a script in the page', /^script-src-elem refused inline/, () => page.evaluate(() => {
    const script = document.createElement('script');
    script.textContent = 'globalThis.ran = true';
    document.head.append(script);
  }));
  assert.equal(await page.evaluate(() => globalThis.ran), undefined, 'the policy let it run');
  await alarm('a style in the page', /^style-src-attr refused inline/, () => page.evaluate(() => {
    document.body.setAttribute('style', 'color: red');
  }));
  visitor.excuse(/^console: .*(Content Security Policy|Refused to)/s);
  await alarm('an error in a page', /thrown in a page: .*an error of a test/s, () => page.evaluate(() => {
    setTimeout(() => { throw new Error('an error of a test'); });
  }));
  await alarm('a complaint on the console', /^console: a complaint/, () => page.evaluate(() => console.error('a complaint')));
  await alarm('a picture that is not there', /^404 for image/, () => page.goto(site.origin));
  await alarm('a request to another machine', /^asked of another machine: http:\/\/elsewhere\.example/, () => page.evaluate(
    () => fetch('http://elsewhere.example/').catch(() => {}),
  ));
  const wide = await layoutProblems(page);
  assert.ok(wide.some((problem) => problem.includes('px wide in')), `${wide}`);
  const found = await violations(page);
  assert.ok(found.some((violation) => violation.startsWith('image-alt')), `${found}`);
  await page.evaluate(() => {
    document.querySelector('h1').style.marginTop = '300px';
  });
  const jumped = async () => (await layoutProblems(page)).some((problem) => problem.includes('it jumps'));
  await trip.step('a page that jumps', async () => {
    for (let frames = 0; !await jumped(); frames += 1) assert.ok(frames < 100, 'nobody noticed a jump');
  });
  // Last: what moves right after a key was pressed is no jump.
  await assert.rejects(tabTo(page, visitor.link('unseen')), /the focus cannot be seen/);
}
