import type { Cluster } from '../test/cluster/cluster.ts';
import { loadEchoAgentImage, loadPipecatBotImage } from '../test/support/example-images.ts';
import { NAMESPACE } from './names.ts';
import type { Tutorial } from './tutorial.ts';

/** Agents of protocol Http, a small server and a Pipecat bot: the same session of each, warm and cold. */
export async function showInstantStarts(tutorial: Tutorial, cluster: Cluster): Promise<void> {
  tutorial.chapter('Instant starts');
  tutorial.say(
    'An agent of protocol Http is a server: it is told of its session by POST /bot, as Pipecat’s images are. Giving the node two of them:',
  );
  await loadEchoAgentImage(cluster);
  // Its image is made of this machine's Python.
  const bot = process.platform === 'linux';
  if (bot) await loadPipecatBotImage(cluster);
  await tutorial.type(`kubectl apply --namespace ${NAMESPACE} -f examples/echo-agent/agent.yaml`);
  if (bot) await tutorial.type(`kubectl apply --namespace ${NAMESPACE} -f examples/pipecat-bot/agent.yaml`);

  tutorial.say(
    '\nEach keeps one pod waiting (scaling.minAgents), agent and all. Such a pod only has to be handed over.',
  );
  await warm(tutorial, 'echo');
  await tutorial.type(`kubectl get --namespace ${NAMESPACE} agents,pods`);
  tutorial.say('\nTwo sessions at once: one gets the pod that waited, the other needs a new one.');
  await apply(tutorial, 'echo', ['first', 'second'], '{"echo": "hello", "seconds": 3}');
  for (const name of ['first', 'second']) await started(tutorial, name);
  await starts(tutorial, ['first', 'second']);

  if (bot) {
    tutorial.say(
      '\nThe Pipecat bot is a real pipeline, with text instead of sound. In the pod that waits its imports are done; a new one has to do them while the caller waits.',
    );
    await warm(tutorial, 'pipecat-bot');
    await apply(tutorial, 'pipecat-bot', ['more-talk'], '{"say": ["hello"]}', 'examples/pipecat-bot/session.yaml');
    for (const name of ['small-talk', 'more-talk']) await started(tutorial, name);
    await tutorial.type(
      `kubectl wait --namespace ${NAMESPACE} session/small-talk --for=condition=Finished --timeout=2m`,
    );
    await tutorial.type(
      `kubectl logs --namespace ${NAMESPACE} "$(kubectl get --namespace ${NAMESPACE} session small-talk -o jsonpath='{.status.podName}')"`,
    );
    await starts(tutorial, ['small-talk', 'more-talk']);
  }
}

async function warm(tutorial: Tutorial, agent: string): Promise<void> {
  await tutorial.type(
    `kubectl wait --namespace ${NAMESPACE} pod -l bullpen.dev/agent=${agent},bullpen.dev/state=warm --for=condition=Ready --timeout=2m`,
  );
}

/** Creates Sessions at once, and before them what another file says. */
async function apply(
  tutorial: Tutorial,
  agent: string,
  names: readonly string[],
  body: string,
  file?: string,
): Promise<void> {
  const manifests = names.map(
    (name) =>
      `apiVersion: bullpen.dev/v1alpha1\nkind: Session\nmetadata:\n  name: ${name}\nspec:\n  agent: ${agent}\n  body: '${body}'`,
  );
  const files = file === undefined ? '-f -' : `-f ${file} -f -`;
  await tutorial.type(`kubectl apply --namespace ${NAMESPACE} ${files}`, { input: manifests.join('\n---\n') });
}

async function started(tutorial: Tutorial, session: string): Promise<void> {
  await tutorial.type(`kubectl wait --namespace ${NAMESPACE} session/${session} --for=condition=Started --timeout=2m`);
}

/** How long each took from its admission until its agent was told. */
async function starts(tutorial: Tutorial, names: readonly string[]): Promise<void> {
  const columns = 'NAME:.metadata.name,START:.status.startKind,ADMITTED:.status.admittedAt,TOLD:.status.startedAt';
  const table = await tutorial.type(
    `kubectl get --namespace ${NAMESPACE} session ${names.join(' ')} -o custom-columns=${columns}`,
  );
  for (const line of table.trim().split('\n').slice(1)) {
    const [name = '', kind = '', admitted = '', told = ''] = line.split(/\s+/);
    // Two clocks, and here those of one machine.
    tutorial.say(
      `${name}: ${kind}, its agent was told ${Date.parse(told) - Date.parse(admitted)} ms after it was admitted`,
    );
  }
}
