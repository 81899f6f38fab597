/** Numbers between 0 and 1 that follow from a seed (mulberry32), so that a failing run can be repeated. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The seed that BULLPEN_TEST_SEED names, else a new one; printed, for the next time. */
export function chooseSeed(what: string): number {
  const given = Number(process.env['BULLPEN_TEST_SEED'] ?? '');
  const seed = given > 0 ? given : Math.floor(Math.random() * 2 ** 31) + 1;
  process.stdout.write(`${what}: repeat with BULLPEN_TEST_SEED=${seed}\n`);
  return seed;
}
