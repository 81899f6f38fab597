import { busyboxImage } from '../test/cluster/base-images.ts';
import type { Cluster } from '../test/cluster/cluster.ts';
import { BULLPEN_IMAGE, loadBullpenImage } from '../test/support/bullpen-image.ts';
import { loadImage } from '../test/support/load-image.ts';
import { showInstantStarts } from './instant-starts.ts';
import { NAMESPACE } from './names.ts';
import type { Tutorial } from './tutorial.ts';

const SYSTEM = 'bullpen-system';

/** Image, chart, and a look at what was installed. */
export async function installBullpen(tutorial: Tutorial, cluster: Cluster): Promise<void> {
  tutorial.chapter('Install Bullpen');
  tutorial.say(
    'Building the image and giving it to the node. (With a registry: docker build -t you/bullpen . && docker push you/bullpen)',
  );
  await loadBullpenImage(cluster);
  await provideExampleImage(cluster);
  tutorial.say(
    'One chart: the two resources, the controller, its rights. Nothing else is needed, no webhook and no certificate manager.',
  );
  await tutorial.type(
    `helm install bullpen charts/bullpen --namespace ${SYSTEM} --create-namespace \\\n    --set image.repository=${BULLPEN_IMAGE.repository},image.tag=${BULLPEN_IMAGE.tag},image.pullPolicy=IfNotPresent --wait`,
  );
  await tutorial.type(`helm test bullpen --namespace ${SYSTEM}`, { quiet: true });
  tutorial.say('The controller is ready and the API server knows Agents and Sessions.');
  await tutorial.type(`kubectl get pods --namespace ${SYSTEM}`);
}

/** The image that examples/agent.yaml names; a node without a registry gets one made here. */
async function provideExampleImage(cluster: Cluster): Promise<void> {
  if (cluster.provider !== 'binaries') return;
  await loadImage(cluster, { ...(await busyboxImage()), name: 'docker.io/library/busybox:1.36' });
}

/** Sessions in every way they can end. */
export async function runSessions(tutorial: Tutorial, cluster: Cluster): Promise<void> {
  tutorial.chapter('Deploy an agent');
  tutorial.say(
    'An Agent is an image with limits. This one counts to 20, a number a second; at most 3 sessions of it run at one time.',
  );
  await tutorial.type(`kubectl create namespace ${NAMESPACE}`);
  await tutorial.type(`kubectl apply --namespace ${NAMESPACE} -f examples/agent.yaml`);
  await tutorial.type(`kubectl wait --namespace ${NAMESPACE} agent/counter --for=condition=Ready --timeout=30s`);

  tutorial.chapter('Start a session');
  tutorial.say('A Session is one run of the Agent. It becomes a pod, which runs once and is never restarted.');
  await tutorial.type(`kubectl apply --namespace ${NAMESPACE} -f examples/session.yaml`);
  await inPhase(tutorial, 'hello', 'Running');
  await tutorial.type(`kubectl get --namespace ${NAMESPACE} agents,sessions,pods`);

  tutorial.chapter('Never above the limit');
  tutorial.say('Two more sessions fill the Agent. One of them may run for 8 seconds only; the other we shall stop.');
  await apply(tutorial, [
    ['short', 'maxSessionDuration: 8'],
    ['stopped', 'body: "I shall be stopped"'],
  ]);
  await inPhase(tutorial, 'short', 'Running');
  await inPhase(tutorial, 'stopped', 'Running');
  tutorial.say('The fourth is refused at once. (With whenFull: Queue it would wait its turn.)');
  await apply(tutorial, [['fourth', 'body: "one too many"']]);
  await inPhase(tutorial, 'fourth', 'Rejected');
  await tutorial.type(`kubectl get --namespace ${NAMESPACE} sessions`);
  await tutorial.type(`kubectl get --namespace ${NAMESPACE} session fourth -o jsonpath='{.status.message}{"\\n"}'`);

  tutorial.chapter('Stop one');
  tutorial.say('The agent hears SIGTERM and has 5 seconds for its goodbye. Its logs stay.');
  await tutorial.type(
    `kubectl patch --namespace ${NAMESPACE} session stopped --type=merge -p '{"spec":{"stop":true}}'`,
  );
  await inPhase(tutorial, 'stopped', 'Ended');
  await logs(tutorial, 'stopped');

  tutorial.chapter('Never past its duration');
  await inPhase(tutorial, 'short', 'Ended');
  await logs(tutorial, 'short');
  await tutorial.type(`kubectl get --namespace ${NAMESPACE} session short -o wide`);

  tutorial.chapter('Deleting an Agent ends no session');
  tutorial.say('New sessions are refused; the one that runs goes on to its own end.');
  await apply(tutorial, [['survivor', 'body: "I outlive my Agent"']]);
  await inPhase(tutorial, 'survivor', 'Running');
  await tutorial.type(`kubectl delete --namespace ${NAMESPACE} -f examples/agent.yaml`);
  await apply(tutorial, [['late', 'body: "too late"']]);
  await inPhase(tutorial, 'late', 'Rejected');
  await tutorial.type(`kubectl get --namespace ${NAMESPACE} sessions`);
  await tutorial.type(`kubectl wait --namespace ${NAMESPACE} session/survivor --for=condition=Finished --timeout=2m`);
  await logs(tutorial, 'survivor');

  await showInstantStarts(tutorial, cluster);

  tutorial.chapter('What it cost');
  tutorial.say(
    'Usage is counted once per session, by the replica that leads. Prometheus reads it from /metrics; here it is by hand.',
  );
  await tutorial.type(
    `LEADER=$(kubectl get --namespace ${SYSTEM} lease bullpen-controller -o jsonpath='{.spec.holderIdentity}' | cut -d_ -f1)\nkubectl get --raw "/api/v1/namespaces/${SYSTEM}/pods/$LEADER:8080/proxy/metrics" | grep -E '^bullpen_(session_seconds|sessions)_total'`,
  );
  await tutorial.type(
    `kubectl get --namespace ${NAMESPACE} sessions -o custom-columns=NAME:.metadata.name,PHASE:.status.phase,REASON:.status.reason,USED:.status.usageSeconds`,
  );
}

export async function uninstallBullpen(tutorial: Tutorial): Promise<void> {
  tutorial.chapter('Clean up');
  await tutorial.type(`kubectl delete namespace ${NAMESPACE}`);
  tutorial.say(
    'The chart leaves the two resource definitions behind, since deleting them would delete everybody’s Agents and Sessions.',
  );
  await tutorial.type(`helm uninstall bullpen --namespace ${SYSTEM} --wait`);
}

async function apply(tutorial: Tutorial, sessions: readonly (readonly [name: string, line: string])[]): Promise<void> {
  const manifests = sessions.map(
    ([name, line]) =>
      `apiVersion: bullpen.dev/v1alpha1\nkind: Session\nmetadata:\n  name: ${name}\nspec:\n  agent: counter\n  ${line}`,
  );
  await tutorial.type(`kubectl apply --namespace ${NAMESPACE} -f -`, { input: manifests.join('\n---\n') });
}

async function inPhase(tutorial: Tutorial, session: string, phase: string): Promise<void> {
  await tutorial.type(
    `kubectl wait --namespace ${NAMESPACE} session/${session} --for=jsonpath='{.status.phase}'=${phase} --timeout=2m`,
  );
}

async function logs(tutorial: Tutorial, session: string): Promise<void> {
  await tutorial.type(
    `kubectl logs --namespace ${NAMESPACE} "$(kubectl get --namespace ${NAMESPACE} session ${session} -o jsonpath='{.status.podName}')"`,
  );
}
