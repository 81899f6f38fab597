import { setTimeout as sleep } from 'node:timers/promises';

/** What is said to `daily-co/pipecat-cloud-deploy-action@v2` in a workflow; what is left out has the Action's own default. */
export interface ActionInputs {
  apiUrl: string;
  apiKey: string;
  agentName: string;
  image: string;
  imageCredentials?: string;
  secretSet?: string;
  minAgents?: number;
  maxAgents?: number;
  /** Between two looks; the Action's own is 5 s. */
  intervalMs: number;
  attempts?: number;
}

/** What the Action has read of an agent. */
export type ReadAgent = Record<string, unknown>;

/** How the Action has ended, and what it has seen. */
export interface ActionResult {
  /** Undefined where the step of the workflow is green. */
  failure?: string;
  isUpdate?: boolean;
  /** What its POST was answered with, which it does not look at. */
  deployed?: ReadAgent;
  /** What each look at the agent has shown; undefined where it was not there. */
  looks: (ReadAgent | undefined)[];
}

/**
 * Deploys an image as the Action does in its release 2.0.3: the same requests and headers in the same order, and the same rules for when
 * that has worked. It looks at no more than the Action does: not at `reconciledDeploymentId`, for one.
 */
export async function deployAction(inputs: ActionInputs): Promise<ActionResult> {
  const result: ActionResult = { looks: [] };
  try {
    const existing = await checkAgent(inputs);
    result.isUpdate = existing !== undefined;
    const path = result.isUpdate ? `/${encodeURIComponent(inputs.agentName)}` : '';
    const { status, body } = await send(inputs, 'POST', path, payloadOf(inputs));
    if (!isFine(status)) {
      throw new Error(`Failed to ${result.isUpdate ? 'update' : 'create'} deployment: ${errorText(body, status)}`);
    }
    result.deployed = body;
    await pollForReady(inputs, result.looks);
  } catch (error) {
    result.failure = (error as Error).message;
  }
  return result;
}

async function pollForReady(inputs: ActionInputs, looks: ActionResult['looks']): Promise<void> {
  const { intervalMs, attempts = 18 } = inputs;
  for (let attempt = 1; attempt <= attempts; attempt += 1) {
    await sleep(intervalMs);
    const agent = await checkAgent(inputs);
    looks.push(agent);
    if (agent === undefined) continue;
    const errors = (agent['errors'] ?? []) as { code: string; message: string }[];
    if (errors.length > 0)
      throw new Error(`Deployment errors: ${errors.map(({ code, message }) => `${code}: ${message}`).join('; ')}`);
    const isAvailable = agent['available'] === true || agent['ready'] === true;
    if (isAvailable && agent['activeDeploymentReady'] === true) return;
  }
  throw new Error('Deployment did not become ready');
}

async function checkAgent(inputs: ActionInputs): Promise<ReadAgent | undefined> {
  const { status, body } = await send(inputs, 'GET', `/${encodeURIComponent(inputs.agentName)}`);
  if (status === 404) return undefined;
  if (!isFine(status)) throw new Error(`Failed to check agent: ${errorText(body, status)}`);
  return body;
}

/** What is not said is not sent, but for the number of agents. */
function payloadOf({ agentName, image, imageCredentials, secretSet, minAgents = 0, maxAgents = 10 }: ActionInputs) {
  return {
    serviceName: agentName,
    image,
    ...(imageCredentials !== undefined && { imagePullSecretSet: imageCredentials }),
    ...(secretSet !== undefined && { secretSet }),
    autoScaling: { minAgents, maxAgents },
  };
}

async function send(
  { apiUrl, apiKey }: ActionInputs,
  method: 'GET' | 'POST',
  path: string,
  body?: object,
): Promise<{ status: number; body: ReadAgent }> {
  const response = await fetch(`${apiUrl.replace(/\/+$/, '')}/v1/agents${path}`, {
    method,
    headers: {
      'user-agent': 'pipecat-cloud-deploy-action',
      authorization: `Bearer ${apiKey}`,
      'content-type': 'application/json',
    },
    ...(body && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  try {
    return { status: response.status, body: JSON.parse(text) as ReadAgent };
  } catch {
    return { status: response.status, body: { rawBody: text } };
  }
}

function isFine(status: number): boolean {
  return status >= 200 && status < 300;
}

function errorText({ error, message }: ReadAgent, status: number): string {
  const told = error ?? message;
  return typeof told === 'string' ? told : `HTTP ${status}`;
}
