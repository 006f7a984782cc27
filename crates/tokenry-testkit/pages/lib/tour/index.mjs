// How to come to each page of the table of routes, in the states that look different: who goes (`nobody`, `ada` who has
// connections, `newcomer` who has none, `operator`), and what they do to see the page. A form's page is seen where it has
// something to say: with what was wrong.
import assert from 'node:assert/strict';

import { ENTRANCE_REDIRECTS, entrance } from './entrance.mjs';
import { LINK_REDIRECTS, links } from './links.mjs';
import { OPERATOR_REDIRECTS, operator, setup } from './operator.mjs';
import { PERSON_REDIRECTS, person } from './person.mjs';

/// Forms that are answered with a redirect to a page of the tour, or with what such a page shows as well.
const REDIRECTS = new Set([...ENTRANCE_REDIRECTS, ...PERSON_REDIRECTS, ...OPERATOR_REDIRECTS, ...LINK_REDIRECTS]);

/// The stops, by what they belong to.
export function parts(house) {
  return {
    entrance: entrance(house),
    person: person(house),
    links: links(house),
    operator: [...setup(house), ...operator(house)],
  };
}

/// Checks that the tour goes to every page of the table, and to no other.
export function compare(stops, routes) {
  const ours = new Set(stops.map(({ route }) => route).filter(Boolean));
  const theirs = new Set(routes.map(({ method, path }) => `${method} ${path}`));
  const missing = [...theirs].filter((route) => !ours.has(route) && !REDIRECTS.has(route));
  assert.deepEqual(missing, [], 'nobody looks at these pages: pages/lib/tour');
  const gone = [...ours, ...REDIRECTS].filter((route) => !theirs.has(route));
  assert.deepEqual(gone, [], 'there are no such pages: pages/lib/tour');
}
