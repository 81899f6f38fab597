/** Which folder may import which: the layers of docs/architecture.md, checked by `npm run check`. */
const only = (folder, ...allowed) => ({
  name: `${folder}-imports-only-${allowed.join('-and-') || 'itself'}`,
  severity: 'error',
  from: { path: `^src/${folder}/` },
  to: {
    path: '^src/',
    pathNot: [
      `^src/${folder}/`,
      ...allowed.map((other) => (other.includes('/') ? `^src/${other}[.]ts$` : `^src/${other}/`)),
    ],
  },
});

module.exports = {
  forbidden: [
    only('api'),
    only('kube'),
    only('telemetry'),
    only('sealing'),
    only('config'),
    only('pods', 'api', 'kube', 'supervisor/wire'),
    only('supervisor', 'kube'),
    only('usage', 'api', 'kube', 'telemetry'),
    only('keys', 'api', 'kube'),
    only('gateway', 'api', 'config', 'kube', 'keys', 'pods', 'telemetry', 'sealing', 'supervisor/wire'),
    only('cli', 'api', 'kube', 'keys', 'pods'),
    only('controller', 'api', 'config', 'kube', 'pods', 'usage', 'telemetry', 'sealing', 'supervisor/wire'),
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'src-never-imports-tests',
      severity: 'error',
      from: { path: '^src/', pathNot: '([.]test[.]ts$|/testing/)' },
      to: { path: '^(test|demo|scripts)/' },
    },
    {
      name: 'no-undeclared-packages',
      severity: 'error',
      from: { path: '^src/', pathNot: '([.]test[.]ts$|/testing/)' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'unknown'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
