import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rawMember } from './raw-member.ts';

describe('rawMember', () => {
  it.each([
    ['{"body": {"a": 1.0}}', '{"a": 1.0}'],
    ['{"body":12345678901234567890}', '12345678901234567890'],
    ['{"body":"a\\"}b" , "x":1}', '"a\\"}b"'],
    ['{ "x" : [1,{"body":2}] , "body" : [ ] }', '[ ]'],
    ['{"body":1,"body":{"b":"}"}}', '{"b":"}"}'],
    ['{"b\\u006fdy":true}', 'true'],
    ['{"x":{"body":1}}', undefined],
    ['{}', undefined],
    ['\n\t{\n"body"\n:\nnull\n}\n', 'null'],
  ])('of %j is as it was sent', (json, raw) => {
    expect(rawMember(json, 'body')).toBe(raw);
  });

  it('finds what JSON.parse finds, whatever is around it', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.jsonValue(), fc.nat(2), (others, body, indent) => {
        const json = JSON.stringify({ ...others, body, after: others }, undefined, indent);
        expect(JSON.parse(rawMember(json, 'body') ?? '')).toEqual((JSON.parse(json) as { body: unknown }).body);
      }),
    );
  });

  it('counts what is nested without a stack', () => {
    const deep = '['.repeat(100_000) + ']'.repeat(100_000);
    expect(rawMember(`{"body":${deep}}`, 'body')).toBe(deep);
  });
});
