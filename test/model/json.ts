/** What is left of a value on its way over the wire: plain data without `undefined`, and nothing shared. */
export function toJson<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item: unknown) => toJson(item ?? null)) as T;
  const result: Record<string, unknown> = {};
  for (const [key, part] of Object.entries(value)) if (part !== undefined) result[key] = toJson(part as unknown);
  return result as T;
}
