import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { labels } from '../../api/names.ts';
import { CliBed, type Ran } from '../testing/cli-bed.ts';

const OURS = '/apis/bullpen.dev/v1alpha1/namespaces/calls';
const BINDING = 'GET /apis/rbac.authorization.k8s.io/v1/namespaces/calls/rolebindings/gateway-organization';
const OWN_BINDING = BINDING.replace('calls', 'system');
const NAMESPACE = 'GET /api/v1/namespaces/calls';
const COMPONENT = 'app.kubernetes.io/component';
const GATEWAYS = 'GET /apis/apps/v1/deployments';

let bed: CliBed;
beforeEach(async () => {
  bed = new CliBed();
  await bed.open();
});
afterEach(() => bed.close());

const bound = (kind: string) => ({ roleRef: { kind, name: 'gateway-organization' } });
const labelled = (own: Record<string, string>) => ({ metadata: { name: 'calls', labels: own } });
const listOf = (name?: string, { namespace = 'system' } = {}) => ({
  metadata: { resourceVersion: '5' },
  items: name === undefined ? [] : [{ metadata: { name, namespace, labels: { [COMPONENT]: name } } }],
});

/** Runs the doctor in a cluster in which there is this; all else is empty. A number is the code of a refusal. */
async function doctor(there: Record<string, object | number>, ...options: string[]): Promise<Ran> {
  const ran = bed.run('doctor', ...options);
  const done = ran.then(() => undefined);
  const all: Record<string, object | number> = {
    'GET /version': { minor: '35', gitVersion: 'v1.35.0' },
    [BINDING]: 404,
    [OWN_BINDING]: 404,
    [GATEWAYS]: listOf('gateway'),
    ...there,
  };
  for (;;) {
    const request = await Promise.race([bed.server.next(), done]);
    if (request === undefined) return await ran;
    const answer = all[request.what] ?? listOf();
    if (typeof answer === 'object') request.json(200, answer);
    else request.status(answer, answer === 404 ? 'NotFound' : 'Forbidden');
  }
}

const keys = { [`GET ${OURS}/apikeys`]: listOf('key') };
const missing = '     Its agents cannot be used over REST: bullpen org create calls';

describe('bullpen doctor, of a namespace with keys', () => {
  it.each([
    ['has no RoleBinding', { [NAMESPACE]: labelled({ [labels.organization]: '' }) }],
    ['has no label', { [BINDING]: bound('ClusterRole'), [NAMESPACE]: labelled({}) }],
  ])('says what to do where it %s', async (_, there) => {
    const { stdout } = await doctor({ ...keys, ...there });
    expect(stdout).toContain(`BAD  namespace calls is an organization of the REST API\n${missing}`);
  });

  it.each([
    ['org create', { [BINDING]: bound('ClusterRole'), [NAMESPACE]: labelled({ [labels.organization]: '' }) }],
    ['the chart', { [BINDING]: bound('Role'), [NAMESPACE]: labelled({}) }],
  ])('is content with what %s makes', async (_, there) => {
    const { stdout } = await doctor({ ...keys, ...there });
    expect(stdout).toMatch(/^ok {3}namespace calls is an organization/m);
  });

  it('says that it cannot know what it may not see', async () => {
    const { stdout } = await doctor({ ...keys, [BINDING]: 403 });
    expect(stdout).toContain('?    namespace calls is an organization of the REST API\n     scripted Forbidden');
  });

  it('asks for nothing where there is no gateway', async () => {
    expect((await doctor({ ...keys, [GATEWAYS]: listOf() })).stdout).not.toContain('organization');
  });
});

describe('bullpen doctor, of a namespace without keys', () => {
  it('takes it to be meant so that its agents are not used over REST', async () => {
    const { stdout } = await doctor({ [`GET ${OURS}/agents`]: listOf('echo') });
    expect(stdout).toContain(`?    namespace calls is an organization of the REST API\n${missing}`);
  });

  it('asks for nothing where there are no agents either', async () => {
    expect((await doctor({})).stdout).not.toContain('organization');
  });
});

describe("bullpen doctor, of Bullpen's own namespace", () => {
  const what = "gateway gateway can change nothing in Bullpen's own namespace system";

  it('is content where the gateway is kept out of it', async () => {
    expect((await doctor({})).stdout).toMatch(new RegExp(`^ok {3}${what}$`, 'm'));
  });

  it('says how to get the gateway out of it', async () => {
    const { code, stdout } = await doctor({ [OWN_BINDING]: bound('ClusterRole') });
    expect(code).toBe(1);
    expect(stdout).toContain(`BAD  ${what}\n`);
    expect(stdout).toContain('kubectl -n system delete rolebinding gateway-organization');
  });

  it('does not ask for it to be made an organization', async () => {
    const { stdout } = await doctor({ ...keys, [GATEWAYS]: listOf('gateway', { namespace: 'calls' }) });
    expect(stdout).not.toContain('bullpen org create calls');
    expect(stdout).toContain("It is Bullpen's own");
  });

  it('says nothing to who may not see where Bullpen is', async () => {
    const { stdout } = await doctor({ [GATEWAYS]: 403 });
    expect(stdout).not.toContain('own namespace');
  });
});

it('bullpen doctor prints its findings for programs', async () => {
  const { stdout } = await doctor(keys, '-o', 'json');
  const what = 'namespace calls is an organization of the REST API';
  expect(JSON.parse(stdout)).toContainEqual({ what, ok: false, hint: missing.trim() });
});
