import { writeFileSync } from 'node:fs';
import { systemClock } from '../kube/clock.ts';
import { AgentClient } from '../supervisor/agent-client.ts';
import { readSupervisorConfig } from '../supervisor/config.ts';
import { createIceServer } from '../supervisor/ice-servers.ts';
import { createSupervisorServer } from '../supervisor/server.ts';
import { BoundSession } from '../supervisor/session.ts';
import { Verifier } from '../supervisor/verifier.ts';
import { ICE_PORT, SUPERVISOR_PORT, type TerminationMessage } from '../supervisor/wire.ts';

/**
 * The program beside the agent in each pod of `protocol: Http`. The pod lives as long as it does: it ends with the session,
 * and leaves the session's record as its termination message.
 */
export async function runSupervisor(env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<void> {
  const config = readSupervisorConfig(env);
  const log = (msg: string, fields: object = {}): void => {
    process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), msg, ...fields })}\n`);
  };
  const record = (message: TerminationMessage): void => {
    writeFileSync(config.terminationLog, JSON.stringify(message));
    log('over', message);
  };
  const over = Promise.withResolvers<TerminationMessage>();
  const agent = new AgentClient({ host: '127.0.0.1', port: config.agentPort });
  let session: BoundSession | undefined;
  const server = createSupervisorServer({
    verifier: await Verifier.create(config.podUid, config.publicKeys),
    session: () => session,
    bind: (request) => {
      session = new BoundSession({ request, agent, clock: systemClock, onOver: over.resolve });
      log('bound', { session: request.uid });
      void session.run();
      return session;
    },
    agentReady: async () => (await agent.ready()) === 'ready',
  });
  signal.addEventListener(
    'abort',
    () => {
      if (session === undefined)
        over.resolve({ bullpen: 1, delivered: false, outcome: 'Stopped', endedAt: Date.now() });
      else session.end('Stopped', { message: 'the pod was told to end' });
    },
    { once: true },
  );
  const ice = createIceServer();
  // An agent may bring its own; that is not our business.
  ice.on('error', (error) => log('not serving ICE servers', { error: error.message })).listen(ICE_PORT, '127.0.0.1');
  try {
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(SUPERVISOR_PORT, resolve));
  } catch (error) {
    const message = `cannot listen on port ${SUPERVISOR_PORT}, which no other container of the pod may use: ${(error as Error).message}`;
    record({ bullpen: 1, delivered: false, outcome: 'NeverReady', endedAt: Date.now(), message });
    throw error;
  }
  log('listening', { port: SUPERVISOR_PORT, sinceProcessStartMs: Math.round(process.uptime() * 1000) });

  record(await over.promise);
}
