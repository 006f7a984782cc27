// Walks a part of the tour, and looks at each page the way the eye, a screen reader and a ruler do.
import fs from 'node:fs';
import path from 'node:path';

import { violations } from '../axe.mjs';
import { furnish } from '../house.mjs';
import { layoutProblems } from '../layout.mjs';
import { WIDTHS } from '../visitor.mjs';
import { compare, parts } from './index.mjs';

/// Where pictures of every page go, if anywhere.
const SCREENSHOTS = process.env.TOKENRY_TEST_SCREENSHOTS;

/// Which of them the README shows, as they look on a small laptop.
const README = ['connect', 'connections', 'operator'];

/// In which light each width is looked at by axe. What is next to what differs by width, and colours by light.
const LOOKED_AT = { phone: ['dark'], tablet: ['light'], desktop: ['light', 'dark'] };

export async function walkTour(trip, part) {
  const house = await trip.step('furnish', () => furnish(trip));
  const all = parts(house);
  compare(Object.values(all).flat(), trip.scene.routes);
  const problems = [];
  for (const stop of all[part]) {
    await trip.step(stop.name, async () => {
      const visitor = await house.visitor(stop.who);
      visitor.at = stop.name;
      for (const [width, [w, h]] of Object.entries(WIDTHS)) {
        await visitor.page.setViewportSize({ width: w, height: h });
        await visitor.page.emulateMedia({ colorScheme: LOOKED_AT[width][0] });
        try {
          await stop.see(visitor);
        } catch (error) {
          // The others are looked at all the same.
          problems.push(`${stop.name} at ${w} px was not reached: ${error.message} ${visitor.page.url()}`);
          continue;
        }
        problems.push(...(await layoutProblems(visitor.page, stop)).map((what) => `${stop.name} at ${w} px: ${what}`));
        if (SCREENSHOTS) {
          await photograph(visitor.page, stop.name, w);
          continue;
        }
        for (const colorScheme of LOOKED_AT[width]) {
          await visitor.page.emulateMedia({ colorScheme });
          problems.push(...(await violations(visitor.page)).map((what) => `${stop.name} at ${w} px, ${colorScheme}: ${what}`));
        }
      }
    });
  }
  if (problems.length > 0) throw new Error(problems.join('\n'));
  trip.note(`${all[part].length} pages`);
}

async function photograph(page, name, width) {
  fs.mkdirSync(SCREENSHOTS, { recursive: true });
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    await page.screenshot({ path: path.join(SCREENSHOTS, `${name}-${width}-${colorScheme}.png`), animations: 'disabled', fullPage: true });
  }
  if (width === WIDTHS.desktop[0] && README.includes(name)) {
    await page.emulateMedia({ colorScheme: 'light' });
    await page.setViewportSize({ width: 1280, height: 800 });
    await page.screenshot({ path: path.join(SCREENSHOTS, `readme-${name}.png`), animations: 'disabled' });
  }
}
