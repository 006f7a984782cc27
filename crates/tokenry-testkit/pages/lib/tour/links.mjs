// Connect links, as the person meets them who is sent one. Only what does not say how it came (a preview, an old browser)
// has a button to press first, and is then shown what others are shown at once.
import { consentAtSandbox } from '../providers.mjs';
import { at, by } from './stop.mjs';

export const LINK_REDIRECTS = ['POST /link/{token}', 'POST /link/{token}/take'];

export function links(house) {
  const fresh = (services) => async () => (await house.api.ada.makeLink({ services })).url;
  const all = fresh(undefined);
  const sandbox = fresh(['sandbox']);
  // A key for an address of one's own, two words for a password, and a client of one's own.
  const bring = fresh(['freshdesk', 'activecampaign', 'amadeus']);
  const form = async (visitor, service) => {
    await visitor.go(await bring());
    await visitor.link(`Connect ${service}`).click();
    await visitor.heading(`Connect ${service}`);
  };
  return [
    by('GET /link/{token}', 'link', 'sent', async (visitor) => visitor.go(await sandbox())),
    by('GET /link/{token}', 'link-all', 'sent', async (visitor) => visitor.go(await all())),
    by('GET /link/{token}', 'link-to-another', 'newcomer', async (visitor) => visitor.go(await sandbox())),
    by('GET /link/{token}', 'link-elsewhere', 'nobody', async (visitor) => {
      const url = await sandbox();
      await (await house.visitor('sent')).go(url);
      await visitor.page.goto(url);
      await visitor.heading('Is this Tokenry account yours?');
    }),
    by('GET /link/{token}/service/{service}', 'link-service', 'sent', async (visitor) => {
      const url = await sandbox();
      await visitor.go(url);
      await visitor.go(`${url}/service/sandbox`);
      await visitor.button('Connect Sandbox').waitFor();
    }),
    by('GET /link/{token}/service/{service}', 'link-bring-key', 'sent', (visitor) => form(visitor, 'ActiveCampaign')),
    by('GET /link/{token}/service/{service}', 'link-bring-password', 'sent', (visitor) => form(visitor, 'Freshdesk')),
    by('GET /link/{token}/service/{service}', 'link-bring-client', 'sent', (visitor) => form(visitor, 'Amadeus')),
    by('GET /link/{token}/service/{service}', 'link-not-owner', 'newcomer', async (visitor) => {
      const url = await bring();
      await visitor.go(url);
      await visitor.go(`${url}/service/amadeus`, 403);
    }),
    by('POST /link/{token}/service/{service}', 'link-bring-refused', 'sent', async (visitor) => {
      await form(visitor, 'Freshdesk');
      await visitor.page.getByLabel('The first word of your Freshdesk address').fill('acme');
      await visitor.page.getByLabel('API key').fill('a:b');
      await visitor.button('Connect Freshdesk').click();
      await visitor.page.getByRole('alert').waitFor();
    }),
    by('POST /link/{token}/service/{service}', 'link-brought', 'sent', async (visitor) => {
      await form(visitor, 'ActiveCampaign');
      await visitor.page.getByLabel('The first word of your API address').fill('acme');
      await visitor.page.getByLabel('API key').fill('a key');
      await visitor.button('Connect ActiveCampaign').click();
      await visitor.reads('You can close this window.');
    }),
    at('GET /link/{token}', 'link-unknown', 'nobody', '/link/nobody-has-made-this-one', 404),
    by('POST /link/{token}/connect', 'link-connected', 'sent', async (visitor) => {
      await visitor.go(await sandbox());
      await visitor.button('Connect Sandbox').click();
      await consentAtSandbox(visitor.page, 'Linus');
      await visitor.reads('You can close this window.');
    }),
    by('POST /link/{token}/connect', 'link-declined', 'sent', async (visitor) => {
      await visitor.go(await sandbox());
      await visitor.button('Connect Sandbox').click();
      await consentAtSandbox(visitor.page, 'Linus', { deny: true });
      await visitor.link('Try again').waitFor();
    }),
  ];
}
