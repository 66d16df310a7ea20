/** Replaces msgpackr in the bundle, so that only processes load it; see zod.mjs. */
import { createRequire } from 'node:module';

export const { Packr } = createRequire(import.meta.url)('msgpackr/index-no-eval');
