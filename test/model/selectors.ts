import type { Selection } from '../../src/kube/api.ts';
import type { KubeObject } from '../../src/kube/objects.ts';

/** Whether an object is selected: its namespace, and labels by `key=value` and `key` (it exists), joined by commas. */
export function matches(object: KubeObject, { namespace, labelSelector, fieldSelector }: Selection): boolean {
  if (fieldSelector !== undefined) throw new Error('the model has no field selectors');
  if (namespace !== undefined && object.metadata.namespace !== namespace) return false;
  return (labelSelector ?? '')
    .split(',')
    .filter((term) => term !== '')
    .every((term) => {
      const [key = '', value] = term.split('=');
      const label = object.metadata.labels?.[key];
      return label !== undefined && (value === undefined || label === value);
    });
}
