/** What was looked at: how it is, and what to do where it is not as it should be. */
export interface Finding {
  what: string;
  ok: boolean | 'unknown';
  hint?: string;
}
