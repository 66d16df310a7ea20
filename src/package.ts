/** What the package says of itself in its package.json, and where it lies. */
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { pathToFileURL } from 'node:url';

// Asked for by the package's own name: this code also runs from the bundle, where it is another file in another folder.
const require = createRequire(import.meta.url);
const { version, description } = require('tandem/package.json');

export const VERSION: string = version;
export const DESCRIPTION: string = description;
/** The package's own folder. */
export const ROOT: URL = pathToFileURL(`${dirname(require.resolve('tandem/package.json'))}/`);
