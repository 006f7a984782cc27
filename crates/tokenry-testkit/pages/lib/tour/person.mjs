// What a person has: connections, the catalogue, the account.
import { at, by, unfolding } from './stop.mjs';
import { chooseService, open } from '../people.mjs';

export const PERSON_REDIRECTS = [
  'POST /connections/{id}/revoke',
  'POST /connections/{id}/undo',
  'POST /account/sign-out-everywhere',
];

export function person(house) {
  const { connections } = house;
  const see = (id) => `/connections/${id}`;
  return [
    at('GET /connections', 'connections', 'ada', '/connections'),
    at('GET /connections', 'connections-empty', 'newcomer', '/connections'),
    at('GET /connections', 'connections-not-found', 'ada', '/connections?q=there-is-none'),
    unfolding('GET /connections', 'connections-renaming', 'ada', async (visitor) => {
      await visitor.go('/connections');
      await visitor.page.getByLabel('Rename Photo backup', { exact: true }).click();
      await visitor.button('Save the name').filter({ visible: true }).waitFor();
    }),
    at('GET /connections/{id}', 'connection', 'ada', see(connections.sandbox)),
    at('GET /connections/{id}', 'connection-reconnect', 'ada', see(connections.ended)),
    at('GET /connections/{id}', 'connection-pasted', 'ada', see(connections.pasted)),
    at('GET /connections/{id}', 'connection-not-hers', 'newcomer', see(connections.sandbox), 404),
    by('POST /connections/{id}/rename', 'connection-renamed', 'ada', async (visitor) => {
      await visitor.go(see(connections.pasted));
      await open(visitor, 'Rename');
      await visitor.page.getByLabel('Name', { exact: true }).fill('a new name');
      await visitor.button('Save the name').click();
      await visitor.page.getByRole('status').first().waitFor();
    }),
    unfolding('GET /connections/{id}', 'connection-unfolded', 'ada', async (visitor) => {
      await visitor.go(see(connections.sandbox));
      for (const summary of ['Rename', 'Add access', 'Take the access back and keep the connection', 'Delete this connection']) {
        await open(visitor, summary);
      }
      await visitor.button('Delete it').waitFor();
    }),
    by('POST /connections/{id}/reconnect', 'leave', 'leaving', async (visitor) => {
      await visitor.go(see(connections.sandbox));
      await visitor.button('Connect again').click();
      await visitor.heading(/^Going to /);
    }),
    by('POST /connections/{id}/delete', 'connections-deleting', 'ada', (visitor) => house.deleteOne(visitor)),
    by('GET /connections/{id}', 'connection-deleting', 'ada', async (visitor) => {
      await visitor.go(await house.deleteOne(visitor));
      await visitor.button('Keep it').waitFor();
    }),
    at('GET /connect', 'connect', 'ada', '/connect'),
    at('GET /connect', 'connect-found', 'ada', '/connect?q=git'),
    at('GET /connect', 'connect-not-found', 'ada', '/connect?q=there-is-none'),
    at('GET /connect/{service}', 'service', 'ada', '/connect/sandbox'),
    at('GET /connect/{service}', 'service-not-set-up', 'ada', '/connect/github'),
    at('GET /connect/{service}', 'service-unknown', 'ada', '/connect/there-is-none', 404),
    by('POST /connect/{service}', 'service-refused', 'ada', async (visitor) => {
      await chooseService(visitor, 'sandbox');
      await open(visitor, 'More choices');
      await visitor.page.getByLabel('Other scopes').fill('not"a"scope');
      await visitor.button(/^Continue to /).click();
      await visitor.page.getByRole('alert').waitFor();
    }),
    by('POST /connect/{service}', 'device', 'ada', async (visitor) => {
      await visitor.go('/connect/tv');
      await visitor.button('Allow it on another device').click();
      await visitor.heading('Allow Television on another device');
    }),
    by('POST /connect/device', 'device-pending', 'ada', async (visitor) => {
      await visitor.go('/connect/tv');
      await visitor.button('Allow it on another device').click();
      await visitor.button('I have allowed it').click();
      await visitor.page.getByRole('status').filter({ hasText: 'has not heard a yes yet' }).waitFor();
    }),
    by('GET /callback/{provider}', 'connected', 'ada', async (visitor) => {
      await house.connectAs(visitor, 'grace');
      await visitor.heading(/^Connected as /);
    }),
    by('GET /callback/{provider}', 'declined', 'ada', async (visitor) => {
      await house.connectAs(visitor, 'grace', { deny: true });
      await visitor.link('Try again').waitFor();
    }),
    by('POST /account/password', 'account-password-refused', 'newcomer', async (visitor) => {
      await visitor.go('/account');
      await visitor.page.getByLabel('Current password').fill('not the password');
      await visitor.page.getByLabel('New password').fill('another password');
      await visitor.button('Change the password').click();
      await visitor.page.getByRole('alert').waitFor();
    }),
    by('POST /account/export', 'account-export-refused', 'newcomer', async (visitor) => {
      await visitor.go('/account');
      await visitor.page.getByLabel('Your password').fill('not the password');
      await visitor.page.getByLabel('A passphrase for the file').fill('a long passphrase');
      await visitor.button('Download the file').click();
      await visitor.page.getByRole('alert').waitFor();
    }),
  ];
}
