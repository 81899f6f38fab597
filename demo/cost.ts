import { NAMESPACE, SYSTEM } from './names.ts';
import type { Tutorial } from './tutorial.ts';

/** How long the metrics may lag behind the objects. */
const PATIENCE_MS = 15_000;

/** What was used, by the metrics and by the sessions: it must be the same. */
export async function showUsage(tutorial: Tutorial): Promise<void> {
  tutorial.chapter('What it cost');
  tutorial.say('When the last session is over, every second of each is in its status.');
  await tutorial.type(`kubectl wait --namespace ${NAMESPACE} sessions --all --for=condition=Finished --timeout=2m`, {
    quiet: true,
  });
  const sessions = await tutorial.type(
    `kubectl get --namespace ${NAMESPACE} sessions -o custom-columns=NAME:.metadata.name,AGENT:.spec.agent,PHASE:.status.phase,REASON:.status.reason,START:.status.startKind,USED:.status.usageSeconds`,
  );
  const bySessions = sum(sessions.matchAll(/ (\d+)$/gm));
  tutorial.say('The replica that leads counts the same seconds, once. Prometheus reads them; here it is by hand.');
  const line = `LEADER=$(kubectl get --namespace ${SYSTEM} lease bullpen-controller -o jsonpath='{.spec.holderIdentity}' | cut -d_ -f1)\nkubectl get --raw "/api/v1/namespaces/${SYSTEM}/pods/$LEADER:8080/proxy/metrics" | grep '^bullpen_session_seconds_total.*"${NAMESPACE}"'`;
  const until = performance.now() + PATIENCE_MS;
  for (;;) {
    const byMetrics = sum((await tutorial.type(line)).matchAll(/ (\d+)$/gm));
    if (byMetrics === bySessions) break;
    if (performance.now() > until)
      throw new Error(`the metrics say ${byMetrics} seconds, and the sessions ${bySessions}`);
  }
  tutorial.say(`Both say ${bySessions} seconds.`);
}

function sum(matches: Iterable<RegExpMatchArray>): number {
  let total = 0;
  for (const [, text] of matches) total += Number(text);
  return total;
}
