import { describe, it } from 'vitest';
import { ApiServer } from './api-server.ts';
import { conformance } from './conformance.ts';
import { directApi } from './direct-api.ts';

describe('the model of the API server', () => {
  const api = directApi(new ApiServer(() => Date.parse('2026-01-01T00:00:00.123Z')), 'tester');
  it.each(conformance)('$promise', ({ run }) => run(api, 'team-a', 'conformance'));
});
