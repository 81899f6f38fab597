/** The HTTP client that is bundled asks for it; an older Node would fail somewhere inside of it. */
const OLDEST = { major: 22, minor: 19 };

/** What is wrong with the Node that runs us, for people; undefined when it will do. */
export function problemOfNode(version: string): string | undefined {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const isOld = major < OLDEST.major || (major === OLDEST.major && minor < OLDEST.minor);
  return isOld ? `bullpen needs Node.js ${OLDEST.major}.${OLDEST.minor} or later, and this is ${version}.` : undefined;
}
