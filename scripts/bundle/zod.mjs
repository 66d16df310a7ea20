/** What the bundle has for zod: the package, loaded by whoever evaluates this. What a bundle imports by itself is loaded before it begins. */
import { createRequire } from 'node:module';

export const { z } = createRequire(import.meta.url)('zod');
