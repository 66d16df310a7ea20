/** NPY files laid out byte by byte as the specification says, so that the code under test is not its own judge. */

export interface NpyParts {
  readonly descr: string;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
  readonly fortran?: boolean;
  readonly version?: 1 | 2 | 3;
}

export function npyBytes({ descr, shape, data, fortran = false, version = 1 }: NpyParts): Buffer {
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  return npyWithHeader(
    `{'descr': '${descr}', 'fortran_order': ${fortran ? 'True' : 'False'}, 'shape': ${tuple}, }`,
    data,
    version,
  );
}

/** An NPY with any text for a header, padded to 64 bytes as NumPy pads it. */
export function npyWithHeader(text: string, data: Uint8Array, version: 1 | 2 | 3 = 1): Buffer {
  const prefix = version === 1 ? 10 : 12;
  const literal = Buffer.from(text, version === 3 ? 'utf8' : 'latin1');
  const total = Math.ceil((prefix + literal.length + 1) / 64) * 64;
  const length = Buffer.alloc(prefix - 8);
  if (version === 1) length.writeUInt16LE(total - prefix);
  else length.writeUInt32LE(total - prefix);
  const padding = ' '.repeat(total - prefix - literal.length - 1);
  return Buffer.concat([
    Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, version, 0]),
    length,
    literal,
    Buffer.from(`${padding}\n`),
    data,
  ]);
}

export function floatBytes(...values: number[]): Uint8Array {
  return new Uint8Array(Float32Array.from(values).buffer);
}
