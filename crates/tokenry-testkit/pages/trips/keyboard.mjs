import assert from 'node:assert/strict';

import { press, tabTo, type } from '../lib/keyboard.mjs';
import { consentAtSandbox } from '../lib/providers.mjs';
import { PASSWORD } from '../lib/world.mjs';

export const says = 'with a keyboard alone a person signs up, connects, renames, connects again, adds a scope, undoes and deletes';
export const weight = 50;

export async function walk(trip) {
  const world = await trip.world({ services: ['sandbox'], access_ttl_s: 1 });
  const ada = await trip.visitor(world);
  const { page } = ada;
  const label = (name, options) => page.getByLabel(name, options);
  const summary = (name) => page.locator('summary', { hasText: name });

  await trip.step('sign up', async () => {
    await ada.go('/');
    await press(page, ada.link('Create an account'));
    await ada.heading('Create an account');
    await type(page, label('Username'), 'ada');
    await type(page, label('E-mail'), 'ada@example.org');
    await type(page, label('Password'), PASSWORD);
    await press(page, ada.button('Create the account'));
    await ada.button('Sign out').waitFor();
  });
  await trip.step('skip to the content', async () => {
    await ada.go('/connections');
    await press(page, ada.link('Skip to the content'));
    // What is reached next is in the content, not in the navigation.
    await tabTo(page, ada.link('Connect an account'));
    assert.equal(await page.evaluate(() => Boolean(document.activeElement.closest('main'))), true);
    await page.keyboard.press('Enter');
    await ada.heading('What would you like to connect?');
  });
  await trip.step('connect', async () => {
    await type(page, label('Find a service'), 'sandbox');
    await page.keyboard.press('Enter');
    await ada.page.waitForURL(/q=sandbox/);
    await press(page, ada.link(/^sandbox$/i));
    await ada.heading('Connect Sandbox');
    await press(page, ada.button(/^Continue to /));
    // The provider's page is not ours.
    await consentAtSandbox(page, 'Grace');
    await ada.heading(/^Connected as /);
    await press(page, ada.link('See the connection'));
    await ada.arrives(/^\/connections\/\d+$/);
  });
  const path = ada.path();
  const api = await world.api().logIn('ada', PASSWORD);
  const id = Number(path.split('/').pop());
  await trip.step('rename', async () => {
    await press(page, summary('Rename'));
    await type(page, label('Name', { exact: true }), 'typed');
    await page.keyboard.press('Enter');
    await ada.heading('typed');
  });
  await trip.step('rename in the list', async () => {
    await ada.go('/connections');
    await press(page, label('Rename typed', { exact: true }));
    await type(page, label('Name', { exact: true }), 'retyped');
    await page.keyboard.press('Enter');
    await ada.link('retyped').waitFor();
    await press(page, label('Rename retyped', { exact: true }), 'Space');
    await type(page, label('Name', { exact: true }), 'typed');
    await press(page, ada.button('Save the name'));
    await ada.link('typed').waitFor();
  });
  await trip.step('connect again', async () => {
    await world.revoke('sandbox', 'grace');
    await api.untilReconnectRequired(id);
    await ada.go('/connections');
    await press(page, ada.button('Connect again typed'));
    await consentAtSandbox(page, 'Grace');
    await ada.heading(/^Connected as /);
    assert.equal((await api.token_of(id)).status, 200);
  });
  await trip.step('add a scope', async () => {
    await ada.go(path);
    await press(page, summary('Add access'), 'Space');
    await type(page, label('Other scopes'), 'email');
    await press(page, ada.button(/^Ask /), 'Space');
    await consentAtSandbox(page, 'Grace');
    await ada.heading(/^Connected as /);
    assert.ok((await api.detail(id)).scopes.granted.includes('email'));
  });
  await trip.step('delete and undo', async () => {
    await ada.go(path);
    await press(page, summary('Delete this connection'));
    await press(page, ada.button('Delete it'));
    await ada.arrives('/connections');
    assert.equal((await api.token_of(id)).status, 404);
    await press(page, ada.button('Undo typed'));
    await ada.reads('It is kept. Nothing was deleted.');
    assert.equal((await api.token_of(id)).status, 200);
  });
  await trip.step('delete', async () => {
    await ada.go(path);
    await press(page, summary('Delete this connection'));
    await press(page, ada.button('Delete it'));
    await ada.button('Undo typed').waitFor();
    assert.deepEqual(await api.connections(), []);
  });
  await trip.step('sign out', async () => {
    await press(page, ada.button('Sign out'));
    await ada.heading('Sign in');
  });
}
