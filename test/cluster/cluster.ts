import type { NodeControls } from './node-controls.ts';
import type { CommandOutput, RunOptions } from './run.ts';
import type { ClusterSize } from './state.ts';

export type { ClusterSize } from './state.ts';

/**
 * A Kubernetes for tests. What only some providers can do (faults on demand) throws {@link UnsupportedError} on the others; test for
 * it with `cluster.provider === 'binaries'`.
 */
export interface Cluster {
  /** Path of an admin's kubeconfig. */
  readonly kubeconfig: string;
  readonly size: ClusterSize;
  readonly provider: 'existing' | 'k3s' | 'binaries';
  /** Where its state and logs are (`logs/NAME.log`); undefined for an existing cluster of somebody else. */
  readonly folder?: string;
  /** kubectl with this cluster's kubeconfig. */
  kubectl(args: readonly string[], options?: RunOptions): Promise<CommandOutput>;
  /** Helm with this cluster's kubeconfig. */
  helm(args: readonly string[], options?: RunOptions): Promise<CommandOutput>;
  /** Gives the nodes the image of an archive (see image.ts), for pods that do not pull. */
  loadImage(archive: string): Promise<void>;
  /** An address of this machine that pods can reach, for servers that tests run; only with a node of local binaries. */
  readonly hostAddress?: string;
  /** Faults of the node; only with a node of local binaries. */
  readonly node?: NodeControls;
  /** Ends the apiserver: at once like a crash, or gracefully, which takes seconds. Resolves when it is gone. */
  stopApiServer(options?: { graceful?: boolean }): Promise<void>;
  /** Starts it again; resolves when it is ready. */
  startApiServer(): Promise<void>;
  /** Stop and start. Its watch cache starts empty: watches from before get 410 Gone. */
  restartApiServer(options?: { graceful?: boolean }): Promise<void>;
  /** Removes the history from etcd, so that lists by old continue tokens get 410 Gone. Resolves when it is done. */
  compact(): Promise<void>;
  /** Ends it and removes everything it left, if this handle (not another process) owns it; else does nothing. */
  stop(): Promise<void>;
}

/** The provider of this cluster cannot do that. */
export class UnsupportedError extends Error {
  constructor(what: string, provider: string) {
    super(`${what} works only on a cluster of local binaries, not on one from provider "${provider}"`);
    this.name = 'UnsupportedError';
  }
}
