import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';

import { furnish } from '../lib/house.mjs';
import { TAG, marked, unsaid } from '../lib/language.mjs';
import { parts } from '../lib/tour/index.mjs';

export const says = 'with a second file of texts every page is in the second language, to the last word';
export const weight = 80;
export const patience_ms = 400_000;

export async function walk(trip) {
  const house = await trip.step('furnish', () => furnish(trip));
  await trip.step('a file of texts is put there', async () => {
    const folder = path.join(house.world.home, 'data', 'texts');
    fs.mkdirSync(folder, { recursive: true });
    fs.writeFileSync(path.join(folder, `${TAG}.ftl`), marked(await house.world.run(['config', 'texts'])));
    await house.world.reload();
  });
  house.language = TAG;
  const problems = [];
  const stops = Object.values(parts(house)).flat();
  for (const stop of stops) {
    await trip.step(stop.name, async () => {
      const visitor = await house.visitor(stop.who);
      visitor.at = stop.name;
      try {
        await stop.see(visitor);
      } catch (error) {
        problems.push(`${stop.name} was not reached: ${error.message} ${visitor.page.url()}`);
        return;
      }
      const language = await visitor.page.evaluate(() => document.documentElement.lang);
      assert.equal(language, TAG, `${stop.name} is in ${language}`);
      problems.push(...(await unsaid(visitor.page)).map((what) => `${stop.name}: ${what}`));
    });
  }
  if (problems.length > 0) throw new Error(problems.join('\n'));
  trip.note(`${stops.length} pages`);
}
