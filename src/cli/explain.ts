import { KubeError } from '../kube/errors.ts';

/** What somebody is told whose command has failed: what is wrong, and where we know it, what to do next. */
export function explain(error: unknown): string {
  if (!(error instanceof KubeError)) return error instanceof Error ? error.message : String(error);
  const { text, hint } = describe(error);
  return hint === undefined ? text : `${text}\n${hint}`;
}

const OTHER_CLUSTER =
  'Is the context the right one? kubectl config current-context. Options --kubeconfig and --context take another.';

function describe(error: KubeError): { text: string; hint?: string } {
  const said = error.status?.message;
  switch (error.reason) {
    case 'ConnectFailed':
    case 'ConnectionLost':
    case 'DeadlineExceeded':
      return {
        text: `The cluster does not answer: ${causeOf(error)}`,
        hint: OTHER_CLUSTER,
      };
    case 'InvalidAnswer':
      return {
        text: `What answers there does not speak as Kubernetes does: ${causeOf(error)}`,
        hint: OTHER_CLUSTER,
      };
    case 'NoCredentials':
      return {
        text: `The credentials of the kubeconfig cannot be used: ${causeOf(error)}`,
        hint: 'kubectl auth whoami should fail, too: log in to the cluster again.',
      };
    case 'Unauthorized':
      return {
        text: 'The cluster does not take the credentials of the kubeconfig.',
        hint: 'They may have expired: log in to the cluster again. kubectl auth whoami says whether that helped.',
      };
    case 'Forbidden':
      return {
        text: said ?? error.message,
        hint: 'kubectl auth can-i --list -n NAMESPACE says what you may do.',
      };
    case 'NotServed':
      return {
        text: 'The cluster does not know the resources of Bullpen.',
        hint: 'Is it installed? bullpen doctor says what is missing.',
      };
    case 'NotFound':
      if (error.details?.kind === 'namespaces')
        return { text: said ?? error.message, hint: `bullpen org create ${error.details.name ?? 'NAME'} makes it.` };
      return { text: said ?? error.message };
    default:
      return { text: said ?? error.message };
  }
}

function causeOf({ cause, reason }: KubeError): string {
  if (!(cause instanceof Error)) return reason;
  // That of a host with several addresses has no message.
  return cause.message || (cause as NodeJS.ErrnoException).code || reason;
}
