/** What the package says of itself in its package.json. */
import { readFileSync } from 'node:fs';

/** This file is dist/src/package.js. */
const { version, description } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

export const VERSION: string = version;
export const DESCRIPTION: string = description;
