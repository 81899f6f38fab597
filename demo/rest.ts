import { ECHO_AGENT_IMAGE } from '../test/support/example-images.ts';
import { NAMESPACE, SYSTEM } from './names.ts';
import type { Tutorial } from './tutorial.ts';

const START = '$PIPECAT_API_HOST/v1/public/echo/start';
const KEY = '-H "Authorization: Bearer $KEY"';

/** Runs until it is stopped. */
const FOREVER = '{"body": {"echo": "hello"}}';

/** A program with Pipecat's library, as its documentation has it. */
const PROGRAM = `
import asyncio, os
from pipecatcloud.exception import AgentStartError
from pipecatcloud.session import Session, SessionParams

async def main():
    session = Session("echo", os.environ["KEY"], SessionParams(data={"echo": "from Python", "seconds": 15}))
    try:
        print(await session.start())
    except AgentStartError as error:
        print(f"not started: {error}")

asyncio.run(main())`;

/** An organization, its keys, and a way to the gateway. @param port that is free on this machine */
export async function openOrganization(tutorial: Tutorial, port: number): Promise<void> {
  tutorial.chapter('An organization and its keys');
  tutorial.say('A namespace is an organization. A public key starts sessions; a token is for the command line.');
  await tutorial.type(`bullpen org create ${NAMESPACE}`);
  await tutorial.exportOutput('KEY', `bullpen -n ${NAMESPACE} keys create my-app`);
  await tutorial.exportOutput('PIPECAT_TOKEN', `bullpen -n ${NAMESPACE} keys create me --cli`);
  await tutorial.type(`bullpen -n ${NAMESPACE} keys list`);
  tutorial.say('The gateway is a Service in the cluster. An Ingress or a Gateway would lead to it; here kubectl does.');
  await tutorial.typeInBackground(`kubectl -n ${SYSTEM} port-forward service/bullpen-gateway ${port}:80`);
  tutorial.say('Pipecat’s own client, as it comes from PyPI, is told where to go by one variable.');
  tutorial.export('PIPECAT_API_HOST', `http://localhost:${port}`);
  tutorial.export('PIPECAT_ORG', NAMESPACE);
  await tutorial.type('pipecat cloud auth whoami');
}

/** Everything that a caller does, from the deployment of an agent to its deletion. */
export async function runOverRest(tutorial: Tutorial): Promise<void> {
  tutorial.chapter('Deploy an agent with Pipecat’s command line');
  tutorial.say('One pod waits for the next session; at most 3 sessions run at one time, for 5 minutes at most.');
  await tutorial.type(
    `pipecat cloud deploy echo ${ECHO_AGENT_IMAGE} --no-credentials --yes \\\n    --min-agents 1 --max-agents 3 --max-session-duration 300 --resources cpu=250m,memory=128Mi`,
  );
  await warm(tutorial, 'echo');
  await tutorial.type('pipecat cloud agent status echo');

  tutorial.chapter('Start sessions');
  tutorial.say('Two at once: one gets the pod that waited, for the other a new one is made.');
  const replies = await tutorial.type(
    `for caller in 1 2; do\n  curl -sS -X POST ${START} ${KEY} -d '${FOREVER}' -w '  (%{time_total} s)\\n' &\ndone; wait`,
  );
  const [first, second] = idsIn(replies);
  tutorial.say('The third with the command line. Now the agent is full.');
  const [third] = idsIn(
    await tutorial.type(
      `pipecat cloud agent start echo --api-key $KEY --data '{"echo": "from the command line"}' --force`,
    ),
  );

  tutorial.chapter('Never above the limit');
  tutorial.say('The fourth is refused at once, and nothing is left of it.');
  await tutorial.type(`curl -sS -i -X POST ${START} ${KEY} -d '${FOREVER}' | grep -iE '^(HTTP|retry-after|[{])'`);
  tutorial.say('A Python program gets an exception.');
  await tutorial.type('python -', { input: PROGRAM });

  tutorial.chapter('List, read, stop');
  await tutorial.type('pipecat cloud agent sessions echo');
  await tutorial.type(`pipecat cloud agent logs echo --session-id ${first ?? ''}`);
  await tutorial.type(`pipecat cloud agent stop echo --session-id ${first ?? ''} --force`);
  await finished(tutorial, first);
  tutorial.say('There is room for one more now: the same program again.');
  await tutorial.type('python -', { input: PROGRAM });

  tutorial.chapter('Deleting an agent ends no session');
  await tutorial.type('pipecat cloud agent delete echo --force');
  tutorial.say('New sessions are refused. Those that run go on, and are listed and stopped as before.');
  await tutorial.type(`curl -sS -X POST ${START} ${KEY} -d '{}'; echo`);
  await tutorial.type(`bullpen -n ${NAMESPACE} sessions echo`);
  for (const id of [second, third]) {
    await tutorial.type(`pipecat cloud agent stop echo --session-id ${id ?? ''} --force`);
    await finished(tutorial, id);
  }
}

/** A bot of Pipecat's framework: applied with kubectl, started over REST. */
export async function talkToPipecatBot(tutorial: Tutorial): Promise<void> {
  tutorial.chapter('A Pipecat bot');
  tutorial.say(
    'A real pipeline, with text instead of sound. Its Agent is applied with kubectl: what the REST API makes is the same object.',
  );
  await tutorial.type(`kubectl apply --namespace ${NAMESPACE} -f examples/pipecat-bot/agent.yaml`);
  await warm(tutorial, 'pipecat-bot');
  const start = '$PIPECAT_API_HOST/v1/public/pipecat-bot/start';
  const reply = await tutorial.type(
    `curl -sS -X POST ${start} ${KEY} -d '{"body": {"say": ["hello", "how are you?"], "pause": 1}}' -w '  (%{time_total} s)\\n'`,
  );
  const [id] = idsIn(reply);
  await finished(tutorial, id);
  await tutorial.type(`pipecat cloud agent logs pipecat-bot --session-id ${id ?? ''}`);
}

async function warm(tutorial: Tutorial, agent: string): Promise<void> {
  await tutorial.type(
    `kubectl wait --namespace ${NAMESPACE} pod -l bullpen.dev/agent=${agent},bullpen.dev/state=warm --for=condition=Ready --timeout=2m`,
  );
}

/** The ids of sessions in what a command has printed. */
function idsIn(text: string): string[] {
  return text.match(/\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g) ?? [];
}

async function finished(tutorial: Tutorial, session = ''): Promise<void> {
  await tutorial.type(`kubectl wait --namespace ${NAMESPACE} session/${session} --for=condition=Finished --timeout=2m`);
}
