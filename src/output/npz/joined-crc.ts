/** The CRC-32 of two concatenated byte strings, computed from the CRC-32 of each without reading the bytes. */

/** The polynomial of CRC-32, with x^0 as the highest bit (RFC 1952, section 8). */
const POLYNOMIAL = 0xedb88320;

/** x^8: appending one byte multiplies by it. */
const BYTE = 1 << 23;

/** Like zlib's `crc32_combine`: the first multiplied by x^8 for each of `secondBytes` bytes, plus the second. */
export function joinedCrc(first: number, second: number, secondBytes: number): number {
  let carried = first;
  let power = BYTE;
  for (let left = secondBytes; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) carried = times(carried, power);
    power = times(power, power);
  }
  return (carried ^ second) >>> 0;
}

/** The product of two polynomials over GF(2), modulo the polynomial of CRC-32. */
function times(a: number, b: number): number {
  let product = 0;
  for (let bit = 31, shifted = b; bit >= 0; bit--) {
    if ((a >>> bit) & 1) product ^= shifted;
    shifted = shifted & 1 ? (shifted >>> 1) ^ POLYNOMIAL : shifted >>> 1;
  }
  return product;
}
