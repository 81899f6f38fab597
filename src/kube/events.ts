import type { KubeApi } from './api.ts';
import type { Clock, Timer } from './clock.ts';
import { isNotFound } from './errors.ts';
import { eventBody, objectKey, seriesKey, type EventNote } from './event-series.ts';
import { Fifo } from './fifo.ts';
import type { Logger } from './logger.ts';
import type { KubeMetrics } from './metrics.ts';
import { microTime } from './micro-time.ts';
import { events, type ObjectRef } from './resources.ts';

export type { EventNote } from './event-series.ts';
export { referenceTo } from './event-series.ts';

/** A series is over when it has been silent for so long; what comes then is a new Event. client-go's number. */
const seriesEndMs = 6 * 60_000;

/** How often the counts of series are written. */
const seriesWriteMs = 60_000;

/** Per object: so many new Events at once, then one in five minutes. client-go's numbers. */
const objectBurst = 25;
const objectRefillMs = 5 * 60_000;

/** Series and objects that are remembered; the ones unused for longest are forgotten. */
const maxRemembered = 4096;

/** Writes that wait for the API server; more are dropped. */
const maxWaiting = 1000;

export interface EventRecorderOptions {
  api: KubeApi;
  /** Who reports: `bullpen.dev/controller`. */
  controller: string;
  /** Which one of them: the pod's name. */
  instance: string;
  clock: Clock;
  logger?: Logger | undefined;
  metrics?: KubeMetrics | undefined;
}

interface Series {
  /** The Event that counts; undefined while it is being created. */
  ref: ObjectRef | undefined;
  count: number;
  /** What the server knows. */
  writtenCount: number;
  /** Monotonic milliseconds. */
  lastSeen: number;
  /** Wall clock. */
  lastObserved: string;
}

/**
 * Writes Kubernetes Events (`events.k8s.io/v1`), as `kubectl describe` shows them. What repeats is counted in the
 * series of one Event.
 *
 * Recording never throws and never waits. Events are a courtesy: under pressure, or when the server refuses one, they
 * are dropped and counted.
 */
export class EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #series = new Map<string, Series>();
  readonly #budgets = new Map<string, { tokens: number; at: number }>();
  readonly #writes = new Fifo<() => Promise<void>>();
  #writing: Promise<void> | undefined;
  #timer: Timer | undefined;
  #named = 0;
  #stopped = false;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
  }

  event(event: EventNote): void {
    const now = this.#options.clock.monotonic();
    const key = seriesKey(event);
    const series = this.#series.get(key);
    if (this.#stopped) this.#count('dropped');
    else if (series !== undefined && now - series.lastSeen < seriesEndMs) this.#repeat(key, series, now);
    else this.#begin(key, event, now);
  }

  /** Writes what is pending, counts of series included, and records nothing more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    for (const series of this.#series.values()) this.#writeSeries(series);
    await this.#writing;
  }

  #begin(key: string, event: EventNote, now: number): void {
    if (!this.#allows(objectKey(event.regarding), now)) {
      this.#count('dropped');
      return;
    }
    const { api, clock, controller, instance } = this.#options;
    const time = microTime(clock.now());
    const series: Series = {
      ref: undefined,
      count: 1,
      writtenCount: 1,
      lastSeen: now,
      lastObserved: time,
    };
    const suffix = `${clock.now().toString(16)}${(this.#named++ % 0x10000).toString(16).padStart(4, '0')}`;
    const body = eventBody(event, { controller, instance }, time, suffix);
    this.#write(async () => {
      await api.create(events, body.metadata.namespace, body);
      series.ref = body.metadata;
    });
    remember(this.#series, key, series);
  }

  #repeat(key: string, series: Series, now: number): void {
    series.count++;
    series.lastSeen = now;
    series.lastObserved = microTime(this.#options.clock.now());
    remember(this.#series, key, series);
    this.#timer ??= this.#options.clock.setTimeout(() => this.#writeDue(), seriesWriteMs);
  }

  #writeDue(): void {
    this.#timer = undefined;
    for (const series of this.#series.values()) this.#writeSeries(series);
  }

  #writeSeries(series: Series): void {
    if (series.count === series.writtenCount) return;
    this.#write(async () => {
      const { ref, count, lastObserved } = series;
      if (ref === undefined) return; // it could not be created
      const patch = { type: 'merge', body: { series: { count, lastObservedTime: lastObserved } } } as const;
      await this.#options.api.patch(events, ref, patch).catch((error: unknown) => {
        if (!isNotFound(error)) throw error; // Events expire after an hour; this one's count interests nobody any more
      });
      series.writtenCount = count;
    });
  }

  /** Takes one token of an object's budget. */
  #allows(object: string, now: number): boolean {
    const budget = this.#budgets.get(object) ?? { tokens: objectBurst, at: now };
    const tokens = Math.min(budget.tokens + (now - budget.at) / objectRefillMs, objectBurst);
    remember(this.#budgets, object, { tokens: tokens >= 1 ? tokens - 1 : tokens, at: now });
    return tokens >= 1;
  }

  /** Puts a write in line. One after the other: Events must not compete with work. */
  #write(write: () => Promise<void>): void {
    if (this.#writes.length >= maxWaiting) {
      this.#count('dropped');
      return;
    }
    this.#writes.push(write);
    this.#writing ??= this.#drain();
  }

  async #drain(): Promise<void> {
    for (let write = this.#writes.shift(); write !== undefined; write = this.#writes.shift()) {
      try {
        await write();
        this.#count('written');
      } catch (error) {
        this.#count('failed');
        this.#options.logger?.debug({ err: error }, 'an Event could not be written');
      }
    }
    this.#writing = undefined;
  }

  #count(outcome: 'written' | 'dropped' | 'failed'): void {
    this.#options.metrics?.count('events', { outcome });
  }
}

/** Sets a value as the one used last, and forgets the one unused for longest when there are too many. */
function remember<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= maxRemembered) return;
  const [oldest] = map.keys();
  if (oldest !== undefined) map.delete(oldest);
}
