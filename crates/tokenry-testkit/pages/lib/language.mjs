// A second language, made of the first: every text stands between two marks. What stands on a page outside of them was not said
// by the file of texts. The marks are letters that nobody sees and that no search for a text on a page minds.
import assert from 'node:assert/strict';

const OPEN = '\u200b';
const CLOSE = '\u00ad';
/// The tag of the second language: one that no browser asks for by itself.
export const TAG = 'eo';

/// The English file of texts, with every text between the marks.
export function marked(english) {
  const texts = english.split(/^(?=[a-z][a-z0-9-]* =)/m).slice(1);
  assert.ok(texts.length > 300, `only ${texts.length} texts were found`);
  return texts.map((text) => {
    // What follows a text (a heading, an empty line) is none of it.
    const [own] = text.split(/\n(?=#|\n|$)/);
    return `${own.replace(/ = ?/, ` = ${OPEN}`)}${CLOSE}\n`;
  }).join('');
}

/// The words on the page that is shown that no text says. Names, codes and times are data, and are marked as that.
export function unsaid(page) {
  return page.evaluate(([open, close]) => {
    const found = [];
    const letter = /\p{L}/u;
    const data = '[translate="no"], code, pre, time, script, style, textarea, .logo';
    let depth = 0;
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if (node.parentElement.closest(data)) continue;
      let outside = '';
      for (const char of node.data) {
        if (char === open) depth += 1;
        else if (char === close) depth -= 1;
        else if (depth === 0) outside += char;
      }
      if (letter.test(outside)) found.push(`${outside.trim()} in ${node.parentElement.outerHTML.slice(0, 160)}`);
    }
    if (depth !== 0) found.push('a text is not whole');
    for (const element of document.querySelectorAll('[aria-label], [title], [placeholder], [alt], [data-done]')) {
      if (element.closest(data)) continue;
      for (const name of ['aria-label', 'title', 'placeholder', 'alt', 'data-done']) {
        const text = element.getAttribute(name) ?? '';
        if (letter.test(text) && !(text.startsWith(open) && text.endsWith(close))) found.push(`${name}: ${text}`);
      }
    }
    const title = document.title.replace(/ · Tokenry$/, '');
    const named = [...document.querySelectorAll('h1 bdi')].map((name) => name.textContent);
    if (!title.startsWith(open) && !named.includes(title)) found.push(`title: ${title}`);
    return found;
  }, [OPEN, CLOSE]);
}
