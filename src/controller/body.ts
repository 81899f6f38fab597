import type { AgentSpec } from '../api/agent.ts';
import { sessionLimits } from '../api/limits.ts';
import { headersKey, labels } from '../api/names.ts';
import type { RejectReason } from '../api/reasons.ts';
import type { Session } from '../api/session.ts';
import type { KubeApi } from '../kube/api.ts';
import { isNotFound } from '../kube/errors.ts';
import type { Secret } from '../kube/objects.ts';
import { secrets } from '../kube/resources.ts';
import type { Body } from '../pods/process-pod.ts';
import { sealingProblems } from '../sealing/sealing.ts';
import { BOT_HEADERS_RULE, botHeaders, type BotHeaders } from '../supervisor/wire.ts';
import type { KeyRing } from './keys/key-ring.ts';

/** The largest body, in bytes. A Secret holds at most 1 MiB in all. */
export const MAX_BODY_BYTES = 1_000_000;

/** Says what is allowed, and not what is there: it is as secret as the body. */
const HEADERS_RULE = `Headers are a JSON object: ${BOT_HEADERS_RULE}`;

/** Where bodies are: in Sessions, open or sealed, and in Secrets. */
export interface BodySource {
  api: KubeApi;
  /** Opens what is sealed. */
  keys: Pick<KeyRing, 'open'>;
}

/** What an agent of protocol Http is told. */
export interface Message {
  headers: BotHeaders;
  /** The body, byte for byte. */
  bytes: Buffer;
}

type Refusal = { ok: false; reason: RejectReason; message: string };

/** `body` is how the pod of an agent of protocol Process shows it; undefined when no pod may show it. */
export type BodyResult = { ok: true; body: Body | undefined } | Refusal;

/** Looks whether a Session has a body that its agent can be told, before it is given a pod. */
export async function findBody(
  source: BodySource,
  session: Session,
  protocol: AgentSpec['protocol'],
): Promise<BodyResult> {
  const { sealedBody, transport } = session.spec;
  if (transport === 'WebSocket' && protocol === 'Process') {
    return no(
      'SessionInvalid',
      'transport WebSocket is for Agents of protocol Http, because an agent of protocol Process is no server: leave it out',
    );
  }
  if (sealedBody !== undefined && protocol === 'Process') {
    return no(
      'SessionInvalid',
      'sealedBody is for Agents of protocol Http, because the pod of an agent of protocol Process would show it: use bodyFrom',
    );
  }
  const found = await find(source, session);
  if (!found.ok) return found;
  const { length } = found.told.bytes;
  if (transport === 'WebSocket' && length > sessionLimits.webSocketBodyBytes) {
    return no(
      'BodyTooLarge',
      `the body is ${length} bytes, more than ${sessionLimits.webSocketBodyBytes}: with transport WebSocket it is part of an address`,
    );
  }
  return { ok: true, body: found.body };
}

/** What the agent of a Session is told, as `findBody` has found it before. Throws when it is no longer there. */
export async function readBody(source: BodySource, session: Session): Promise<Message> {
  const found = await find(source, session);
  if (!found.ok) throw new Error(found.message);
  return found.told;
}

type Found = { ok: true; told: Message; body: Body | undefined } | Refusal;

async function find({ api, keys }: BodySource, session: Session): Promise<Found> {
  const { body: text = '', bodyFrom, sealedBody } = session.spec;
  if (sealedBody !== undefined) return await unseal(keys, session, sealedBody);
  if (bodyFrom !== undefined) return await fromSecret(api, session, bodyFrom.secretKeyRef);
  return { ok: true, told: { headers: {}, bytes: Buffer.from(text) }, body: { kind: 'inline', text } };
}

async function unseal(keys: BodySource['keys'], { metadata, spec }: Session, sealedBody: string): Promise<Found> {
  const { name, namespace = '' } = metadata;
  const opened = await keys.open(sealedBody, { namespace, agent: spec.agent, session: name });
  if (!opened.ok) return no('BodyNotOpened', `sealedBody cannot be opened: ${sealingProblems[opened.problem]}`);
  const headers = botHeaders.safeParse(opened.envelope.headers);
  if (!headers.success) return no('HeadersInvalid', `the headers in sealedBody are not valid. ${HEADERS_RULE}`);
  return { ok: true, told: { headers: headers.data, bytes: Buffer.from(opened.envelope.body) }, body: undefined };
}

/** Only a Secret that is labelled as a body may be named: a Session must not open others. */
async function fromSecret(api: KubeApi, session: Session, ref: { name: string; key: string }): Promise<Found> {
  const { name, key } = ref;
  const { namespace } = session.metadata;
  let secret: Secret;
  try {
    secret = await api.get(secrets, namespace === undefined ? { name } : { namespace, name });
  } catch (error) {
    if (isNotFound(error)) return no('BodyNotFound', `there is no Secret ${name} in this namespace`);
    throw error;
  }
  if (secret.metadata.labels?.[labels.body] === undefined) {
    return no('BodyNotAllowed', `Secret ${name} has no label ${labels.body}: only Secrets with it may be a body`);
  }
  const value = secret.data?.[key];
  if (value === undefined) return no('BodyNotFound', `Secret ${name} has no key ${key}`);
  const bytes = Buffer.from(value, 'base64');
  if (bytes.length > MAX_BODY_BYTES) {
    return no('BodyTooLarge', `the body is ${bytes.length} bytes, more than ${MAX_BODY_BYTES}`);
  }
  // Under that key it is the body.
  const headers = readHeaders(key === headersKey ? undefined : secret.data?.[headersKey]);
  if (headers === undefined) {
    return no('HeadersInvalid', `the key ${headersKey} of Secret ${name} is not valid. ${HEADERS_RULE}`);
  }
  return { ok: true, told: { headers, bytes }, body: { kind: 'secret', name, key, bytes: bytes.length } };
}

/** The headers in base64 JSON; undefined when they are not valid. */
function readHeaders(data: string | undefined): BotHeaders | undefined {
  if (data === undefined) return {};
  try {
    return botHeaders.parse(JSON.parse(Buffer.from(data, 'base64').toString('utf8')));
  } catch {
    return undefined; // Why is not told: the messages of parsers quote what they parse.
  }
}

function no(reason: RejectReason, message: string): Refusal {
  return { ok: false, reason, message };
}
