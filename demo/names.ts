/** Where the demo's Agents and Sessions are: the organization, in the words of the REST API. */
export const NAMESPACE = 'demo';

/** Where Bullpen itself is installed. */
export const SYSTEM = 'bullpen-system';
