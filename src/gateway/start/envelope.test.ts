import { describe, expect, it } from 'vitest';
import { inEnvelope } from './envelope.ts';

describe('a body with a flow', () => {
  it('is byte for byte what was sent, in an envelope that a header marks', () => {
    const { headers, body } = inEnvelope(
      Buffer.from('{"n": 1.0, "ä": 12345678901234567890}'),
      '"initial_node: \\u0067"',
    );
    expect(body.toString()).toBe(
      '{"body":{"n": 1.0, "ä": 12345678901234567890},"flow_config":"initial_node: \\u0067"}',
    );
    expect(headers).toEqual({ 'x-pcc-start-envelope': '1' });
  });

  it('has an empty body where none was sent: the image refuses half an envelope', () => {
    expect(JSON.parse(inEnvelope(Buffer.alloc(0), '"f"').body.toString())).toEqual({ body: {}, flow_config: 'f' });
  });
});
