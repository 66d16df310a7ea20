/** Where OpenVINO's files are: the folder in the user's cache that `tandem setup openvino` fills. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from '../../machine/cache-folder.js';

/** The release that the bindings are written for; the numbers of its element types differ from those of others. */
export const OPENVINO_VERSION = '2026.4.0';

export const OPENVINO_FOLDER = `openvino-${OPENVINO_VERSION}`;

/** The C library, relative to the folder in the cache. */
export const OPENVINO_LIBRARY = 'openvino/libs/libopenvino_c.so.2640';

/** The C library's file, or `null` if it is not set up. */
export function openvinoLibrary(cache = cacheFolder()): string | null {
  const file = join(cache, OPENVINO_FOLDER, OPENVINO_LIBRARY);
  return existsSync(file) ? file : null;
}
