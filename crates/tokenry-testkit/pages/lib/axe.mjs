// axe-core: what a machine can tell about who can use a page (WCAG 2.2 A and AA, and best practice).
import { axeSource } from './browser.mjs';

const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/// What is wrong with the page that is shown: a line for each element.
export async function violations(page) {
  await page.evaluate(axeSource);
  const { violations: found, passes } = await page.evaluate(
    (tags) => globalThis.axe.run(document, { runOnly: { type: 'tag', values: tags }, resultTypes: ['violations'] }),
    TAGS,
  );
  if (passes.length === 0) throw new Error('axe has looked at nothing');
  return found.flatMap(({ id, help, nodes }) => nodes.map((node) =>
    `${id}: ${help}: ${node.target.join(' ')} ${node.html.replaceAll(/\s+/g, ' ').slice(0, 160)} ${node.any.concat(node.all, node.none).map((check) => check.message).join('; ')}`));
}
