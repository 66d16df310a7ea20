/** Writes protobuf messages: the few field kinds that ONNX models use. */

/** Grows as it is written; `bytes()` is the message. Field numbers first, in the order of the .proto file. */
export class WireWriter {
  #bytes = new Uint8Array(256);
  #length = 0;

  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** An int64, int32, bool or enum field. */
  integer(field: number, value: number | bigint): this {
    this.#varint(field * 8);
    this.#varint(value);
    return this;
  }

  text(field: number, value: string): this {
    return this.block(field, new TextEncoder().encode(value));
  }

  /** Length-delimited bytes: a string, `bytes`, packed numbers or an encoded message. */
  block(field: number, value: Uint8Array): this {
    this.#varint(field * 8 + 2);
    this.#varint(value.length);
    return this.raw(value);
  }

  message(field: number, write: (message: WireWriter) => void): this {
    const message = new WireWriter();
    write(message);
    return this.block(field, message.bytes());
  }

  float(field: number, value: number): this {
    this.#varint(field * 8 + 5);
    return this.raw(new Uint8Array(new Float32Array([value]).buffer));
  }

  /** Fields in encoded form. */
  raw(encoded: Uint8Array): this {
    this.#reserve(encoded.length);
    this.#bytes.set(encoded, this.#length);
    this.#length += encoded.length;
    return this;
  }

  #varint(value: number | bigint): void {
    this.#reserve(10);
    let rest = BigInt.asUintN(64, BigInt(value));
    while (rest > 127n) {
      this.#bytes[this.#length++] = Number(rest & 127n) | 128;
      rest >>= 7n;
    }
    this.#bytes[this.#length++] = Number(rest);
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + count));
    grown.set(this.bytes());
    this.#bytes = grown;
  }
}
