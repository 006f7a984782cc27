// A server with people in it, for the tour: somebody with connections in every state, somebody without any, and somebody
// who becomes its operator.
import assert from 'node:assert/strict';

import { askToDelete, chooseService, signIn } from './people.mjs';
import { consentAtSandbox } from './providers.mjs';
import { until } from './until.mjs';
import { PASSWORD } from './world.mjs';

/// What Ada keeps that was made elsewhere.
const PASTED = [['github', 'Deploys'], ['discord', 'Community bot'], ['notion', 'Team wiki'], ['slack', 'Alerts']];

class House {
  constructor(trip, world, api) {
    Object.assign(this, { trip, world, api, browsers: {}, signIn });
  }

  /// The browser of `nobody`, `sent` (who is sent links), `leaver`, `ada`, `newcomer`, `leaving` (Ada, who never arrives at
  /// a service) or `operator`.
  visitor(who) {
    this.browsers[who] ??= this.open(who);
    return this.browsers[who];
  }

  async open(who) {
    const visitor = await this.trip.visitor(this.world, this.language ? { context: { locale: this.language } } : {});
    const names = { ada: 'ada', newcomer: 'newcomer', leaving: 'ada', operator: 'olga' };
    if (who === 'operator') await this.world.run(['user', 'role', 'olga', 'operator']);
    if (names[who]) await signIn(visitor, names[who]);
    if (who === 'leaving') {
      // An answer without a page leaves the page where it is.
      await visitor.page.route((url) => url.href.startsWith(this.world.sandbox), (route) => route.fulfill({ status: 204 }));
    }
    return visitor;
  }

  /// Grants at the sandbox, brought along as connections of a user. Gives their ids.
  async bring(api, prefix, names, expires_in) {
    const { grants } = await this.world.control({
      issue_grants: { client: this.world.client.id, account_prefix: prefix, n: names.length, scopes: 'profile email' },
    });
    const ids = [];
    for (const [i, { access_token, refresh_token }] of grants.entries()) {
      const { id } = await api.ok('POST', `/api/users/${api.name}/connections`, {
        service: 'sandbox', kind: 'oauth2', name: names[i], access_token, refresh_token, expires_in,
      });
      ids.push({ id, account: grants[i].account });
    }
    return ids;
  }

  /// Asks, on its page, for the delete of a connection that was made for it. Gives the path of that.
  async deleteOne(visitor) {
    this.deleted = (this.deleted ?? 0) + 1;
    const name = `Old backup ${this.deleted}`;
    const { id } = await this.api.ada.ok('POST', '/api/users/ada/connections', {
      service: 'github', kind: 'plain', name, token: 'any',
    });
    await askToDelete(visitor, `/connections/${id}`, name);
    return `/connections/${id}`;
  }

  /// Comes back from the sandbox in a browser that did not ask for the link.
  async comeBackElsewhere(visitor) {
    await visitor.page.goto(await this.api.ada.link('sandbox'));
    await consentAtSandbox(visitor.page, 'Linus');
  }

  /// Goes to the sandbox and agrees, or does not.
  async connectAs(visitor, account, options) {
    await chooseService(visitor, 'sandbox');
    await visitor.button(/^Continue to /).click();
    await consentAtSandbox(visitor.page, account, options);
  }
}

/// Furnishes a world.
export async function furnish(trip) {
  const world = await trip.world({ device: true });
  const api = {};
  for (const name of ['olga', 'ada', 'newcomer', 'leaver']) api[name] = await world.api().signUp(name, PASSWORD);
  const house = new House(trip, world, api);
  const fresh = await house.bring(api.leaver, 'leaver', Array.from({ length: 12 }, (_, i) => `Report ${i + 1}`), 1);
  const [kept] = await house.bring(api.ada, 'ada.work', ['Calendar sync'], 3600);
  const [ended] = await house.bring(api.ada, 'ada.home', ['Photo backup'], 1);
  for (const [service, name] of PASTED) {
    const { id } = await api.ada.ok('POST', '/api/users/ada/connections', { service, kind: 'plain', name, token: 'any' });
    house.pasted = id;
  }
  await world.revoke('sandbox', ended.account);
  await api.ada.untilReconnectRequired(ended.id);
  assert.equal((await api.ada.token_of(kept.id)).status, 200);
  await until('some are refreshed', async () => {
    await Promise.all(fresh.map(({ id }) => api.leaver.token_of(id)));
    const all = await api.leaver.connections();
    return all.every(({ last_refreshed_at: at }) => at);
  });
  house.connections = { sandbox: kept.id, ended: ended.id, pasted: house.pasted };
  return house;
}
