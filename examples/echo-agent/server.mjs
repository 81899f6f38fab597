// An agent of protocol Http, in full. Such an agent is an HTTP server with three routes, in any language:
//
//   GET  /livez    200 while the process is well
//   GET  /readyz   200 when it could take a session, 503 before
//   POST /bot      a session: the request is held open for as long as the session lasts, and its answer is the end.
//                  2xx: completed. Anything else: failed. The body is what the Session says, byte for byte.
//
// Told to end (stopped, limit reached, node drained) it hears SIGTERM, and is killed terminationGracePeriodSeconds later.
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

const log = console.log;
let goodbyeSeconds = 0;

const server = createServer(async (request, response) => {
  const status = await route(request);
  response.writeHead(status, { 'content-type': 'application/json' }).end('{}');
});

// Bullpen says in PORT which port the Agent has; 8080 unless its spec says otherwise.
server.listen(Number(process.env.PORT ?? 8080), () => log(`listening on ${server.address().port}`));

// Without a handler nothing would happen: the first process of a container ignores the signals that it does not handle.
process.once('SIGTERM', async () => {
  log('goodbye');
  await sleep(goodbyeSeconds * 1000);
  process.exit(0);
});

async function route(request) {
  switch (`${request.method} ${request.url}`) {
    case 'GET /livez':
    case 'GET /readyz':
      return 200;
    case 'POST /bot':
      return await session(request);
    default:
      return 404;
  }
}

/** One session, from its first byte to the status that ends it. That the caller hangs up does not end it; only SIGTERM does. */
async function session(request) {
  const bytes = await buffer(request);
  // The headers of Pipecat Cloud: the id of the session, and how long it may run.
  log(`session ${request.headers['x-daily-session-id']}`);
  log(`limit ${request.headers['x-pcc-max-session-seconds']} seconds`);
  log(`body ${bytes.length} ${createHash('sha256').update(bytes).digest('hex')}`);
  if (bytes.length < 2048) log(`text ${bytes}`);
  const told = parse(bytes);
  if (told === undefined) return 400;

  // What a session does is up to the agent. This one does what the body says; told nothing, it runs until it is told to end.
  goodbyeSeconds = told.goodbyeSeconds ?? 0;
  if (told.echo !== undefined) log(`echo ${typeof told.echo === 'string' ? told.echo : JSON.stringify(told.echo)}`);
  const endsByItself = ['seconds', 'status', 'crash', 'raise'].some((key) => key in told);
  if (!endsByItself) await new Promise(() => {});
  await sleep((told.seconds ?? 0) * 1000);

  if (told.crash !== undefined) process.exit(told.crash);
  // As Pipecat does it: what goes wrong in a bot is logged, and the session counts as completed.
  if (told.raise) log('error: raised as told');
  log('over');
  return told.status ?? 200;
}

function parse(bytes) {
  try {
    const value = JSON.parse(bytes);
    return value?.constructor === Object ? value : undefined;
  } catch {
    return undefined;
  }
}
