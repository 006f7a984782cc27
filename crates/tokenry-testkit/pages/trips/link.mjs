import assert from 'node:assert/strict';

import { consentAtSandbox } from '../lib/providers.mjs';
import { serveSite } from '../lib/site.mjs';
import { PASSWORD } from '../lib/world.mjs';

export const says = "a connect link that a program sends is opened, connects the account or takes a key, leads back to the program's site, and is good once";
export const weight = 35;

export async function walk(trip) {
  const site = await serveSite(() => '<!doctype html><html lang="en"><title>App</title><h1>Back at the app</h1>');
  trip.closing(() => site.close());
  const world = await trip.world({ services: ['sandbox'], env: { TOKENRY_RETURN_TO: `${site.origin}/done` } });
  const api = await world.api().signUp('ada', PASSWORD);
  const link = await api.makeLink({ services: ['sandbox'], return_to: `${site.origin}/done` });
  const person = await trip.visitor(world);

  await trip.step('open it', async () => {
    await person.go(link.url);
    await person.heading('Connect an account');
    await person.reads(/The Tokenry account/);
    await person.page.getByText('ada', { exact: true }).waitFor();
  });
  const ended = async () => {
    await person.page.waitForURL((url) => url.href.startsWith(site.origin));
    await person.heading('Back at the app');
    return new URL(person.page.url());
  };
  await trip.step('decline, and come back to the site', async () => {
    await person.button('Connect Sandbox').click();
    await consentAtSandbox(person.page, 'Grace', { deny: true });
    const back = await ended();
    assert.deepEqual([back.pathname, back.searchParams.get('status')], ['/done', 'declined']);
    assert.deepEqual(await api.connections(), []);
  });
  const back = await trip.step('connect, and come back to the site', async () => {
    // What was declined has not spent it.
    await person.go(link.url);
    await person.button('Connect Sandbox').click();
    await consentAtSandbox(person.page, 'Grace');
    return ended();
  });
  const [connection] = await api.connections();
  assert.deepEqual(
    [back.pathname, ...['status', 'service', 'connection'].map((name) => back.searchParams.get(name))],
    ['/done', 'connected', 'sandbox', String(connection.id)],
  );
  assert.equal((await api.token_of(connection.id)).status, 200);
  const status = await (await fetch(link.status_url)).json();
  assert.deepEqual([status.status, status.connection], ['connected', connection.id]);
  await trip.step('it is good once', async () => {
    for (const visitor of [person, await trip.visitor(world)]) {
      await visitor.page.goto(link.url);
      await visitor.heading(/^This link (does not work any more|was used before)$/);
    }
    assert.equal((await api.connections()).length, 1);
    const cookies = await person.context.cookies();
    assert.deepEqual(cookies.filter(({ name }) => name.includes('session')), [], 'the link has signed somebody in');
  });
  await trip.step('bring a key along, wrongly at first, and come back to the site', async () => {
    const another = await api.makeLink({ services: ['activecampaign'], return_to: `${site.origin}/done` });
    const key = 'a key that nobody is shown';
    await person.go(another.url);
    await person.link('Connect ActiveCampaign').click();
    await person.heading('Connect ActiveCampaign');
    await person.page.getByText('ada', { exact: true }).waitFor();
    await person.page.getByLabel('The first word of your API address').fill('not a word');
    await person.page.getByLabel('API key').fill(key);
    await person.button('Connect ActiveCampaign').click();
    await person.page.getByRole('alert').waitFor();
    assert.equal(await person.page.getByLabel('API key').inputValue(), '', 'the key came back');
    assert.equal(await person.page.getByLabel('The first word of your API address').inputValue(), 'not a word');
    await person.page.getByLabel('The first word of your API address').fill('acme');
    await person.page.getByLabel('API key').fill(key);
    await person.button('Connect ActiveCampaign').click();
    const came = await ended();
    const kept = (await api.connections()).find(({ service }) => service === 'activecampaign');
    assert.deepEqual(
      [came.pathname, ...['status', 'service', 'connection'].map((name) => came.searchParams.get(name))],
      ['/done', 'connected', 'activecampaign', String(kept.id)],
    );
    assert.ok(!came.href.includes(encodeURIComponent(key)), came.href);
    const handed = await api.token_of(kept.id);
    assert.deepEqual([handed.status, handed.json().token], [200, key]);
    const told = await (await fetch(another.status_url)).json();
    assert.deepEqual([told.status, told.connection], ['connected', kept.id]);
  });
}
