// What an operator has.
import { at, by } from './stop.mjs';

export const OPERATOR_REDIRECTS = [
  'POST /operator/services/{id}/remove',
  'POST /operator/users/{id}/role',
  'POST /operator/users/{id}/sessions',
  'POST /operator/keys/{id}/retire',
];

/// Before anybody is an operator.
export function setup(house) {
  const path = () => new URL(house.world.setupLink).pathname;
  return [
    at('GET /setup/{token}', 'setup', 'nobody', path),
    at('GET /setup/{token}', 'setup-signed-in', 'ada', path),
    by('POST /setup/{token}', 'setup-refused', 'nobody', async (visitor) => {
      await visitor.go(path());
      await visitor.page.getByLabel('Username').fill('ada');
      await visitor.page.getByLabel('E-mail').fill('ada@example.org');
      await visitor.page.getByLabel('Password').fill('short but fine');
      await visitor.button('Create the account and become the operator').click();
      await visitor.page.getByRole('alert').waitFor();
    }),
  ];
}

export function operator(house) {
  return [
    at('GET /account', 'account-operator', 'operator', '/account'),
    at('GET /operator', 'operator', 'operator', '/operator'),
    at('GET /connect/{service}', 'service-not-set-up-operator', 'operator', '/connect/github'),
    at('GET /operator/services', 'operator-services', 'operator', '/operator/services'),
    at('GET /operator/services', 'operator-services-not-found', 'operator', '/operator/services?q=there-is-none'),
    at('GET /operator/services/{id}', 'operator-service', 'operator', '/operator/services/github'),
    at('GET /operator/services/{id}', 'operator-service-configured', 'operator', '/operator/services/sandbox'),
    by('POST /operator/services/{id}', 'operator-service-saved', 'operator', async (visitor) => {
      await visitor.go('/operator/services/spotify');
      await visitor.page.getByLabel('Client id').fill('an-id');
      await visitor.page.getByLabel('Client secret').fill('a secret');
      await visitor.button('Save').click();
      await visitor.page.getByRole('status').first().waitFor();
    }),
    by('POST /operator/services/{id}/test', 'operator-service-tested', 'operator', async (visitor) => {
      await visitor.go('/operator/services/sandbox');
      await visitor.button('Run the test').click();
      await visitor.page.getByRole('status').getByText('Ready', { exact: true }).waitFor();
    }),
    at('GET /operator/users', 'operator-users', 'operator', '/operator/users'),
    at('GET /operator/users', 'operator-users-not-found', 'operator', '/operator/users?q=zz'),
    at('GET /operator/events', 'operator-events', 'operator', '/operator/events'),
    at('GET /operator/events', 'operator-events-refused', 'operator', '/operator/events?user=nobody-is-called-that', 422),
    at('GET /operator/keys', 'operator-keys', 'operator', '/operator/keys'),
    by('POST /operator/keys/rotate', 'operator-keys-rotated', 'operator', async (visitor) => {
      await visitor.go('/operator/keys');
      await visitor.button('Make a new data key').click();
      await visitor.page.getByRole('status').first().waitFor();
    }),
    at('GET /operator/settings', 'operator-settings', 'operator', '/operator/settings'),
    at('GET /setup/{token}', 'setup-ended', 'operator', () => new URL(house.world.setupLink).pathname, 410),
  ];
}
