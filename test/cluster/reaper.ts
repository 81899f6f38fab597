/**
 * Waits until the process that started it ends (its input ends then) and tears the cluster in the given folder down, unless that
 * has happened already. See reaper-guard.ts.
 */
import { tearDown } from './teardown.ts';

const folder = process.argv[2];
if (folder === undefined) throw new Error('usage: reaper.ts FOLDER');
process.stdin.resume().once('end', () => void tearDown(folder));
