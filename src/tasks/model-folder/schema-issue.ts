/** The first thing that is wrong with a settings file, as one line. */
import type { z } from 'zod';

/** `pooling_mode: Invalid input: expected string`. */
export function schemaIssue({ issues }: z.ZodError): string {
  const [first] = issues;
  const path = first!.path.join('.');
  return path === '' ? first!.message : `${path}: ${first!.message}`;
}
