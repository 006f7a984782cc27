/// How long anything may take that a person waits for. The machine may be busy.
export const PATIENCE_MS = 20_000;

/// Waits until something is so.
export async function until(what, happened, patience = PATIENCE_MS) {
  const began = Date.now();
  for (;;) {
    const value = await happened();
    if (value) return value;
    if (Date.now() - began > patience) throw new Error(`this never happened: ${what}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}
