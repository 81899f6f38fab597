import { isIPv6 } from 'node:net';

/** Of an IPv6 address, what one network has: each of its machines may take any of 2^64 addresses. */
const NETWORK_GROUPS = 4;

/** Who is behind an address, for limits: the address itself for IPv4, its /64 for IPv6. */
export function addressOf(ip: string): string {
  const [plain = ''] = ip.split('%'); // Without the zone of a link-local one.
  // An IPv4 address as a socket for both shows it.
  if (!isIPv6(plain) || plain.includes('.')) return plain;
  const [head = '', tail] = plain.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  const groups = [...left, ...Array.from({ length: zeros }, () => '0'), ...right];
  const network = groups.slice(0, NETWORK_GROUPS).map((group) => Number.parseInt(group, 16).toString(16));
  return `${network.join(':')}::/64`;
}
