import { pino, stdTimeFunctions, type DestinationStream, type Logger as PinoLogger } from 'pino';
import { redact } from './redact.ts';

/** Structured JSON logger. Child loggers (`logger.child({ session })`) carry their fields into every line. */
export type Logger = PinoLogger;

/** Accepted by `log.level` of the configuration, from the most to the least talkative. */
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

export interface LoggerOptions {
  readonly level: LogLevel;
  /** Which program writes (`controller`, `gateway`, ...): the field `program` of every line. */
  readonly program: string;
  /** Where lines go; standard output when not given. */
  readonly destination?: DestinationStream;
}

/**
 * Makes the logger of a program: JSON lines, time in ISO 8601 (UTC), level by name, errors under `err` with their
 * stack and the messages of their causes, secret fields replaced by `[Redacted]`. Lines are written synchronously, so
 * that the last words before a crash are not lost.
 */
export function createLogger(options: LoggerOptions): Logger {
  const { level, program, destination = process.stdout } = options;
  const logger = pino(
    {
      level,
      base: { program },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: redact },
      // `redact` has already made them plain.
      serializers: { err: (error: unknown) => error },
    },
    destination,
  );
  // The formatter sees the fields of a line only, not those that a child has from its birth.
  // eslint-disable-next-line @typescript-eslint/unbound-method -- called with its `this` below
  const { child } = logger;
  logger.child = function (this: Logger, bindings, childOptions) {
    return child.call(this, redact(bindings), childOptions);
  } as Logger['child'];
  return logger;
}
