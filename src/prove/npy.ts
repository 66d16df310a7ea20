/** The numbers of an NPY file that a run has written: float32, the bytes after its header. */

export function floatsOf(file: Buffer): Float32Array {
  // Magic, version 1.0, and the length of the header in two bytes.
  const start = 10 + file.readUInt16LE(8);
  return new Float32Array(file.buffer.slice(file.byteOffset + start, file.byteOffset + file.length));
}

/** The largest difference of two lists of numbers, as a share of the largest number; infinite if they cannot be compared. */
export function largestDifference(right: Float32Array, found: Float32Array): number {
  if (right.length !== found.length) return Number.POSITIVE_INFINITY;
  let [most, largest] = [0, 0];
  for (let n = 0; n < right.length; n++) {
    const difference = Math.abs(right[n]! - found[n]!);
    if (Number.isNaN(difference)) return Number.POSITIVE_INFINITY;
    most = Math.max(most, difference);
    largest = Math.max(largest, Math.abs(right[n]!));
  }
  return largest > 0 ? most / largest : most;
}
