import type { ApiKey } from '../../api/api-key.ts';

/** Who calls. */
export type Principal =
  | { kind: 'key'; key: ApiKey }
  /** Somebody whom Kubernetes knows. */
  | {
      kind: 'user';
      name: string;
      uid?: string;
      groups: readonly string[];
      /** What else whoever knows them says of them. */
      extra?: Readonly<Record<string, readonly string[]>>;
    }
  | { kind: 'nobody' };

/** For logs and limits: who it is, and nothing that could be used. */
export function nameOf(principal: Principal): string {
  switch (principal.kind) {
    case 'key':
      return `${principal.key.metadata.namespace ?? ''}/${principal.key.metadata.name}`;
    case 'user':
      return principal.name;
    case 'nobody':
      return '';
  }
}
