/**
 * Checks the metadata of an Arrow message before the library reads it: the library believes every count in it, and would make lists of billions
 * of entries of a damaged one. Source: format/Message.fbs and format/Schema.fbs of Apache Arrow, and the FlatBuffers binary format.
 */

/** Types of a message's header. */
const HEADER = { schema: 1, dictionary: 2, batch: 3 } as const;
/** Fields of tables, by their numbers. */
const MESSAGE = { headerType: 1, header: 2, bodyLength: 3, metadata: 4 } as const;
const SCHEMA = { fields: 1, metadata: 2, features: 3 } as const;
const FIELD = { name: 0, kind: 2, type: 3, children: 5, metadata: 6 } as const;
const KEY_VALUE = { key: 0, value: 1 } as const;
const BATCH = { length: 0, nodes: 1, buffers: 2, variadic: 4 } as const;
const DICTIONARY_BATCH = { data: 1 } as const;
/** The number of the type Union, and its list of ids. */
const UNION = 14;
const UNION_IDS = 1;

/** Bytes of an entry in a list. */
const STRUCT = 16;
const OFFSET = 4;
const LONG = 8;

export interface CheckedMetadata {
  /** The length of the body that follows. */
  readonly body: number;
  readonly isSchema: boolean;
}

/** Throws Error, and RangeError for what lies outside the bytes. */
export function checkMetadata(bytes: Uint8Array): CheckedMetadata {
  const table = new Tables(bytes);
  const message = table.at(0);
  const header = table.inside(message, MESSAGE.header);
  const type = table.byte(message, MESSAGE.headerType);
  checkPairs(table, message, MESSAGE.metadata);
  if (header === null) throw new Error('a message has no header');
  if (type === HEADER.schema) checkSchema(table, header);
  else if (type === HEADER.batch) checkBatch(table, header);
  else if (type === HEADER.dictionary) {
    const data = table.inside(header, DICTIONARY_BATCH.data);
    if (data === null) throw new Error('a dictionary has no values');
    checkBatch(table, data);
  } else throw new Error(`a message is of the kind ${type}, which holds no rows`);
  return { body: table.long(message, MESSAGE.bodyLength), isSchema: type === HEADER.schema };
}

function checkSchema(table: Tables, schema: number): void {
  for (const field of table.list(schema, SCHEMA.fields, OFFSET)) checkField(table, table.at(field));
  table.list(schema, SCHEMA.features, LONG);
  checkPairs(table, schema, SCHEMA.metadata);
}

function checkField(table: Tables, field: number): void {
  table.list(field, FIELD.name, 1);
  const type = table.inside(field, FIELD.type);
  if (type !== null && table.byte(field, FIELD.kind) === UNION) table.list(type, UNION_IDS, OFFSET);
  for (const child of table.list(field, FIELD.children, OFFSET)) checkField(table, table.at(child));
  checkPairs(table, field, FIELD.metadata);
}

function checkPairs(table: Tables, owner: number, field: number): void {
  for (const pair of table.list(owner, field, OFFSET)) {
    table.list(table.at(pair), KEY_VALUE.key, 1);
    table.list(table.at(pair), KEY_VALUE.value, 1);
  }
}

function checkBatch(table: Tables, batch: number): void {
  if (table.long(batch, BATCH.length) < 0) throw new Error('a batch claims fewer than 0 rows');
  table.list(batch, BATCH.nodes, STRUCT);
  table.list(batch, BATCH.buffers, STRUCT);
  table.list(batch, BATCH.variadic, LONG);
}

/** Reads tables in bytes that may hold anything. Offsets point forward only, so no table contains itself. */
class Tables {
  readonly #view: DataView;
  /** Tables that may still be looked at: several may point to one, which could be described without end. */
  #left: number;

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#left = bytes.byteLength;
  }

  /** The table that the offset at `position` points to. */
  at(position: number): number {
    if (this.#left-- <= 0) throw new Error('its metadata has more parts than it has bytes');
    const table = position + this.#view.getUint32(position, true);
    const fields = table - this.#view.getInt32(table, true);
    if (fields < 0 || fields + this.#view.getUint16(fields, true) > this.#view.byteLength) throw outside();
    return table;
  }

  /** The table in a field; `null` if it is not there. */
  inside(table: number, field: number): number | null {
    const position = this.#position(table, field);
    return position === null ? null : this.at(position);
  }

  byte(table: number, field: number): number {
    const position = this.#position(table, field);
    return position === null ? 0 : this.#view.getUint8(position);
  }

  /** A number that is past 2^53 is none that memory can have. */
  long(table: number, field: number): number {
    const position = this.#position(table, field);
    const value = position === null ? 0 : Number(this.#view.getBigInt64(position, true));
    if (!Number.isSafeInteger(value)) throw new Error(`it claims a size of ${value}`);
    return value;
  }

  /** Where the entries of a list begin, all of which lie inside the bytes. */
  list(table: number, field: number, entryBytes: number): Entries {
    const position = this.#position(table, field);
    if (position === null) return new Entries(0, 0, entryBytes);
    const list = position + this.#view.getUint32(position, true);
    const count = this.#view.getUint32(list, true);
    if (list + 4 + count * entryBytes > this.#view.byteLength) {
      throw new Error(`its metadata claims a list of ${count} entries in ${this.#view.byteLength} bytes`);
    }
    return new Entries(list + 4, count, entryBytes);
  }

  #position(table: number, field: number): number | null {
    const fields = table - this.#view.getInt32(table, true);
    const slot = 4 + 2 * field;
    if (slot + 2 > this.#view.getUint16(fields, true)) return null;
    const offset = this.#view.getUint16(fields + slot, true);
    return offset === 0 ? null : table + offset;
  }
}

/** The positions of a list's entries. */
class Entries implements Iterable<number> {
  readonly #from: number;
  readonly #count: number;
  readonly #step: number;

  constructor(from: number, count: number, step: number) {
    this.#from = from;
    this.#count = count;
    this.#step = step;
  }

  *[Symbol.iterator](): Generator<number> {
    for (let n = 0; n < this.#count; n++) yield this.#from + n * this.#step;
  }
}

function outside(): RangeError {
  return new RangeError('its metadata points outside itself');
}
