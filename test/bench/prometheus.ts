/** One sample of Prometheus' text format. */
export interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

const line = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/;
const label = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;

/** The samples of these metrics. Others are not parsed: an API server has tens of thousands. */
export function parseMetrics(text: string, names: readonly string[]): Sample[] {
  const samples: Sample[] = [];
  for (const row of text.split('\n')) {
    if (!names.some((name) => row.startsWith(name))) continue;
    const [, name = '', list = '', value = ''] = line.exec(row) ?? [];
    if (!names.includes(name)) continue;
    const labels = Object.fromEntries([...list.matchAll(label)].map(([, key = '', text = '']) => [key, text]));
    samples.push({ name, labels, value: Number(value) });
  }
  return samples;
}

/** Counts under a name of their own, such as `POST pods`. */
export type Counts = ReadonlyMap<string, number>;

/** Adds samples up under what `keyOf` calls them; those without a key are left out. */
export function countBy(samples: readonly Sample[], keyOf: (sample: Sample) => string | undefined): Counts {
  const counts = new Map<string, number>();
  for (const sample of samples) {
    const key = keyOf(sample);
    if (key !== undefined) counts.set(key, (counts.get(key) ?? 0) + sample.value);
  }
  return counts;
}

/** What was added between two readings of counters; what did not change is left out. */
export function increase(before: Counts, after: Counts): Counts {
  const changes = [...after].map(([key, value]) => [key, value - (before.get(key) ?? 0)] as const);
  return new Map(changes.filter(([, value]) => value > 0).sort(([a], [b]) => (a < b ? -1 : 1)));
}

export function total(counts: Counts): number {
  return [...counts.values()].reduce((sum, value) => sum + value, 0);
}
