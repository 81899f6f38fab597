import { NAMESPACE } from './names.ts';
import type { Tutorial } from './tutorial.ts';

/** The same without HTTP: Agents and Sessions as manifests. */
export async function runWithKubectl(tutorial: Tutorial): Promise<void> {
  tutorial.chapter('The same with kubectl');
  tutorial.say(
    'Agents and Sessions are ordinary objects. This Agent is of protocol Process: its container is started for the session, and over with it.',
  );
  await tutorial.type(`kubectl apply --namespace ${NAMESPACE} -f examples/agent.yaml -f examples/session.yaml`);
  tutorial.say(
    'This session may run for 8 seconds only. The agent hears SIGTERM then, and has 5 more for its goodbye.',
  );
  await tutorial.type(`kubectl apply --namespace ${NAMESPACE} -f -`, {
    input:
      'apiVersion: bullpen.dev/v1alpha1\nkind: Session\nmetadata:\n  name: short\nspec:\n  agent: counter\n  maxSessionDuration: 8',
  });
  await tutorial.type(`kubectl wait --namespace ${NAMESPACE} session/short --for=condition=Finished --timeout=2m`);
  await tutorial.type(`bullpen -n ${NAMESPACE} logs short`);
  await tutorial.type(`kubectl get --namespace ${NAMESPACE} session short -o wide`);
}
