import { describe, expect, test } from 'vitest';
import { networkAt } from './network.ts';
import { containerdConfig, kubeletConfig, type NodeConfigInput } from './node-config.ts';
import { mountsBelow } from './teardown.ts';

/** First and last address of a range, as numbers. */
function rangeOf(cidr: string): [number, number] {
  const [address = '', bits] = cidr.split('/');
  const start = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  return [start, start + 2 ** (32 - Number(bits)) - 1];
}

test('networks of different clusters never overlap', () => {
  const networks = Array.from({ length: 32 }, (_, index) => networkAt(index));
  const ranges = networks.flatMap(({ podCidr, hostAddress }) => [rangeOf(podCidr), rangeOf(`${hostAddress}/30`)]);
  ranges.sort((a, b) => a[0] - b[0]);
  for (const [index, range] of ranges.entries()) expect(range[0]).toBeGreaterThan(ranges[index - 1]?.[1] ?? 0);
  expect(new Set(networks.map((network) => network.hostLink)).size).toBe(32);
  // The kernel's limit for names of links.
  for (const { hostLink } of networks) expect(hostLink.length).toBeLessThan(16);
});

describe('the configuration of a node', () => {
  const input: NodeConfigInput = {
    folder: '/cluster',
    network: networkAt(3),
    cniPlugins: '/plugins',
    snapshotter: 'native',
    cgroup: 'bullpen-3',
    kubelet: { nodeStatusUpdateFrequency: '1s', maxPods: 7 },
  };

  test('takes what a test adds to the kubelet', () => {
    expect(JSON.parse(kubeletConfig(input))).toMatchObject({
      nodeStatusUpdateFrequency: '1s',
      maxPods: 7,
      address: '10.214.131.2',
      cgroupRoot: '/bullpen-3',
    });
  });

  test("keeps containerd's files in the folder of the cluster", () => {
    const config = containerdConfig(input);
    expect(config).toContain('snapshotter = "native"');
    for (const [, path] of config.matchAll(/^\s*(?:root|state|address|path|Root|conf_dir) = "(.*)"$/gm)) {
      expect(path).toMatch(/^\/cluster\//);
    }
  });
});

test('finds the mounts below a folder, innermost first', () => {
  const mounts = `/dev/vda / ext4 rw 0 0
overlay /c/state/rootfs overlay rw 0 0
tmpfs /c/state/rootfs/var\\040run tmpfs rw 0 0
tmpfs /c-other tmpfs rw 0 0
`;
  expect(mountsBelow('/c', mounts)).toEqual(['/c/state/rootfs/var run', '/c/state/rootfs']);
});
