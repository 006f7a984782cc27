import assert from 'node:assert/strict';

import { consentAtSandbox } from '../lib/providers.mjs';
import { PASSWORD } from '../lib/world.mjs';

export const says = "a provider's address that somebody else was given ends on the confirm page and moves nothing";

export async function walk(trip) {
  const world = await trip.world({ services: ['sandbox'] });
  const [mallory, ada] = await Promise.all(['mallory', 'ada'].map((name) => world.api().signUp(name, PASSWORD)));
  const address = await mallory.link('sandbox');
  const victim = await trip.visitor(world);
  const nothing = async () => {
    assert.deepEqual(await mallory.connections(), [], 'something came to the attacker');
    assert.deepEqual(await ada.connections(), [], 'something came to the victim');
  };

  await trip.step('the victim opens it and agrees', async () => {
    await victim.page.goto(address);
    await consentAtSandbox(victim.page, 'Grace');
    await victim.heading('Is this Tokenry account yours?');
    await victim.reads(/about to receive access to\s+the Sandbox account/i);
    await nothing();
  });
  await trip.step('the victim tries a password of their own', async () => {
    await victim.page.getByLabel('Password of mallory').fill('a password of ada');
    await victim.button('Sign in and connect').click();
    await victim.page.getByRole('alert').waitFor();
    await nothing();
  });
  await trip.step('the victim says that this is not them', async () => {
    await victim.button('This is not me').click();
    await victim.button('This is not me').waitFor({ state: 'detached' });
    await nothing();
    const cookies = await victim.context.cookies();
    assert.deepEqual(cookies.filter(({ name }) => name.includes('session')), [], 'the victim was signed in by it');
  });
}
