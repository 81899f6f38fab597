import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CliBed } from '../testing/cli-bed.ts';

let bed: CliBed;
beforeEach(async () => {
  bed = new CliBed();
  await bed.open();
});
afterEach(() => bed.close());

/** Something of Bullpen's own, in its namespace. */
const installed = (name: string, component: string) => ({
  metadata: { name, namespace: 'bullpen-system', labels: { 'app.kubernetes.io/component': component } },
  spec: { template: { spec: { serviceAccountName: `${name}-account` } } },
});
const controller = installed('bullpen-controller', 'controller');
const gateway = installed('bullpen-gateway', 'gateway');

describe('bullpen org create', () => {
  it('binds the gateways, and no controller', async () => {
    const ran = bed.run('org', 'create', 'calls');
    (await bed.server.next()).list('5', [controller, gateway]);
    for (const what of [
      'POST /api/v1/namespaces',
      'GET /apis/rbac.authorization.k8s.io/v1/namespaces/calls/rolebindings/bullpen-gateway-organization',
      'GET /apis/rbac.authorization.k8s.io/v1/clusterroles/bullpen-gateway-organization',
    ]) {
      const request = await bed.server.next();
      expect(request.what).toBe(what);
      if (what.endsWith('rolebindings/bullpen-gateway-organization')) request.status(404, 'NotFound');
      else request.json(200, { metadata: { name: 'calls' } });
    }
    const binding = await bed.server.next();
    expect(JSON.parse(binding.body)).toMatchObject({
      roleRef: { kind: 'ClusterRole', name: 'bullpen-gateway-organization' },
      subjects: [{ kind: 'ServiceAccount', name: 'bullpen-gateway-account', namespace: 'bullpen-system' }],
    });
    binding.json(201, {});
    const stdout = 'namespace/calls created\nrolebinding/bullpen-gateway-organization created';
    expect(await ran).toEqual({ code: 0, stdout, stderr: '' });
  });

  it.each([
    ['its gateway', [controller, gateway]],
    ['only its controller', [controller]],
  ])("makes none of Bullpen's own namespace, with %s, and changes nothing", async (_, items) => {
    const ran = bed.run('org', 'create', 'bullpen-system');
    (await bed.server.next()).list('5', items);
    const { code, stdout, stderr } = await ran;
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^Bullpen itself is in namespace bullpen-system: .*controller's keys.*bullpen org create /);
    expect(bed.server.untaken).toEqual([]);
  });

  it.each(['kube-system', 'kube-public', 'kube-node-lease'])("makes none of Kubernetes' own: %s", async (name) => {
    const { code, stderr } = await bed.run('org', 'create', name);
    expect(code).toBe(2);
    expect(stderr).toMatch(/"kube-" are Kubernetes' own.*bullpen org create /);
    expect(bed.server.untaken).toEqual([]);
  });
});
