import { mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { toCustomResourceDefinition } from '../src/api/crd.ts';
import { agents, apiKeys, sessions } from '../src/api/resources.ts';

/** The folder that holds the generated files. */
export const crdFolder = fileURLToPath(new URL('../crds/', import.meta.url));

const header = '# Generated from src/api: do not edit. `node scripts/generate-crds.ts` makes it anew.\n';

/** Every CRD file by its name. */
export function renderCrds(): Map<string, string> {
  return new Map(
    [agents, sessions, apiKeys].map((resource) => [
      `${resource.group}_${resource.plural}.yaml`,
      header + stringify(toCustomResourceDefinition(resource), { lineWidth: 110, aliasDuplicateObjects: false }),
    ]),
  );
}

if (import.meta.main) {
  await mkdir(crdFolder, { recursive: true });
  for (const [name, text] of renderCrds()) {
    await writeFile(`${crdFolder}${name}`, text);
    console.log(`wrote crds/${name}`);
  }
}
