import assert from 'node:assert/strict';

import { signIn } from '../lib/people.mjs';
import { consentAtSandbox } from '../lib/providers.mjs';
import { PASSWORD } from '../lib/world.mjs';

export const says = "a link, and a provider's address that came of one, do nothing in somebody else's browser but ask whose it is";
export const weight = 30;

export async function walk(trip) {
  const world = await trip.world({ services: ['sandbox'] });
  const [mallory, ada] = await Promise.all(['mallory', 'ada'].map((name) => world.api().signUp(name, PASSWORD)));
  const nothing = async () => {
    assert.deepEqual(await mallory.connections(), [], 'something came to the attacker');
    assert.deepEqual(await ada.connections(), [], 'something came to the victim');
  };
  const attacker = await trip.visitor(world);
  const link = await mallory.makeLink({ services: ['sandbox'] });
  const address = await trip.step('the attacker opens a link of their own, and keeps the address of the provider', async () => {
    await attacker.go(link.url);
    await attacker.button('Connect Sandbox').click();
    await attacker.page.getByRole('heading', { name: /asks for access/ }).waitFor();
    return attacker.page.url();
  });
  for (const signedIn of [false, true]) {
    const victim = await trip.visitor(world);
    const who = signedIn ? 'a victim who is signed in' : 'a victim';
    if (signedIn) await signIn(victim, 'ada');
    await trip.step(`${who} opens the link`, async () => {
      await victim.page.goto(link.url);
      await victim.heading('Is this Tokenry account yours?');
      await victim.page.getByRole('main').getByText('mallory').first().waitFor();
      assert.equal(await victim.button('Connect Sandbox').count(), 0, 'the victim could go on');
      await nothing();
    });
  }
  const victim = await trip.visitor(world);
  await signIn(victim, 'ada');
  await trip.step('the victim opens the address and agrees', async () => {
    await victim.page.goto(address);
    await consentAtSandbox(victim.page, 'Grace');
    await victim.heading('Is this Tokenry account yours?');
    await nothing();
  });
  await trip.step('the victim says that this is not them', async () => {
    await victim.button('This is not me').click();
    await victim.heading('Nothing was connected');
    await nothing();
  });
  await trip.step('the attacker looks whether it worked', async () => {
    await attacker.page.goto(link.url);
    await nothing();
  });
}
