import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Plane, Route } from '../src/gateway/http/route.ts';
import { allRoutes } from '../src/gateway/routes/all-routes.ts';

/** The generated page. */
export const routesPage = fileURLToPath(new URL('../docs/reference/routes.md', import.meta.url));

/** Every route as it is declared; nothing answers. */
export function declaredRoutes(): Route[] {
  const nothing = {} as never;
  return allRoutes({
    start: nothing,
    agents: nothing,
    deployments: nothing,
    sessions: nothing,
    logs: nothing,
    secrets: nothing,
    organizations: nothing,
  });
}

const planes: Record<Exclude<Plane, 'open'>, { title: string; takes: string }> = {
  public: {
    title: 'With a public key',
    takes: 'Takes a key of type Public (`pk_`), which says of which organization the agent is.',
  },
  private: {
    title: 'With a private key',
    takes: 'Takes a key of type Private (`sk_`) or Cli (`pcc_pat_`), which says of which organization all this is.',
  },
  organization: {
    title: 'Of an organization in the path',
    takes:
      'Takes a key of type Private or Cli of that very organization, or a bearer token of Kubernetes whose owner has the right, in that namespace.',
  },
  user: {
    title: 'About whoever calls',
    takes:
      'Takes a key of type Private or Cli, or a bearer token of Kubernetes. No right is needed: it shows what there is for them.',
  },
};

/** The page about all routes, as Markdown, made from the table that is served. */
export function renderRoutesPage(routes: readonly Route[] = declaredRoutes()): string {
  const sections = Object.entries(planes).map(([plane, { title, takes }]) => {
    const own = routes.filter((route) => route.plane === plane);
    return `## ${title}\n\n${takes}\n\n${table(own, plane === 'organization')}`;
  });
  return `<!-- Generated from src/gateway/routes: do not edit. \`node scripts/generate-routes-doc.ts\` makes it anew. -->

# Routes of the REST API

What each takes and answers is on the page \`/docs\` of a gateway, and for programs in its \`/openapi.json\`; nobody needs a key for these two.
[rest-api.md](../rest-api.md) has what they have in common, [keys-and-permissions.md](../keys-and-permissions.md) who may do what.

${sections.join('\n\n')}
`;
}

function table(routes: readonly Route[], withRights: boolean): string {
  const rows = routes.map(({ method, path, summary, access }) => {
    const request = `\`${method.toUpperCase()} ${path.replace(/:(\w+)/g, '{$1}')}\``;
    const right = withRights ? ` ${access === undefined ? '' : `\`${access.verb} ${access.resource}\``} |` : '';
    return `| ${request} | ${summary} |${right}`;
  });
  const head = withRights
    ? '| request | what it does | right |\n| --- | --- | --- |'
    : '| request | what it does |\n| --- | --- |';
  return [head, ...rows].join('\n');
}

if (import.meta.main) {
  await writeFile(routesPage, renderRoutesPage());
  console.log('wrote docs/reference/routes.md');
}
