/**
 * What `opening` resolves to, unless the signal comes first: then its reason is thrown, and `late` gets what is opened after that, to
 * close it.
 */
export async function unlessAborted<T>(opening: Promise<T>, signal: AbortSignal | undefined, late: (opened: T) => void): Promise<T> {
  if (signal === undefined) return opening;
  const over = new AbortController();
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true, signal: over.signal });
    if (signal.aborted) reject(signal.reason as Error);
  });
  try {
    return await Promise.race([opening, aborted]);
  } catch (error) {
    opening.then(late).catch(() => undefined);
    throw error;
  } finally {
    over.abort();
  }
}
