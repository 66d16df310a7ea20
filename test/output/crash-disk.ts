/**
 * A simulated disk that loses power. Synced changes stay; any other change may be lost, torn, garbled, or reach the
 * disk before an earlier one. Names change in order, and are durable after their folder is synced.
 */

import type { Disk, DiskFile } from '../../src/output/disk.js';
import type { Random } from '../../src/prove/models/random.js';

export class PowerCut extends Error {}

type Change = { readonly at: number; readonly bytes: Buffer } | { readonly length: number };

interface Inode {
  now: Buffer;
  synced: Buffer;
  /** Changes since the last sync, oldest first. */
  changes: Change[];
}

type Names = Map<string, Inode>;

export class CrashDisk implements Disk {
  readonly names: Names;
  #syncedNames: Names;
  #nameChanges: ((names: Names) => void)[] = [];
  /** Changes and syncs that are still done before the power fails. */
  #left: number;

  constructor(names: Names = new Map(), cutAfter = Number.POSITIVE_INFINITY) {
    this.names = names;
    this.#syncedNames = new Map(names);
    this.#left = cutAfter;
  }

  /** The disk as the next boot finds it, and the number of steps until the next power failure. */
  afterCrash(random: Random, cutAfter: number): CrashDisk {
    const names = new Map(this.#syncedNames);
    const kept = Math.floor(random.next() * (this.#nameChanges.length + 1));
    for (const change of this.#nameChanges.slice(0, kept)) change(names);
    const inodes = new Map([...new Set(names.values())].map((inode) => [inode, survivor(inode, random)]));
    return new CrashDisk(new Map([...names].map(([path, inode]) => [path, inodes.get(inode)!])), cutAfter);
  }

  /** No power failure from now on. */
  mend(): void {
    this.#left = Number.POSITIVE_INFINITY;
  }

  async create(path: string): Promise<DiskFile> {
    await this.#spend();
    const inode: Inode = { now: Buffer.alloc(0), synced: Buffer.alloc(0), changes: [] };
    this.#rename((names) => names.set(path, inode));
    return this.#file(inode);
  }

  async open(path: string): Promise<DiskFile | null> {
    const inode = this.names.get(path);
    return inode ? this.#file(inode) : null;
  }

  async sizeOf(path: string): Promise<number | null> {
    return this.names.get(path)?.now.length ?? null;
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#spend();
    const inode = this.names.get(from)!;
    this.#rename((names) => {
      names.delete(from);
      names.set(to, inode);
    });
  }

  async remove(path: string): Promise<void> {
    await this.#spend();
    if (this.names.has(path)) this.#rename((names) => names.delete(path));
  }

  async syncFolder(): Promise<void> {
    await this.#spend();
    this.#syncedNames = new Map(this.names);
    this.#nameChanges = [];
  }

  #rename(change: (names: Names) => void): void {
    change(this.names);
    this.#nameChanges.push(change);
  }

  /** Yields to other tasks, so that commits and writes interleave. */
  async #spend(): Promise<void> {
    await new Promise(setImmediate);
    this.#left -= 1;
    if (this.#left < 0) throw new PowerCut();
  }

  #file(inode: Inode): DiskFile {
    const change = async (one: Change) => {
      await this.#spend();
      inode.changes.push(one);
      inode.now = applied(inode.now, one);
    };
    return {
      write: async (bytes: Uint8Array, offset: number, length: number, at: number) => {
        await change({ at, bytes: Buffer.from(bytes.subarray(offset, offset + length)) });
        return { bytesWritten: length, buffer: bytes };
      },
      read: async (into: Uint8Array, offset: number, length: number, at: number) => {
        const found = inode.now.subarray(at, at + length);
        into.set(found, offset);
        return { bytesRead: found.length, buffer: into };
      },
      truncate: (length: number) => change({ length }),
      sync: async () => {
        await this.#spend();
        inode.synced = inode.now;
        inode.changes = [];
      },
      close: async () => {},
    } as unknown as DiskFile;
  }
}

function applied(bytes: Buffer, change: Change): Buffer {
  if ('length' in change) {
    return Buffer.concat([bytes.subarray(0, change.length), Buffer.alloc(Math.max(0, change.length - bytes.length))]);
  }
  const end = change.at + change.bytes.length;
  const grown = Buffer.alloc(Math.max(bytes.length, end));
  bytes.copy(grown);
  change.bytes.copy(grown, change.at);
  return grown;
}

function survivor({ synced, changes }: Inode, random: Random): Inode {
  let now = synced;
  const order = random.next() < 0.5 ? changes : shuffled(changes, random);
  for (const change of order) {
    const fate = random.next();
    if (fate < 0.4) now = applied(now, change);
    else if (fate < 0.6 && 'bytes' in change) now = applied(now, spoilt(change, random));
  }
  return { now, synced: now, changes: [] };
}

/** Truncated, or with other bytes. */
function spoilt({ at, bytes }: { at: number; bytes: Buffer }, random: Random): Change {
  if (random.next() < 0.5) return { at, bytes: bytes.subarray(0, Math.floor(random.next() * bytes.length)) };
  return { at, bytes: Buffer.from(bytes.map((byte) => (random.next() < 0.1 ? byte ^ 0x55 : byte))) };
}

function shuffled<T>(list: readonly T[], random: Random): T[] {
  return list
    .map((item) => ({ item, key: random.next() }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}
