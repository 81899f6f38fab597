import { calmSetting, scenario, setting, tooLateScenario, type Weights } from './arbitraries.ts';
import { withHttp } from './http-arbitraries.ts';

const users: Weights = { createSessions: 8, createAgain: 1, deleteSession: 2, stopSession: 2 };
const owners: Weights = { deleteAgent: 1, createAgent: 2, changeAgent: 3 };
const badNetwork: Weights = { fault: 6, lag: 2, breakWatches: 1, stallWatches: 1, compact: 1 };
const leadership: Weights = { crash: 2, loseLease: 2, pauseLeader: 2, handOver: 3 };
const badNodes: Weights = {
  deletePod: 2,
  disruptPod: 2,
  strikeAgent: 2,
  stripFinalizer: 1,
  unlabelPod: 1,
  node: 3,
  scheduling: 2,
  images: 2,
};

const pools: Weights = { changePool: 2, changePods: 2 };
const badServers: Weights = { strikeServer: 2, agents: 1, cutNode: 2, callFault: 4, when: 8 };
const http = withHttp(setting);

/** Kinds of stories, each about what one part of the system must stand. */
export const stories = {
  /** People make, stop and delete Sessions, and change Agents; nothing fails, everything may be slow. */
  people: scenario(setting, { ...users, ...owners }),
  /** Bursts against a full Agent while creations get lost, come late and are refused, and leaders change in the middle. */
  cap: scenario(setting, {
    createSessions: 12,
    stopSession: 2,
    deleteSession: 1,
    changeAgent: 2,
    fault: 8,
    ...leadership,
  }),
  /** The network fails in all ways. */
  network: scenario(setting, { ...users, ...owners, ...badNetwork }),
  /** Leaders die, are cut off, stand still and hand over; successors have been blind for a while. */
  leaders: scenario(setting, { ...users, ...leadership, fault: 3, lag: 4, stallWatches: 2, changeAgent: 1 }),
  /** Pods and nodes fail in all ways. */
  nodes: scenario(setting, { ...users, ...badNodes }),
  /** All at once. */
  everything: scenario(setting, { ...users, ...owners, ...badNetwork, ...leadership, ...badNodes }, 24),
  /** Agents of protocol Http, most of them with pods that wait: people use and change them; everything may be slow. */
  pool: scenario(http, { ...users, ...owners, ...pools }),
  /** Claims, binds and statuses get lost or come late, and supervisors cannot be reached. */
  poolNetwork: scenario(http, { ...users, ...badNetwork, changePool: 1, callFault: 6, cutNode: 4, when: 4 }),
  /** Leaders change at every moment of a start. */
  poolLeaders: scenario(http, {
    ...users,
    ...leadership,
    fault: 3,
    lag: 2,
    changePool: 1,
    callFault: 3,
    cutNode: 1,
    when: 12,
  }),
  /** Pods and nodes fail in all ways, warm and busy. */
  poolNodes: scenario(http, { ...users, ...badNodes, ...badServers, ...pools, cordon: 2 }),
  /** All of it. */
  poolEverything: scenario(
    http,
    { ...users, ...owners, ...badNetwork, ...leadership, ...badNodes, ...badServers, ...pools, cordon: 1 },
    24,
  ),
  /** Creations come later than the API server promises. */
  tooLate: tooLateScenario(),
  /** Nothing fails and nothing is slow. */
  calm: scenario(calmSetting, { createSessions: 1 }, 6),
};
