// What a person does at the providers' own pages.

/// Says at the sandbox who they are and that it may. `without` are scopes they untick.
export async function consentAtSandbox(page, account, { without = [], deny = false } = {}) {
  await page.getByRole('heading', { name: /asks for access/ }).waitFor();
  await page.getByRole('radio', { name: new RegExp(`^${account}`, 'i') }).check();
  for (const scope of without) await page.getByRole('checkbox', { name: scope, exact: true }).uncheck();
  await page.getByRole('button', { name: deny ? 'Deny' : 'Allow' }).click();
}

/// Signs in at oidc-provider, where one is not signed in there, and agrees.
export async function consentAtOidc(page, account) {
  const login = page.getByPlaceholder('Enter any login');
  const go = page.getByRole('button', { name: 'Continue' });
  await login.or(go).waitFor();
  if (await login.isVisible()) {
    await login.fill(account);
    await page.getByPlaceholder('and password').fill('any');
    await page.getByRole('button', { name: 'Sign-in' }).click();
  }
  await go.click();
}

/// Its pages ask Google for a font. They do not get it, and are not ours.
export const OIDC_FONT = /fonts\.googleapis\.com|fonts\.gstatic\.com/;
