/** Where the demo's Agents and Sessions are. */
export const NAMESPACE = 'demo';
