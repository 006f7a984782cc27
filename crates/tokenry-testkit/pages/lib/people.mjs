// What people do on our pages, by what they read there.
import { consentAtOidc, consentAtSandbox } from './providers.mjs';
import { PASSWORD } from './world.mjs';

export const SERVICES = { sandbox: /^sandbox$/i, oidc: /^oidc$/i };

export async function signUp(visitor, name) {
  await visitor.go('/sign-up');
  await visitor.page.getByLabel('Username').fill(name);
  await visitor.page.getByLabel('E-mail').fill(`${name}@example.org`);
  await visitor.page.getByLabel('Password').fill(PASSWORD);
  await visitor.button('Create the account').click();
  await visitor.button('Sign out').waitFor();
}

export async function signIn(visitor, name) {
  await visitor.go('/sign-in');
  await visitor.page.getByLabel('Username').fill(name);
  await visitor.page.getByLabel('Password').fill(PASSWORD);
  await visitor.button('Sign in').click();
  await visitor.button('Sign out').waitFor();
}

/// At the provider's page: says yes.
export async function consent(visitor, service, account, options) {
  if (service === 'sandbox') await consentAtSandbox(visitor.page, account, options);
  else await consentAtOidc(visitor.page, account);
}

/// From the list of connections to a service's own page.
export async function chooseService(visitor, service) {
  await visitor.go('/connections');
  await visitor.link('Connect an account').or(visitor.link('Choose a service')).first().click();
  await visitor.heading('What would you like to connect?');
  await visitor.page.getByLabel('Find a service').fill(service);
  await visitor.button('Find').click();
  await visitor.link(SERVICES[service]).click();
  await visitor.heading(new RegExp(`^Connect ${service}$`, 'i'));
}

/// Connects an account of a service, and gives the path of the connection.
export async function connect(visitor, service, account, options) {
  await chooseService(visitor, service);
  await visitor.button(/^Continue to /).click();
  await consent(visitor, service, account, options);
  await visitor.heading(new RegExp(`^Connected as ${account}`, 'i'));
  const look = visitor.link('See the connection');
  const path = await look.getAttribute('href');
  await look.click();
  await visitor.arrives(path);
  return path;
}

/// Connects an account with one click in the catalogue, and gives the path of the connection.
export async function connectAtOnce(visitor, service, account) {
  await visitor.go(`/connect?q=${service}`);
  await visitor.button(new RegExp(`^Connect ${service}$`, 'i')).click();
  await consent(visitor, service, account);
  await visitor.heading(new RegExp(`^Connected as ${account}`, 'i'));
  return visitor.link('See the connection').getAttribute('href');
}

/// Says "Connect again" on a connection's page, and agrees at the service.
export async function connectAgain(visitor, path, service, account) {
  await visitor.go(path);
  await visitor.button('Connect again').click();
  await consent(visitor, service, account);
  await visitor.heading(new RegExp(`^Connected as ${account}`, 'i'));
}

/// Asks on a connection's page for a scope besides.
export async function addScope(visitor, path, service, account, scope) {
  await visitor.go(path);
  await open(visitor, 'Add access');
  await visitor.page.getByLabel('Other scopes').fill(scope);
  await visitor.button(/^Ask /).click();
  await consent(visitor, service, account);
  await visitor.heading(new RegExp(`^Connected as ${account}`, 'i'));
}

/// Renames a connection where it stands in the list.
export async function renameInList(visitor, from, name) {
  await visitor.go('/connections');
  await visitor.page.getByLabel(`Rename ${from}`, { exact: true }).click();
  await visitor.page.getByLabel('Name', { exact: true }).filter({ visible: true }).fill(name);
  await visitor.button('Save the name').filter({ visible: true }).click();
  await visitor.page.getByRole('status').filter({ hasText: 'It has its new name.' }).waitFor();
  await visitor.arrives('/connections');
  await visitor.link(name).waitFor();
}

export async function rename(visitor, path, name) {
  await visitor.go(path);
  await open(visitor, 'Rename');
  await visitor.page.getByLabel('Name', { exact: true }).fill(name);
  await visitor.button('Save the name').click();
  await visitor.page.getByRole('status').filter({ hasText: 'It has its new name.' }).waitFor();
  await visitor.heading(name);
}

/// Asks for the delete; it can still be undone.
export async function askToDelete(visitor, path, name) {
  await visitor.go(path);
  await open(visitor, 'Delete this connection');
  await visitor.button('Delete it').click();
  await visitor.arrives('/connections');
  await visitor.reads('Being deleted:');
  await visitor.button(`Undo ${name}`).waitFor();
}

/// Unfolds what is behind a word.
export async function open(visitor, summary) {
  // A summary has no role of its own in every browser; its text is what a person reads.
  await visitor.page.getByText(summary, { exact: true }).click();
}
