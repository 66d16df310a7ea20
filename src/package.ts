/** The package's own version and folder, from its package.json. */
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { pathToFileURL } from 'node:url';

// Asked for by the package's own name: this code also runs from the bundle, where it is another file in another folder.
const require = createRequire(import.meta.url);
const { version, description, peerDependencies } = require('tandem/package.json');

export const VERSION: string = version;
export const DESCRIPTION: string = description;
/** The version that each optional peer was tested in, by its name. */
export const PEERS: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries<string>(peerDependencies).map(([name, range]) => [name, range.replace(/^[~^]/, '')]),
);
/** The package's own folder. */
export const ROOT: URL = pathToFileURL(`${dirname(require.resolve('tandem/package.json'))}/`);
