// Pages that anybody comes to: the front page, signing in and up, the way back from a provider.
import { PASSWORD } from '../world.mjs';
import { at, by } from './stop.mjs';

export const ENTRANCE_REDIRECTS = [];

export function entrance(house) {
  return [
    at('GET /', 'home', 'nobody', '/'),
    at('GET /docs', 'docs', 'nobody', '/docs'),
    at('GET /sign-in', 'sign-in', 'nobody', '/sign-in'),
    by('POST /sign-in', 'sign-in-refused', 'nobody', async (visitor) => {
      await visitor.go('/sign-in');
      await visitor.page.getByLabel('Username').fill('ada');
      await visitor.page.getByLabel('Password').fill('not her password');
      await visitor.button('Sign in').click();
      await visitor.page.getByRole('alert').waitFor();
    }),
    at('GET /sign-up', 'sign-up', 'nobody', '/sign-up'),
    by('POST /sign-up', 'sign-up-refused', 'nobody', async (visitor) => {
      await visitor.go('/sign-up');
      await visitor.page.getByLabel('Username').fill('ada');
      await visitor.page.getByLabel('E-mail').fill('ada@example.org');
      await visitor.page.getByLabel('Password').fill(PASSWORD);
      await visitor.button('Create the account').click();
      await visitor.page.getByRole('alert').waitFor();
    }),
    at('GET /account', 'account', 'ada', '/account'),
    by('POST /sign-out', 'signed-out', 'leaver', async (visitor) => {
      await house.signIn(visitor, 'leaver');
      await visitor.button('Sign out').click();
      await visitor.heading('Sign in');
    }),
    at('GET /callback', 'callback-unknown', 'nobody', '/callback?state=unknown&code=unknown', 400),
    at('GET /callback/{provider}', 'callback-refused', 'nobody', '/callback/sandbox?state=unknown&error=access_denied', 400),
    by('POST /connect/confirm', 'confirm', 'nobody', async (visitor) => {
      await house.comeBackElsewhere(visitor);
      await visitor.heading('Is this Tokenry account yours?');
    }),
    at('', 'not-found', 'nobody', '/there-is-nothing-here', 404),
    at('', 'not-found-signed-in', 'ada', '/operator', 404),
  ];
}
