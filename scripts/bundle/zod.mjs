/** Replaces zod in the bundle: loads the package when this module is evaluated. A static import of the bundle would load it at every start. */
import { createRequire } from 'node:module';

export const { z } = createRequire(import.meta.url)('zod');
