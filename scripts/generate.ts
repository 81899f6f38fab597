import { runStep } from './steps.ts';

/** Everything that is generated and committed; unit tests fail when one of them is not up to date. */
const GENERATORS = [
  'generate-crds.ts',
  'generate-resource-docs.ts',
  'generate-metrics-doc.ts',
  'generate-routes-doc.ts',
];

for (const file of GENERATORS) {
  const { ok } = await runStep(
    { name: file, command: [process.execPath, `${import.meta.dirname}/${file}`] },
    { live: true },
  );
  if (!ok) process.exitCode = 1;
}
