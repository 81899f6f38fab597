import type { IncomingMessage } from 'node:http';

/** One call to the API server, as a proxy sees it. */
export interface ProxiedCall {
  /** Verb and resource: `POST pods`, `PATCH sessions/status`, `WATCH pods`; `STREAM pods` for a list that comes as a watch. */
  readonly what: string;
  readonly method: string;
  readonly url: URL;
  /** Plural, without the subresource: `pods`. */
  readonly resource: string;
  /** The object's name, if the path has one. */
  readonly name: string | undefined;
  readonly watch: boolean;
  /** A list that comes as a watch. */
  readonly stream: boolean;
  /** The parsed body; undefined without one. */
  readonly body: unknown;
  /** When it arrived, Unix milliseconds. */
  readonly at: number;
  /** What the API server answered; undefined until it has. */
  status?: number;
}

export function parseCall(message: IncomingMessage, body: Buffer): ProxiedCall {
  const url = new URL(message.url ?? '', 'http://proxy');
  const method = message.method ?? 'GET';
  const stream = url.searchParams.has('sendInitialEvents');
  const watch = url.searchParams.has('watch') && !stream;
  const verb = stream ? 'STREAM' : watch ? 'WATCH' : method;
  // /api/v1/... or /apis/GROUP/VERSION/..., then perhaps namespaces/NAME, then resource, name and subresource.
  const [root, ...rest] = url.pathname.split('/').filter((part) => part !== '');
  const parts = rest.slice(root === 'apis' ? 2 : 1);
  if (parts[0] === 'namespaces' && parts.length > 2) parts.splice(0, 2);
  const [resource = '', name, subresource] = parts;
  return {
    what: `${verb} ${resource}${subresource === undefined ? '' : `/${subresource}`}`,
    method,
    url,
    resource,
    name,
    watch,
    stream,
    body: body.length === 0 ? undefined : (JSON.parse(body.toString('utf8')) as unknown),
    at: Date.now(),
  };
}

/** Whether a call wants to change something. */
export function isMutation(call: ProxiedCall): boolean {
  return call.method !== 'GET';
}
