import assert from 'node:assert/strict';

import { addScope, askToDelete, connect, connectAgain, connectAtOnce, rename, renameInList, signUp } from '../lib/people.mjs';
import { OIDC_FONT } from '../lib/providers.mjs';
import { until } from '../lib/until.mjs';
import { PASSWORD } from '../lib/world.mjs';

export const says = 'a person connects two services, renames, connects again what was revoked, adds a scope, undoes a delete and deletes';
export const weight = 90;

/// How long a delete can be undone, and some: nothing but the clock ends it.
const UNDO_PATIENCE_MS = 90_000;

export async function walk(trip) {
  // A token outlives what is done with it, and not much more.
  const world = await trip.world({ access_ttl_s: 5 });
  const ada = await trip.visitor(world);
  ada.excuse(OIDC_FONT);
  await trip.step('sign up', () => signUp(ada, 'ada'));
  const api = await world.api().logIn('ada', PASSWORD);

  const services = { sandbox: ['grace', 'email'], oidc: ['ada-at-oidc', 'api:read'] };
  const ways = { sandbox: connect, oidc: connectAtOnce };
  for (const [service, [account, scope]] of Object.entries(services)) {
    const path = await trip.step(`connect ${service}`, () => ways[service](ada, service, account));
    const id = Number(path.split('/').pop());
    const name = `mine at ${service}`;
    await trip.step(`see ${service} in the list`, async () => {
      await ada.go('/connections');
      const row = ada.page.getByRole('listitem').filter({ has: ada.page.getByText(account, { exact: true }) });
      await row.getByText('In order').waitFor();
      assert.equal(await row.getByRole('link').getAttribute('href'), path);
    });
    await trip.step(`rename ${service}`, async () => {
      await rename(ada, path, `${name}, first`);
      await renameInList(ada, `${name}, first`, name);
    });
    const token = await trip.step(`read the token of ${service} by the API`, async () => {
      const answer = await api.token_of(id, 2);
      assert.equal(answer.status, 200, answer.text);
      return answer.json().token;
    });
    assert.equal(await world.accepts(service, token), true, 'the service does not know the token');
    await trip.step(`${account} revokes it at ${service}`, async () => {
      await world.revoke(service, account);
      await api.untilReconnectRequired(id);
      await ada.go('/connections');
      await ada.button(`Connect again ${name}`).waitFor();
      await ada.go(path);
      await ada.reads('Connect again');
    });
    await trip.step(`connect ${service} again`, async () => {
      await connectAgain(ada, path, service, account);
      const answer = await api.token_of(id, 2);
      assert.notEqual(answer.json().token, token);
      assert.equal(await world.accepts(service, answer.json().token), true);
      await ada.go(path);
      await ada.heading(name);
      await ada.reads('In order');
    });
    await trip.step(`add a scope at ${service}`, async () => {
      const before = (await api.detail(id)).scopes.granted;
      assert.ok(!before.includes(scope), `${scope} was granted from the beginning`);
      await addScope(ada, path, service, account, scope);
      const after = (await api.detail(id)).scopes.granted;
      assert.deepEqual(after.toSorted(), [...before, scope].toSorted());
      await ada.go(path);
      await ada.reads(scope);
    });
    await trip.step(`delete ${service}, and undo it`, async () => {
      await askToDelete(ada, path, name);
      assert.equal((await api.token_of(id)).status, 404);
      await ada.button(`Undo ${name}`).click();
      await ada.reads('It is kept. Nothing was deleted.');
      const { token } = (await api.token_of(id, 2)).json();
      assert.equal(await world.accepts(service, token), true, 'the undone delete has revoked it');
    });
  }
  await trip.step('delete both for good', async () => {
    const all = await api.connections();
    const tokens = {};
    for (const { id, service } of all) tokens[service] = (await api.token_of(id)).json().token;
    for (const { id, name } of all) await askToDelete(ada, `/connections/${id}`, name);
    assert.deepEqual(await api.connections(), []);
    for (const [service, token] of Object.entries(tokens)) {
      await until(`${service} is told`, async () => !await world.accepts(service, token), UNDO_PATIENCE_MS);
    }
    await until('the list is empty', async () => {
      await ada.go('/connections');
      return ada.page.getByRole('heading', { name: 'Nothing is connected yet' }).isVisible();
    });
  });
}
