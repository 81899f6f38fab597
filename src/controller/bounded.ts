/**
 * Runs `action` for every item, at most `limit` at a time, and waits for all, whatever fails; then throws the first
 * failure. Once the signal is aborted it begins with no further item.
 */
export async function forEachBounded<T>(
  items: readonly T[],
  { limit, signal }: { limit: number; signal: AbortSignal },
  action: (item: T) => Promise<void>,
): Promise<void> {
  const failures: unknown[] = [];
  const queue = items.values();
  const worker = async (): Promise<void> => {
    for (const item of queue) {
      if (signal.aborted) return;
      try {
        await action(item);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
  if (failures.length > 0) throw failures[0];
}
