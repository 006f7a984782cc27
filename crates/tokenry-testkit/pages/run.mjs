// Walks Tokenry's pages with a real browser: every file in `trips/` is one trip.
//
// The Rust test `crates/tokenry/tests/pages` starts this. It prints a line for each trip, `ok <name> …` or
// `failed <name> …` with what went wrong below it, and ends with status 1 when one failed or when there was none.
// Environment:
//   TOKENRY_TEST_SCENE   JSON: `tokenry` (the binary), `oidc` ({issuer, client_id, client_secret}), `routes` (the table
//                        of page routes), `scratch` (a folder for what the servers write)
//   TOKENRY_TEST_TRIP    only trips whose file has this in its name
//   TOKENRY_TEST_LOOK    1: a picture of the page after each step, in target/pages/<trip>/
//   TOKENRY_TEST_SCREENSHOTS  a folder: every page is photographed into it, in each width, light and dark
//   TOKENRY_TEST_CHROMIUM     the browser to run (default: chromium, from the PATH)
//   MODULES              folder whose node_modules holds the packages (default: this file's folder)
import fs from 'node:fs';
import path from 'node:path';
import { availableParallelism } from 'node:os';
import { pathToFileURL } from 'node:url';

import { launch } from './lib/browser.mjs';
import { Trip } from './lib/trip.mjs';

// A trip that takes longer than this hangs: each wait inside of it has a limit of its own. One that looks at many pages says so.
const PATIENCE_MS = 170_000;

const scene = JSON.parse(process.env.TOKENRY_TEST_SCENE);
const folder = path.join(import.meta.dirname, 'trips');
const wanted = process.env.TOKENRY_TEST_TRIP ?? '';
const names = fs.readdirSync(folder)
  .filter((file) => file.endsWith('.mjs') && file.includes(wanted))
  .map((file) => file.slice(0, -'.mjs'.length));

async function walk(browser, name) {
  const { says, weight = 1, patience_ms: patience = PATIENCE_MS, walk } = await import(pathToFileURL(path.join(folder, `${name}.mjs`)));
  return { name, says, weight, patience, walk: (trip) => walk(trip), browser };
}

async function run({ name, says, patience, walk, browser }) {
  const began = Date.now();
  const trip = new Trip(name, browser, scene);
  let problems = [];
  let timer;
  const limit = new Promise((_, no) => {
    timer = setTimeout(() => no(new Error(`it took longer than ${patience} ms`)), patience);
  });
  try {
    await Promise.race([walk(trip), limit]);
  } catch (error) {
    problems.push(`at "${trip.at}": ${error.stack ?? error}`);
    problems.push(...await trip.picturesOfFailure());
  }
  clearTimeout(timer);
  problems = [...problems, ...await trip.end()];
  const took = `(${[...trip.notes, `${((Date.now() - began) / 1000).toFixed(1)} s`].join(', ')})`;
  if (problems.length === 0) {
    console.log(`ok ${name}: ${says} ${took}`);
    return true;
  }
  console.log(`failed ${name}: ${says} ${took}\n${problems.join('\n').replace(/^/gm, '    ')}`);
  return false;
}

const browser = await launch();
const trips = await Promise.all(names.map((name) => walk(browser, name)));
// The longest first, so that nobody waits for it at the end.
trips.sort((a, b) => b.weight - a.weight);
const queue = [...trips];
let failed = 0;
const lanes = Array.from({ length: Math.min(4, Math.max(2, availableParallelism())) }, async () => {
  for (let trip = queue.shift(); trip; trip = queue.shift()) if (!await run(trip)) failed += 1;
});
await Promise.all(lanes);
await browser.close();
console.log(`trips: ${trips.length - failed} ok, ${failed} failed`);
process.exit(trips.length === 0 || failed > 0 ? 1 : 0);
