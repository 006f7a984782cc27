// A person who has a keyboard and nothing else.
import assert from 'node:assert/strict';

/// More stops than any page has.
const MOST_STOPS = 200;

/// Presses Tab until this is reached. At each stop the focus must be there to see, and further down the document than
/// at the one before.
export async function tabTo(page, target) {
  for (let stops = 0; stops < MOST_STOPS; stops += 1) {
    await page.keyboard.press('Tab');
    const stop = await page.evaluate(lookAtFocus);
    assert.ok(stop.inPage, `Tab left the page before it reached ${target}`);
    assert.ok(stop.visible, `the focus cannot be seen on ${stop.html}`);
    assert.ok(stop.onward, `the focus went back in the document, to ${stop.html}`);
    if (await target.first().evaluate((el) => el === document.activeElement)) return;
  }
  throw new Error(`Tab does not come to ${target}`);
}

/// Reaches a field and types into it.
export async function type(page, target, text) {
  await tabTo(page, target);
  await page.keyboard.press('ControlOrMeta+A');
  await page.keyboard.type(text);
}

/// Reaches a button or a link and presses Enter, or another key.
export async function press(page, target, key = 'Enter') {
  await tabTo(page, target);
  await page.keyboard.press(key);
}

// Runs in the page.
function lookAtFocus() {
  const el = document.activeElement;
  const inPage = el !== null && el !== document.body;
  if (!inPage) return { inPage };
  const last = globalThis.__tokenryStop;
  globalThis.__tokenryStop = el;
  const box = el.getBoundingClientRect();
  const style = getComputedStyle(el);
  const rings = (of) => {
    const { outlineStyle, outlineWidth } = getComputedStyle(of);
    return outlineStyle !== 'none' && parseFloat(outlineWidth) > 0;
  };
  // A link may show its focus on the card that it fills, a box on its label.
  const shows = [el, el.closest('li'), el.labels?.[0]].filter(Boolean);
  const ringed = shows.some(rings);
  const shown = box.width > 0 && box.height > 0 && box.bottom > 0 && box.top < innerHeight && style.visibility === 'visible';
  const onward = !last || !last.isConnected || last === el
    || Boolean(last.compareDocumentPosition(el) & (Node.DOCUMENT_POSITION_FOLLOWING | Node.DOCUMENT_POSITION_CONTAINED_BY));
  return { inPage, visible: Boolean(shown && ringed), onward, html: el.outerHTML.slice(0, 160) };
}
