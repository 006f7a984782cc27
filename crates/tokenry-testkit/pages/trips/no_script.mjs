import assert from 'node:assert/strict';

import { askToDelete, connect, connectAgain, rename, renameInList, signIn, signUp } from '../lib/people.mjs';
import { PASSWORD } from '../lib/world.mjs';

export const says = 'without scripts a person signs up and in, connects, sees it, renames, connects again, undoes and deletes';
export const weight = 40;

export async function walk(trip) {
  const world = await trip.world({ services: ['sandbox'], access_ttl_s: 1 });
  const ada = await trip.visitor(world, { script: false });
  await trip.step('sign up, out and in', async () => {
    await signUp(ada, 'ada');
    await ada.button('Sign out').click();
    await ada.reads('You are signed out of this browser.');
    await signIn(ada, 'ada');
  });
  const api = await world.api().logIn('ada', PASSWORD);
  const path = await trip.step('connect', () => connect(ada, 'sandbox', 'grace'));
  const id = Number(path.split('/').pop());
  await trip.step('see it', async () => {
    await ada.go('/connections');
    await ada.reads('In order');
    // A time can be read without a script, and says in which zone it is.
    await ada.go(path);
    await ada.reads(/\d{4}-\d\d-\d\d \d\d:\d\d UTC/);
  });
  await trip.step('rename', async () => {
    await rename(ada, path, 'without');
    await renameInList(ada, 'without', 'without scripts');
  });
  await trip.step('connect again', async () => {
    await world.revoke('sandbox', 'grace');
    await api.untilReconnectRequired(id);
    await connectAgain(ada, path, 'sandbox', 'grace');
    assert.equal((await api.token_of(id)).status, 200);
  });
  await trip.step('delete, undo and delete', async () => {
    await askToDelete(ada, path, 'without scripts');
    await ada.button('Undo without scripts').click();
    await ada.reads('It is kept. Nothing was deleted.');
    assert.equal((await api.token_of(id)).status, 200);
    await askToDelete(ada, path, 'without scripts');
    assert.deepEqual(await api.connections(), []);
  });
}
