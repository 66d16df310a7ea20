/** What the bundle has for msgpackr, which only processes need: as zod.mjs. */
import { createRequire } from 'node:module';

export const { Packr } = createRequire(import.meta.url)('msgpackr/index-no-eval');
