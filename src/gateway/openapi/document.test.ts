import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { route } from '../http/route.ts';
import { openApiDocument } from './document.ts';
import { apiPage } from './page.ts';

const routes = [
  route({
    method: 'get',
    path: '/v1/organizations/:org/things/:id',
    plane: 'organization',
    access: { verb: 'get', resource: 'agents' },
    summary: 'Show <a> thing',
    params: z.looseObject({ id: z.string() }),
    query: z.looseObject({ limit: z.coerce.number().int().optional() }),
    reply: z.object({ name: z.string().describe('What it is called.') }),
    problems: ['AgentNotFound', 'NotFound'],
    handle: () => Promise.resolve({ body: { name: '' } }),
  }),
];

type Document = Record<'paths', Record<string, Record<string, Record<string, unknown>>>>;

describe('the OpenAPI document', () => {
  const document = openApiDocument(routes, '1.2.3') as unknown as Document;
  const operation = document.paths['/v1/organizations/{org}/things/{id}']?.['get'] ?? {};

  it('has the parameters of path and query', () => {
    const parameters = operation['parameters'] as { name: string; in: string }[];
    expect(parameters.map(({ name, in: where }) => `${where} ${name}`)).toEqual(['path org', 'path id', 'query limit']);
  });

  it('has every status that a route may answer with, several reasons in one', () => {
    const responses = operation['responses'] as Record<string, { description: string }>;
    expect(Object.keys(responses)).toEqual(['200', '400', '401', '403', '404', '429', '500', '503']);
    expect(responses['404']?.description).toBe('`404`: Service not found `404`: API endpoint not found');
  });

  it('has what a body, and a change, may be refused with', () => {
    const [changing] = routes.map((each) => ({ ...each, method: 'put' as const, body: z.object({}) }));
    const { paths } = openApiDocument(changing ? [changing] : [], '') as unknown as Document;
    const responses = paths['/v1/organizations/{org}/things/{id}']?.['put']?.['responses'] as object;
    expect(Object.keys(responses)).toEqual(expect.arrayContaining(['409', '413', '415']));
  });

  it('says what Kubernetes must allow', () => {
    expect(operation['description']).toContain('get agents');
  });

  it('is a page that holds no code of anybody', () => {
    const page = apiPage(document);
    expect(page).toContain('Show &#60;a&#62; thing');
    expect(page).not.toMatch(/<script|https?:\/\//);
  });

  it('is a page that has a row for each field, and each reason of a status behind its code', () => {
    const page = apiPage(document);
    expect(page).toContain('<td>string</td><td>What it is called.</td>');
    expect(page).toContain('<code>404</code>: Service not found<br><code>404</code>: API endpoint not found');
  });
});
