import assert from 'node:assert/strict';

import { furnish } from '../lib/house.mjs';

export const says = 'the list of connections comes in less than 100 kB, in a browser that has never been here';

const MOST_BYTES = 100_000;

export async function walk(trip) {
  const house = await furnish(trip);
  const ada = await house.visitor('ada');
  // What is in the cache would not be counted.
  const cookies = await ada.context.cookies();
  const fresh = await trip.visitor(house.world);
  await fresh.context.addCookies(cookies);
  const network = await fresh.context.newCDPSession(fresh.page);
  await network.send('Network.enable');
  const sizes = new Map();
  const names = new Map();
  network.on('Network.requestWillBeSent', ({ requestId, request }) => names.set(requestId, new URL(request.url).pathname));
  network.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => sizes.set(requestId, encodedDataLength));
  await fresh.page.goto('/connections', { waitUntil: 'networkidle' });
  await fresh.heading('My connections');
  const list = [...sizes].map(([id, size]) => `${names.get(id)}: ${size}`);
  const total = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  assert.ok(sizes.size >= 2, `only ${list.join(', ')} was seen`);
  assert.ok(total < MOST_BYTES, `${total} bytes: ${list.join(', ')}`);
  trip.note(`${total} bytes in ${sizes.size} requests`);
}
