import { apiKeys, agents, sessions } from '../../api/resources.ts';
import { isForbidden, isNotFound, KubeError } from '../../kube/errors.ts';
import { pods as podResource, type Resource } from '../../kube/resources.ts';
import { isReady } from '../../pods/pod-facts.ts';
import { CliError, ofValues, type Command, type Tools } from '../command.ts';
import { organization } from '../doctor/organization.ts';
import { ownNamespaces } from '../doctor/own-namespace.ts';
import type { Finding } from '../doctor/finding.ts';
import { encode, isData } from '../print.ts';

interface ServerVersion {
  major: string;
  minor: string;
  gitVersion: string;
}

const OLDEST_MINOR = 33;

export const doctor: Command = {
  name: 'doctor',
  args: [],
  summary: 'Look at the cluster and the installation, and say what to fix',
  options: {},
  outputs: ofValues,
  async run(tools) {
    const findings = [
      await kubernetes(tools),
      ...(await resources(tools)),
      ...(await programs(tools)),
      ...(await ofAgents(tools)),
      ...(await organization(tools)),
      ...(await ownNamespaces(tools)),
    ];
    const { output, print } = tools;
    if (isData(output)) await print(encode(findings, output));
    else for (const finding of findings) await tell(finding, print);
    const bad = findings.filter(({ ok }) => ok === false).length;
    if (bad > 0) throw new CliError(`${bad} of ${findings.length} checks failed.`);
  },
};

async function tell({ what, ok, hint }: Finding, print: Tools['print']): Promise<void> {
  const marks = { true: 'ok  ', false: 'BAD ', unknown: '?   ' } as const;
  await print(`${marks[`${ok}`]} ${what}`);
  if (hint !== undefined) await print(`     ${hint}`);
}

async function kubernetes({ api }: Tools): Promise<Finding> {
  const { gitVersion, minor } = await api.raw<ServerVersion>('/version');
  const isNew = Number.parseInt(minor, 10) >= OLDEST_MINOR;
  const hint = `Bullpen needs Kubernetes 1.${OLDEST_MINOR} or later: upgrade the cluster.`;
  return { what: `Kubernetes ${gitVersion} answers`, ok: isNew, ...(!isNew && { hint }) };
}

async function resources({ api, namespace }: Tools): Promise<Finding[]> {
  const look = async (resource: Resource): Promise<Finding> => {
    const what = `${resource.kind}s are served`;
    try {
      await api.list(resource, { namespace, limit: 1 });
      return { what, ok: true };
    } catch (error) {
      if (isForbidden(error))
        return { what, ok: 'unknown', hint: `You may not list ${resource.plural} in namespace ${namespace}.` };
      const isMissing = isNotFound(error) || (error instanceof KubeError && error.code === 404);
      if (!isMissing) throw error;
      return {
        what,
        ok: false,
        hint: 'The CRDs are not installed: helm upgrade --install bullpen ..., or kubectl apply -f crds/',
      };
    }
  };
  return await Promise.all([agents, sessions, apiKeys].map((each) => look(each as Resource)));
}

async function programs({ api }: Tools): Promise<Finding[]> {
  const labelSelector = 'app.kubernetes.io/part-of=bullpen,app.kubernetes.io/component in (controller,gateway)';
  try {
    const { items } = await api.list(podResource, { labelSelector });
    return ['controller', 'gateway'].map((component) => {
      const own = items.filter(({ metadata }) => metadata.labels?.['app.kubernetes.io/component'] === component);
      const ready = own.filter((pod) => isReady(pod)).length;
      const where = own[0]?.metadata.namespace ?? '';
      const what = `${component}: ${ready} of ${own.length} pods are ready`;
      if (ready > 0) return { what, ok: true };
      if (own.length === 0) {
        const hint =
          component === 'gateway'
            ? 'Without it there is no REST API: gateway.enabled in the values.'
            : 'Install Bullpen: helm install bullpen ...';
        return { what, ok: component === 'gateway' ? 'unknown' : false, hint };
      }
      return { what, ok: false, hint: `kubectl -n ${where} describe pods -l app.kubernetes.io/component=${component}` };
    });
  } catch (error) {
    if (isForbidden(error))
      return [
        { what: 'the pods of controller and gateway', ok: 'unknown', hint: 'You may not list pods of all namespaces.' },
      ];
    throw error;
  }
}

async function ofAgents({ api, namespace }: Tools): Promise<Finding[]> {
  try {
    const { items } = await api.list(agents, { namespace });
    return items.map(({ metadata, status }) => {
      const ready = status?.conditions?.find(({ type }) => type === 'Ready');
      const isOk = ready?.status === 'True';
      const hint =
        ready === undefined
          ? 'The controller has not looked at it: does it serve this namespace?'
          : `${ready.reason}: ${ready.message}`;
      return { what: `agent ${metadata.name} is ready`, ok: isOk, ...(!isOk && { hint }) };
    });
  } catch (error) {
    if (error instanceof KubeError && (error.code === 403 || error.code === 404)) return [];
    throw error;
  }
}
