import { decode, encode, type SourceMapMappings, type SourceMapSegment } from '@jridgewell/sourcemap-codec';

/** A source map, version 3, as esbuild writes it. */
export interface SourceMap {
  readonly version: number;
  readonly sources: readonly string[];
  readonly names: readonly string[];
  readonly mappings: string;
}

/**
 * The same map without what comes from packages: their code is nine tenths of a bundle, and reading a map of all of it
 * at the start costs a controller 60 MB of memory. Their frames in a stack trace show the place in the bundle.
 */
export function ownSourceMap(map: SourceMap): SourceMap {
  const isOurs = map.sources.map((source) => !source.includes('node_modules/'));
  const sources = map.sources.filter((_, index) => isOurs[index]);
  const newIndex = map.sources.map((source) => sources.indexOf(source));

  // Without an unmapped segment after it, the last mapping of ours would claim all that follows, on later lines too.
  let inOurs = false;
  const lines: SourceMapMappings = decode(map.mappings).map((line) => {
    const kept: SourceMapSegment[] = [];
    for (const segment of line) {
      const source = segment.length === 1 ? undefined : segment[1];
      if (source !== undefined && isOurs[source] === true) {
        kept.push(withSource(segment, newIndex[source] ?? 0));
        inOurs = true;
      } else if (inOurs) {
        kept.push([segment[0]]);
        inOurs = false;
      }
    }
    return kept;
  });
  return { ...map, sources, mappings: encode(lines) };
}

function withSource(segment: SourceMapSegment, source: number): SourceMapSegment {
  switch (segment.length) {
    case 1:
      return segment;
    case 4:
      return [segment[0], source, segment[2], segment[3]];
    case 5:
      return [segment[0], source, segment[2], segment[3], segment[4]];
  }
}
