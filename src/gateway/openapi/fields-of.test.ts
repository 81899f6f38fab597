import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { fieldsOf, typeOf } from './fields-of.ts';

const schemaOf = (schema: z.ZodType): Record<string, unknown> => z.toJSONSchema(schema, { io: 'input' });

describe('the members of a schema', () => {
  it('are rows, those of lists and of objects behind their own', () => {
    const schema = z.object({
      total: z.int(),
      sessions: z.array(
        z.object({ id: z.uuid().describe('What it is called.'), room: z.object({ url: z.url() }).optional() }),
      ),
    });
    const rows = fieldsOf(schemaOf(schema)).map(({ path, type, required, description }) => [
      path,
      type,
      required,
      description,
    ]);
    expect(rows).toEqual([
      ['total', 'integer', true, ''],
      ['sessions', 'list of object', true, ''],
      ['sessions[].id', 'uuid', true, 'What it is called.'],
      ['sessions[].room', 'object', false, ''],
      ['sessions[].room.url', 'uri', true, ''],
    ]);
  });

  it('of each form of a union are there, and it is said which they are of', () => {
    const schema = z.union([z.object({ one: z.string() }), z.object({ two: z.string() })]);
    expect(fieldsOf(schemaOf(schema)).map(({ path, type }) => path || type)).toEqual([
      'form 1 of 2',
      'one',
      'form 2 of 2',
      'two',
    ]);
  });

  it.each([
    [z.string(), []],
    [z.unknown(), []],
    [z.record(z.string(), z.unknown()), []],
  ])('are none where there are no names: %#', (schema, rows) => {
    expect(fieldsOf(schemaOf(schema))).toEqual(rows);
  });
});

describe('a type in words', () => {
  it.each<[z.ZodType, string]>([
    [z.int().min(0).max(50), 'integer, 0 to 50'],
    [z.int(), 'integer'],
    [z.string().max(64), 'string, at most 64 characters'],
    [z.array(z.string()).min(1), 'list of string'],
    [z.enum(['cold', 'warm']).nullish(), '"cold" | "warm" or null'],
    [z.literal('OK'), '"OK"'],
    [z.boolean().nullable(), 'boolean or null'],
    [z.union([z.string(), z.int().min(1)]), 'string or integer, at least 1'],
    [z.null(), 'null'],
    [z.unknown(), 'anything'],
  ])('%#', (schema, words) => {
    expect(typeOf(schemaOf(schema))).toBe(words);
  });
});
