/** The part of lz4js that is used: it has no types of its own. */
declare module 'lz4js' {
  const lz4: { decompress(packed: Uint8Array): Uint8Array; decompressBound(packed: Uint8Array): number };
  export default lz4;
}
