import { z } from 'zod';

/** The one region that a cluster is, in the words of Pipecat Cloud. */
export const REGION = 'default';

/** The name of an agent, as Pipecat Cloud has it and Kubernetes allows. */
export const agentNameParam = z
  .string()
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/)
  .max(63);

/** Query of a list: how many, and from where on. Values of Pipecat's clients that are not known are ignored. */
export const page = {
  limit: z.coerce.number().int().min(1).max(1000).optional(),
  offset: z.coerce.number().int().min(0).max(1_000_000).optional(),
};

const WRONG_TIME = 'Invalid timestamp format: must be in seconds since 1970';

/** A time in a query: whole seconds since 1970. */
export const unixSeconds = z.coerce
  .number(WRONG_TIME)
  .int(WRONG_TIME)
  .min(0, WRONG_TIME)
  .max(10_000_000_000, WRONG_TIME)
  .optional();

/** What a deletion answers: the official client takes anything that is false for "not found". */
export const okReply = z.object({ status: z.literal('OK') });
export const OK = { status: 'OK' } as const;

/** A server by which WebRTC finds a way, in the words of browsers. */
export const iceServer = z.object({
  urls: z.array(z.string()),
  username: z.string().optional(),
  credential: z.string().optional(),
});
export type IceServer = z.output<typeof iceServer>;
