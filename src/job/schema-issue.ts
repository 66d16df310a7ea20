/** Formats a schema's issues for messages. */
import type { z } from 'zod';

export type Issue = z.core.$ZodIssue;

/** Of the issues of a union, the one about the innermost value. */
export function innermost(issue: Issue): Issue {
  if (issue.code !== 'invalid_union') return issue;
  const within = issue.errors.flat().find(({ code, path }) => path.length > 0 || code === 'unrecognized_keys');
  return within ? innermost({ ...within, path: [...issue.path, ...within.path] }) : issue;
}

/** `stages[1].threads`. */
export function placeOf({ path }: Issue): string {
  return path.reduce<string>(
    (place, key) => (typeof key === 'number' ? `${place}[${key}]` : `${place}${place && '.'}${String(key)}`),
    '',
  );
}

/** The message without zod's prefix. */
export function problemOf({ message }: Issue): string {
  return message.replace(/^Invalid input: /, '');
}
