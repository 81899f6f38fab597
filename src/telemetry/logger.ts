import { pino, stdTimeFunctions, type DestinationStream, type Logger as PinoLogger } from 'pino';

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
 * Fields whose value never reaches a log, whoever logs the object they are in. `body` is what a caller hands to an
 * agent (and what an HTTP error carries), in a Session's spec, in a pod's annotation or in an error.
 */
const secretFields = [
  'authorization',
  'Authorization',
  'cookie',
  'token',
  'accessToken',
  'password',
  'apiKey',
  'body',
  'sealedBody',
  '["bullpen.dev/body"]',
];

/**
 * How deep a secret field is looked for: `{ err: { response: { headers: { authorization } } } }` is level 4. Redaction
 * is the safety net; code logs names and reasons, not objects.
 */
const redactionDepth = 5;

/**
 * Makes the logger of a program: JSON lines, time in ISO 8601 (UTC), level by name, errors under `err` with their
 * stack and the messages of their causes, secret fields replaced by `[Redacted]`. Lines are written synchronously, so
 * that the last words before a crash are not lost.
 */
export function createLogger(options: LoggerOptions): Logger {
  const { level, program, destination = process.stdout } = options;
  return pino(
    {
      level,
      base: { program },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: redactedPaths(),
    },
    destination,
  );
}

function redactedPaths(): string[] {
  const depths = Array.from({ length: redactionDepth }, (_, depth) => depth);
  return depths.flatMap((depth) => secretFields.map((field) => path(depth, field)));
}

function path(depth: number, field: string): string {
  const wildcards = Array<string>(depth).fill('*').join('.');
  if (wildcards === '') return field;
  return field.startsWith('[') ? wildcards + field : `${wildcards}.${field}`;
}
