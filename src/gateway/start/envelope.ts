import type { Told } from './body-carrier.ts';

/** Bytes of a flow, as Pipecat Cloud has it. */
export const MAX_FLOW_BYTES = 256 * 1024;

/**
 * What an agent is told that is to run a flow: its body and the flow in one. A header says so, because a body may look the same by chance.
 * Pipecat's base image knows it from 0.1.30 on; an earlier one takes the whole for the body.
 *
 * @param body JSON, as it was sent; empty where there is none
 * @param flow a JSON string, as it was sent
 */
export function inEnvelope(body: Buffer, flow: string): Told {
  const { length } = body;
  return {
    headers: { 'x-pcc-start-envelope': '1' },
    body: Buffer.concat([
      Buffer.from('{"body":'),
      length === 0 ? Buffer.from('{}') : body,
      Buffer.from(`,"flow_config":${flow}}`),
    ]),
  };
}
