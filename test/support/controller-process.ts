import type { Cluster } from '../cluster/cluster.ts';
import { BULLPEN_IMAGE } from './bullpen-image.ts';
import type { ChaosProxy } from './chaos-proxy.ts';
import { controllerAccount, type ControllerAccount } from './controller-account.ts';
import { ProgramProcess } from './program-process.ts';

export interface ControllerOptions {
  /** Namespace of its lease. Tests that need a controller of their own give each a namespace of its own. */
  namespace: string;
  /** Namespaces that it serves; a test names its own, so that tests do not disturb each other. */
  watchNamespaces?: string[];
  /** More of BULLPEN_CONFIG. */
  config?: Record<string, unknown>;
  /** Between it and the API server. */
  proxy?: ChaosProxy;
  /** Who it is; the account that the chart makes, when left out. */
  account?: ControllerAccount;
  env?: Record<string, string>;
}

/**
 * A controller that runs beside the cluster. It has the rights that the chart gives it, and no others.
 */
export class ControllerProcess extends ProgramProcess {
  /** Starts one; resolves when the process runs, not when it leads. */
  static async start(cluster: Cluster, options: ControllerOptions): Promise<ControllerProcess> {
    const account = options.account ?? (await controllerAccount(cluster, options.namespace));
    options.proxy?.actAs(account.user);
    const config = {
      namespace: options.namespace,
      watchNamespaces: options.watchNamespaces ?? [],
      health: { port: 0 },
      supervisor: { image: `${BULLPEN_IMAGE.repository}:${BULLPEN_IMAGE.tag}`, imagePullPolicy: 'Never' },
      ...options.config,
    };
    const { kubeconfig } = options.proxy ?? account;
    const child = await ProgramProcess.spawn('controller', { kubeconfig, config, env: options.env });
    return new ControllerProcess('controller', child);
  }

  /** Starts one and waits until it leads. */
  static async startLeading(cluster: Cluster, options: ControllerOptions): Promise<ControllerProcess> {
    const controller = await ControllerProcess.start(cluster, options);
    await controller.log('leading');
    return controller;
  }

  /** Its metrics, in Prometheus' text format. */
  async metrics(): Promise<string> {
    return await (await this.#fetch('/metrics')).text();
  }

  /** What its readiness probe would find. */
  async isReady(): Promise<boolean> {
    return (await this.#fetch('/readyz')).ok;
  }

  async #fetch(path: string): Promise<Response> {
    const { port } = await this.log('started; waiting for the lease');
    return await fetch(`http://127.0.0.1:${String(port)}${path}`);
  }
}
