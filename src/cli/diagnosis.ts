/** The diagnosis of a machine by `tandem doctor`, as `--json` prints it. */

export interface Diagnosis {
  readonly schema: 1;
  /** At least one engine works. */
  readonly ok: boolean;
  readonly checks: readonly Check[];
}

export interface Check {
  readonly name: string;
  /** `missing` stops what needs it; `note` is worth knowing and stops nothing. */
  readonly state: 'ok' | 'missing' | 'note';
  readonly found: string;
  /** What to type; absent if there is nothing to do. */
  readonly remedy?: string;
  /** The same in numbers and names, for programs. */
  readonly facts?: Readonly<Record<string, unknown>>;
}
