/**
 * The version of a module that a go.mod file requires, for example `v1.34.4`. Throws if the file does not require it.
 */
export function requiredVersion(goMod: string, module: string): string {
  for (const line of goMod.split('\n')) {
    const words = line
      .replace(/\/\/.*$/, '')
      .replace(/^\s*require\s/, ' ')
      .trim()
      .split(/\s+/);
    if (words[0] === module && words[1]?.startsWith('v') === true && words.length === 2) return words[1];
  }
  throw new Error(`go.mod requires no ${module}`);
}

/** Numbers of a version such as `go1.24.3`, `v1.34.4` or `1.26rc1`; undefined if it starts with no number. */
export function parseVersion(text: string): [major: number, minor: number, patch: number] | undefined {
  const match = /^(?:go|v)?(\d+)\.(\d+)(?:\.(\d+))?/.exec(text.trim());
  if (match === null) return undefined;
  return [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)];
}

/** Whether a version is at least `major.minor`. */
export function isAtLeast(text: string, major: number, minor: number): boolean {
  const version = parseVersion(text);
  if (version === undefined) return false;
  return version[0] > major || (version[0] === major && version[1] >= minor);
}
