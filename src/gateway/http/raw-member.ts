/** What is between the tokens of JSON. */
const SPACE = /[\t\n\r ]/;

/**
 * The text of one member of a JSON object, as it was sent: to parse it and write it again would change its numbers. Of several by that
 * name the last counts, as for `JSON.parse`; undefined when there is none.
 *
 * @param json an object that `JSON.parse` has taken; of anything else the answer means nothing
 */
export function rawMember(json: string, name: string): string | undefined {
  let found: string | undefined;
  let at = skipSpace(json, 0) + 1;
  for (;;) {
    at = skipSpace(json, at);
    if (json[at] !== '"') return found;
    const keyEnd = stringEnd(json, at);
    const isWanted = JSON.parse(json.slice(at, keyEnd)) === name;
    const start = skipSpace(json, skipSpace(json, keyEnd) + 1);
    const end = valueEnd(json, start);
    if (isWanted) found = json.slice(start, end);
    at = skipSpace(json, end);
    if (json[at] !== ',') return found;
    at += 1;
  }
}

function skipSpace(json: string, from: number): number {
  let at = from;
  while (SPACE.test(json[at] ?? '')) at += 1;
  return at;
}

/** After the closing quote of the string that begins here. */
function stringEnd(json: string, from: number): number {
  let at = from + 1;
  while (at < json.length && json[at] !== '"') at += json[at] === '\\' ? 2 : 1;
  return at + 1;
}

/** After the value that begins here. Never recurses: what is nested is only counted. */
function valueEnd(json: string, from: number): number {
  let depth = 0;
  for (let at = from; at < json.length;) {
    const character = json[at] ?? '';
    if (character === '"') {
      at = stringEnd(json, at);
      if (depth === 0) return at;
      continue;
    }
    if (depth === 0 && (character === ',' || character === '}' || SPACE.test(character))) return at;
    at += 1;
    if (character === '{' || character === '[') depth += 1;
    else if (character === '}' || character === ']') {
      depth -= 1;
      if (depth === 0) return at;
    }
  }
  return json.length;
}
