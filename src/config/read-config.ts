import { z } from 'zod';

/**
 * Reads a program's configuration from its environment: `BULLPEN_CONFIG`, one JSON object. Throws one error that names every problem.
 *
 * @param schema a strict one, so that a misspelt setting is an error and not a silent default
 */
export function readConfigAs<S extends z.ZodType>(
  schema: S,
  env: Readonly<Record<string, string | undefined>>,
): z.output<S> {
  const text = env['BULLPEN_CONFIG'];
  if (text === undefined)
    throw new Error('BULLPEN_CONFIG is not set: it must hold the configuration as JSON, as the Helm chart writes it');
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new Error('BULLPEN_CONFIG is not JSON', { cause });
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) throw new Error(`BULLPEN_CONFIG is not valid:\n${z.prettifyError(parsed.error)}`);
  return parsed.data;
}
