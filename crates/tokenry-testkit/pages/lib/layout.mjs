// What a page does to the eye: how wide it is, and whether it moves.

/// How much of a page may move while it comes (Cumulative Layout Shift); what Chromium rounds is below it.
const MOST_SHIFT = 0.01;

/// What is wrong with the page that is shown. With `moves` it may: somebody has just asked it to.
export async function layoutProblems(page, { moves = false } = {}) {
  // Two frames: what was going to move has moved.
  const { shift, shifts, wide, inner, culprits } = await page.evaluate(() => new Promise((done) => {
    requestAnimationFrame(() => requestAnimationFrame(() => {
      const root = document.documentElement;
      const inner = root.clientWidth;
      const culprits = [];
      // A box that scrolls by itself keeps what is in it.
      const contained = (el) => {
        for (let up = el.parentElement; up && up !== document.body; up = up.parentElement) {
          if (getComputedStyle(up).overflowX !== 'visible') return true;
        }
        return false;
      };
      for (const el of document.body.querySelectorAll('*')) {
        if (el.getBoundingClientRect().right > inner + 0.5 && !contained(el)) culprits.push(el.outerHTML.slice(0, 120));
      }
      done({ ...globalThis.__tokenry, wide: root.scrollWidth, inner, culprits });
    }));
  }));
  const problems = [];
  if (wide > inner) problems.push(`it is ${wide} px wide in ${inner}: ${culprits.slice(0, 3).join(' … ')}`);
  if (!moves && shift >= MOST_SHIFT) problems.push(`it jumps by ${shift.toFixed(3)}: ${shifts.join(' … ')}`);
  return problems;
}
