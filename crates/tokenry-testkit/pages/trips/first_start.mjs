import assert from 'node:assert/strict';

import { connect } from '../lib/people.mjs';
import { OIDC_FONT } from '../lib/providers.mjs';
import { PASSWORD } from '../lib/world.mjs';

export const says = 'who starts the server becomes its operator by the printed link, sets two services up on their pages and connects them';
export const weight = 60;

export async function walk(trip) {
  const world = await trip.world({ services: [] });
  const [link] = await world.server.match(/http:\/\/\S+\/setup\/[\w-]+/);
  const olga = await trip.visitor(world);
  olga.excuse(OIDC_FONT);
  await olga.context.grantPermissions(['clipboard-read', 'clipboard-write']);
  const { page } = olga;

  await trip.step('become the operator', async () => {
    await olga.go(link);
    await olga.heading('Run this server');
    await page.getByLabel('Username').fill('olga');
    await page.getByLabel('E-mail').fill('olga@example.org');
    await page.getByLabel('Password').fill(PASSWORD);
    await olga.button('Create the account and become the operator').click();
    await olga.reads('You operate this server now.');
    await olga.link('Operator').waitFor();
  });
  await trip.step('nobody becomes it by the same link', async () => {
    const other = await trip.visitor(world);
    await other.page.goto(link);
    await other.heading('This link is of no use any more');
  });
  const clients = {
    sandbox: [world.client.id, world.client.secret],
    oidc: [world.oidc.client_id, world.oidc.client_secret],
  };
  for (const [service, [id, secret]] of Object.entries(clients)) {
    await trip.step(`find ${service}`, async () => {
      await olga.go('/operator');
      await page.getByRole('navigation', { name: "Operator's pages" }).getByRole('link', { name: 'Services' }).click();
      await olga.heading('Services');
      await page.getByLabel('Name or category').fill(service);
      await olga.button('Find').click();
      await page.getByRole('main').getByRole('link', { name: new RegExp(`^${service}`, 'i') }).click();
      await olga.heading(new RegExp(`^${service}$`, 'i'));
      await olga.reads('Not set up');
    });
    await trip.step(`copy the redirect URI of ${service}`, async () => {
      const uri = `${world.base}/callback/${service}`;
      assert.equal(await page.getByLabel('Redirect URI').inputValue(), uri);
      await olga.button('Copy').click();
      await olga.button('Copied').waitFor();
      assert.equal(await page.evaluate(() => navigator.clipboard.readText()), uri);
    });
    await trip.step(`save the client of ${service}`, async () => {
      await page.getByLabel('Client id').fill(id);
      await page.getByLabel('Client secret').fill(secret);
      await olga.button('Save').click();
      await olga.reads('Saved. Every server uses it from now on.');
      assert.equal(await page.getByLabel('Client secret').inputValue(), '');
      assert.ok(!(await page.content()).includes(secret), 'the secret is on the page');
    });
    await trip.step(`test ${service}`, async () => {
      await olga.button('Run the test').click();
      await page.getByRole('status').getByText('Ready', { exact: true }).waitFor();
    });
    await trip.step(`connect ${service}`, () => connect(olga, service, { sandbox: 'grace', oidc: 'olga-there' }[service]));
  }
  const api = await world.api().logIn('olga', PASSWORD);
  for (const { id, service } of await api.connections()) {
    const { token } = (await api.token_of(id)).json();
    assert.equal(await world.accepts(service, token), true, `${service} does not know the token`);
  }
  await trip.step('see how it goes', async () => {
    await olga.go('/operator');
    await olga.heading('How it goes');
  });
}
