import { busyboxImage } from '../test/cluster/base-images.ts';
import type { Cluster } from '../test/cluster/cluster.ts';
import { BULLPEN_IMAGE, loadBullpenImage } from '../test/support/bullpen-image.ts';
import { loadEchoAgentImage, loadPipecatBotImage } from '../test/support/example-images.ts';
import { loadImage } from '../test/support/load-image.ts';
import { NAMESPACE, SYSTEM } from './names.ts';
import type { Tutorial } from './tutorial.ts';

/** Image, chart, and a look at what was installed. */
export async function installBullpen(tutorial: Tutorial, cluster: Cluster): Promise<void> {
  tutorial.chapter('Install Bullpen');
  tutorial.say(
    'Building the image and giving it to the node. (With a registry: docker build -t you/bullpen . && docker push you/bullpen)',
  );
  await loadBullpenImage(cluster);
  tutorial.say(
    'One chart: the controller, the gateway with its REST API, their rights. No webhook, no certificate manager, nothing else.',
  );
  await tutorial.type(
    `helm install bullpen charts/bullpen --namespace ${SYSTEM} --create-namespace \\\n    --set image.repository=${BULLPEN_IMAGE.repository},image.tag=${BULLPEN_IMAGE.tag},image.pullPolicy=IfNotPresent --wait`,
    { quiet: true },
  );
  await tutorial.type(`helm test bullpen --namespace ${SYSTEM}`, { quiet: true });
  await tutorial.type(`kubectl get pods --namespace ${SYSTEM}`);
}

/** Whether the Pipecat bot is shown: its image is made of this machine's Python. */
export function hasPipecatBot(): boolean {
  return process.platform === 'linux';
}

/** The images of the agents; a registry would have them. */
export async function loadAgentImages(cluster: Cluster, log: (line: string) => void): Promise<void> {
  await loadEchoAgentImage(cluster);
  if (hasPipecatBot()) await loadPipecatBotImage(cluster, log);
  if (cluster.provider === 'binaries')
    await loadImage(cluster, { ...(await busyboxImage()), name: 'docker.io/library/busybox:1.36' });
}

export async function uninstallBullpen(tutorial: Tutorial): Promise<void> {
  tutorial.chapter('Clean up');
  await tutorial.type(`kubectl delete namespace ${NAMESPACE}`);
  tutorial.say(
    'The chart leaves the resource definitions behind, since deleting them would delete everybody’s Agents and Sessions.',
  );
  await tutorial.type(`helm uninstall bullpen --namespace ${SYSTEM} --wait`);
}
