import { expect, it } from 'vitest';
import { apiVersionOf, events, nodes, pathOf, pods } from './resources.ts';

it('paths are those of the API', () => {
  expect(pathOf(pods, {})).toBe('/api/v1/pods');
  expect(pathOf(pods, { namespace: 'a', name: 'b', subresource: 'log' })).toBe('/api/v1/namespaces/a/pods/b/log');
  expect(pathOf(events, { namespace: 'a' })).toBe('/apis/events.k8s.io/v1/namespaces/a/events');
  expect(pathOf(nodes, { namespace: 'ignored', name: 'n' })).toBe('/api/v1/nodes/n');
  expect([apiVersionOf(pods), apiVersionOf(events)]).toEqual(['v1', 'events.k8s.io/v1']);
});
