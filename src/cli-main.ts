#!/usr/bin/env node
import module from 'node:module';
import { isAbsolute, join } from 'node:path';
import { problemOfNode } from './cli/node-version.ts';
import { version } from './version.ts';

const tooOld = problemOfNode(process.versions.node);
if (tooOld !== undefined) {
  process.stderr.write(`${tooOld}\n`);
  process.exit(1);
}

// Most of what a command takes is the compilation of what it is made of. It is kept from the first one on, in a folder of the user's own:
// Node's default is one that others may write to.
const { XDG_CACHE_HOME: caches, HOME: home } = process.env;
const parent = [caches, join(home ?? '', '.cache')].find((path) => path !== undefined && isAbsolute(path));
if (parent !== undefined) module.enableCompileCache(join(parent, 'bullpen', 'compiled'));

const { main } = await import('./cli/main.ts');
await main(version);
