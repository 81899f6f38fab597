import type { GatewayProcess } from '../support/gateway-process.ts';
import type { Bed } from './bed.ts';
import { readGatewayCounters, since, type GatewayCounters } from './gateway-counters.ts';
import { openLoop, type OpenLoopOptions } from './open-loop.ts';
import { RestClient, type Answer, type Connections } from './rest-client.ts';
import { summarize, type Summary } from './statistics.ts';
import { ordinaryBody } from './workload.ts';

export interface RestLegOptions {
  agent: string;
  /** A public key of the Agent's namespace. */
  key: string;
  count: number;
  /** How they come: on a schedule, or so many at once, and as many again when all of these are answered. */
  load: Pick<OpenLoopOptions, 'perSecond' | 'arrivals'> | { atOnce: number };
  connections: Connections;
  /** What every answer should be. */
  wanted: 200 | 429;
  /** How many pods wait when nothing else is left; undefined for an Agent whose sessions do not end. */
  warmPool: number | undefined;
}

/** What one leg has shown; times in milliseconds from before a request until its answer was read. */
export interface RestLeg {
  options: RestLegOptions;
  /** Of the answers that were wanted. */
  times: Summary;
  /** By what they were: `warm`, `cold`, `429 PCC-AGENT-AT-CAPACITY`. */
  answers: ReadonlyMap<string, number>;
  /** How late the generator sent them. */
  lateness: Summary;
  /** What the gateway did from the first request until the last answer, and until the last trace of its sessions was gone. */
  untilAnswered: GatewayCounters;
  untilGone: GatewayCounters;
  /** What it held then. */
  rssMiB: number;
  anonMiB: number;
}

/** One load on the REST API, from the first request to the end of the last session. */
export async function runRestLeg(bed: Bed, gateway: GatewayProcess, options: RestLegOptions): Promise<RestLeg> {
  const { agent, key, count, load, connections, warmPool, wanted } = options;
  const client = new RestClient({ origin: gateway.origin, key, connections });
  const text = `{"body":${ordinaryBody}}`;
  const answers: Answer[] = [];
  const send = async (): Promise<void> => {
    answers.push(await client.start(agent, text));
  };
  const before = await readGatewayCounters(gateway);
  let lateness: number[] = [];
  if ('atOnce' in load) {
    for (let sent = 0; sent < count; sent += load.atOnce) {
      await Promise.all(Array.from({ length: Math.min(load.atOnce, count - sent) }, send));
    }
  } else {
    lateness = await openLoop({ ...load, count, send });
  }
  const answered = await readGatewayCounters(gateway);
  client.close();
  if (warmPool !== undefined) await bed.rest(warmPool);
  const gone = await readGatewayCounters(gateway);
  return {
    options,
    times: summarize(answers.filter(({ status }) => status === wanted).map(({ ms }) => ms)),
    answers: tally(answers),
    lateness: summarize(lateness),
    untilAnswered: since(before, answered),
    untilGone: since(before, gone),
    rssMiB: gone.rssMiB,
    anonMiB: gone.anonMiB,
  };
}

/** How often which answer came: of a start how it was made, of a refusal its code. */
export function tally(answers: readonly Answer[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { status, body } of answers) {
    const name = status === 200 ? word(body['start']) : `${status} ${word(body['code'])}`.trim();
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

function word(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
