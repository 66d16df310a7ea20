/** CRC-32 by zlib. An older Node has none: a named import would fail before the message that Node is too old. */
import * as zlib from 'node:zlib';

export const crc32: typeof zlib.crc32 = zlib.crc32;
