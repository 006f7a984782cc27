// A program that calls the API.
import assert from 'node:assert/strict';

import { until } from './until.mjs';

export class Api {
  constructor(base) {
    this.base = base;
  }

  async send(method, path, body) {
    const headers = { ...(this.token ? { authorization: this.token } : {}) };
    if (body) headers['content-type'] = 'application/json';
    const answer = await fetch(this.base + path, { method, headers, body: body && JSON.stringify(body), redirect: 'manual' });
    const text = await answer.text();
    return { status: answer.status, headers: answer.headers, text, json: () => JSON.parse(text) };
  }

  async ok(method, path, body) {
    const answer = await this.send(method, path, body);
    assert.ok(answer.status >= 200 && answer.status < 300, `${method} ${path}: ${answer.status} ${answer.text}`);
    return answer.json();
  }

  async signUp(name, password) {
    await this.ok('POST', '/api/auth/signup', { username: name, email: `${name}@example.org`, password });
    return this.logIn(name, password);
  }

  async logIn(name, password) {
    const { access_token: token } = await this.ok('POST', '/api/auth/login', { username: name, password });
    this.token = token;
    this.name = name;
    return this;
  }

  /// The user's connections, with all there is to say about them.
  async connections() {
    return (await this.ok('GET', `/api/users/${this.name}/connections`)).connections;
  }

  /// One connection, with all there is to say about it.
  detail(id) {
    return this.ok('GET', `/api/users/${this.name}/connections/${id}`);
  }

  /// The token of a connection. With `valid` it lives at least so many seconds, if it has to be refreshed for that.
  async token_of(id, valid) {
    return this.send('GET', `/api/users/${this.name}/get/connection/${id}${valid ? `?min_valid_for=${valid}` : ''}`);
  }

  /// Waits until a connection whose grant has ended at its service is known to need its owner: when its token has run out.
  async untilReconnectRequired(id) {
    await until(`${id} must be connected again`, async () => {
      const answer = await this.token_of(id);
      return answer.status === 409 && answer.json().code === 'reconnect_required';
    });
  }

  /// A connect link to send a person.
  makeLink(body) {
    return this.ok('POST', `/api/users/${this.name}/connect/links`, body);
  }

  /// A link at which a service is connected, as a program asks for it.
  async link(service) {
    return (await this.ok('GET', `/api/user/connection/access/token/${service}`)).url;
  }
}
