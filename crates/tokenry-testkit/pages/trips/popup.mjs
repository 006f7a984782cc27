import assert from 'node:assert/strict';

import { consentAtSandbox } from '../lib/providers.mjs';
import { serveSite } from '../lib/site.mjs';
import { PASSWORD } from '../lib/world.mjs';

export const says = 'another site opens a connect link in a window with /connect.js, and hears how it ended';
export const weight = 30;

export async function walk(trip) {
  // The site knows its links by then.
  const links = [];
  let world;
  const site = await serveSite(() => `<!doctype html>
<html lang="en"><title>App</title><h1>App</h1>
<script src="${world.base}/connect.js"></script>
<button id="go">Connect your account</button> <output>nothing yet</output>
<script>
  const link = ${JSON.stringify(links.at(-1))};
  const out = document.querySelector('output');
  document.querySelector('#go').onclick = () => Tokenry.connect(link).then(
    ({ connection, service }) => { out.value = 'connected ' + service + ' ' + connection; },
    (error) => { out.value = 'not connected: ' + error.reason; });
</script>`);
  trip.closing(() => site.close());
  world = await trip.world({ services: ['sandbox'], env: { TOKENRY_EMBED_ORIGINS: site.origin } });
  const api = await world.api().signUp('ada', PASSWORD);
  const person = await trip.visitor(world);
  const { page } = person;

  const openWindow = async () => {
    links.push(await api.makeLink({ services: ['sandbox'], origin: site.origin }));
    await page.goto(`${site.origin}/`);
    const opened = person.context.waitForEvent('page');
    await person.button('Connect your account').click();
    const popup = await opened;
    await popup.getByRole('heading', { level: 1, name: 'Connect an account' }).waitFor();
    return popup;
  };
  const outcome = (text) => page.getByRole('status').filter({ hasText: text }).waitFor();

  await trip.step('decline', async () => {
    const popup = await openWindow();
    await popup.getByRole('button', { name: 'Connect Sandbox' }).click();
    await consentAtSandbox(popup, 'Grace', { deny: true });
    await outcome('not connected: declined');
    assert.deepEqual(await api.connections(), []);
  });
  await trip.step('close the window', async () => {
    const popup = await openWindow();
    await popup.close();
    await outcome('not connected: closed');
  });
  await trip.step('connect', async () => {
    const popup = await openWindow();
    const closed = popup.waitForEvent('close');
    await popup.getByRole('button', { name: 'Connect Sandbox' }).click();
    await consentAtSandbox(popup, 'Grace');
    await outcome(/^connected sandbox \d+$/);
    await closed;
  });
  const [connection] = await api.connections();
  await outcome(`connected sandbox ${connection.id}`);
  assert.equal((await api.token_of(connection.id)).status, 200);
  await trip.step('a site that is not configured is refused', async () => {
    const answer = await api.send('POST', '/api/users/ada/connect/links', { services: ['sandbox'], origin: 'http://localhost:1' });
    assert.ok(answer.status >= 400 && answer.status < 500, `${answer.status} ${answer.text}`);
  });
}
