/**
 * A lock file next to the file that it guards. One process holds it; the lock of a dead process is stale. On the same kernel, the
 * kernel knows whether the holder is alive. Otherwise the lease decides: the holder renews it, and it expires if it is not renewed in time.
 *
 * Limit of a lease: a holder that is suspended (a stopped process, a sleeping machine) for longer than its lease may lose the lock
 * without notice. It must call `isHeld` before each step that other processes will see.
 */
import { type FileHandle, open, rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Claim, followerName, isOwnerAlive, readChain, readClaim } from './claim.js';
import { Draft, draftName, newToken, rewrite, sweep } from './draft.js';
import type { Owner } from './owner.js';

/** A claim expires if it is not renewed for this long and the owner's process is not visible. */
const LEASE_MS = 60_000;
const RENEW_MS = 5_000;
/** Shorter than the lease by the longest time that a read and a write between two checks may take. */
const FRESH_MS = LEASE_MS / 2;
const POLL_MS = 100;

/** The current holder of a lock. */
export interface Holder {
  /** `null` if the file has the format of another program. */
  readonly owner: Owner | null;
  /** Milliseconds since its claim was made or renewed. */
  readonly renewedMs: number;
}

export interface TakeOptions {
  /** Whether only tandem uses the path. A file in another format is then from an older version and is ignored. */
  readonly ours?: boolean;
  /** Called once, before waiting for the lease of a holder whose process is not visible. The wait ends at a renewal or after `leftMs`. */
  readonly onWait?: (holder: Holder, leftMs: number) => void;
  /** Ends the wait; its reason is thrown. */
  readonly signal?: AbortSignal;
}

/** Milliseconds by two clocks: the wall clock may jump, the monotonic clock may stop while the machine sleeps. */
interface Instant {
  readonly wall: number;
  readonly monotonic: number;
}

interface Start {
  readonly names: readonly string[];
  readonly made: Instant;
}

export class LockFile {
  readonly #path: string;
  readonly #text: string;
  readonly #token: string;
  readonly #file: FileHandle;
  /** Names of the earlier claims of the chain, and of this one. */
  readonly #names: readonly string[];
  readonly #renewing: NodeJS.Timeout;
  #renewal: Promise<void> | null = null;
  #renewed: Instant;
  #state: 'held' | 'lost' | 'released' = 'held';

  private constructor(path: string, { token, text }: Draft, file: FileHandle, { names, made }: Start) {
    this.#path = path;
    this.#text = text;
    this.#token = token;
    this.#file = file;
    this.#names = names;
    this.#renewed = made;
    this.#renewing = setInterval(() => void this.#renew(), RENEW_MS).unref();
  }

  /** Takes the lock, also from a dead owner, which may take as long as a lease. Throws the system's errors. */
  static async take(path: string, options: TakeOptions = {}): Promise<LockFile | Holder> {
    for (;;) {
      const last = (await readChain(path)).at(-1) ?? null;
      const held = last && (await heldBy(path, last, options));
      if (held === 'changed') continue;
      if (held) return held;
      const made = now();
      const draft = await Draft.make(path);
      try {
        if (!(await draft.publish(last ? followerName(path, last) : path))) continue;
        const chain = await readChain(path);
        // Otherwise the previous owner has released the lock meanwhile, or is alive.
        if (chain.at(-1)?.token === draft.token && !(await isRenewed(last)) && isFresh(made)) {
          return new LockFile(path, draft, draft.keep(), { names: chain.map(({ name }) => name), made });
        }
      } finally {
        await draft.discard();
      }
    }
  }

  /** Whether the lease was renewed recently, so that no other process can have taken the lock. Reads no file. */
  get isFresh(): boolean {
    return this.#state === 'held' && isFresh(this.#renewed);
  }

  /** Reads the files to check that the lock is still held. A lost lock stays lost. */
  async isHeld(): Promise<boolean> {
    if (this.#state !== 'held') return false;
    // Renew first, then read. A process that takes over reads after publishing, so that one of the two sees the other.
    if (!this.isFresh) await this.#renew();
    const last = (await readChain(this.#path)).at(-1);
    if (this.#state === 'held' && (last?.token !== this.#token || !this.isFresh)) this.#state = 'lost';
    return this.#state === 'held';
  }

  async release(): Promise<void> {
    if (this.#state === 'released') return;
    const isHeld = this.isFresh || (await this.isHeld().catch(() => false));
    this.#state = 'released';
    clearInterval(this.#renewing);
    await this.#renewal;
    try {
      if (!isHeld) return;
      // While the lock is held, all other claim files are void. The first of the chain is removed first: without it the others are void too.
      await sweep(this.#path, new Set([...this.#names, followerName(this.#path, { token: this.#token })]));
      for (const name of this.#names) await rm(name, { force: true });
    } finally {
      // Close last: until then the kernel's lock shows that the owner is alive.
      await this.#file.close();
    }
  }

  /** Errors are ignored here: after a failed renewal `isFresh` becomes false. */
  #renew(): Promise<void> {
    const at = now();
    this.#renewal ??= rewrite(this.#file, this.#text)
      .then(
        () => {
          this.#renewed = at;
        },
        () => {},
      )
      .finally(() => {
        this.#renewal = null;
      });
    return this.#renewal;
  }
}

/** The holder of the lock, without taking or waiting; `null` if it is free. */
export async function lockHolder(path: string): Promise<Holder | null> {
  const last = (await readChain(path)).at(-1);
  if (!last) return null;
  const renewedMs = await ageOf(path, last);
  const isAlive = (await isOwnerAlive(last)) ?? (last.text !== null && renewedMs < LEASE_MS);
  return isAlive ? { owner: last.text, renewedMs } : null;
}

/** The holder of the claim; `null` if its owner is dead. Waits until a lease is renewed or expires. */
async function heldBy(
  path: string,
  claim: Claim,
  { ours = false, onWait, signal }: TakeOptions,
): Promise<Holder | null | 'changed'> {
  if (claim.foreign) return ours ? null : { owner: null, renewedMs: await ageOf(path, claim) };
  const isAlive = await isOwnerAlive(claim);
  if (isAlive === false) return null;
  const renewedMs = await ageOf(path, claim);
  if (isAlive) return { owner: claim.text, renewedMs };
  const leftMs = LEASE_MS - renewedMs;
  const end = performance.now() + leftMs;
  if (leftMs > 0) onWait?.({ owner: claim.text, renewedMs }, leftMs);
  while (performance.now() < end) {
    await sleep(POLL_MS);
    signal?.throwIfAborted();
    const found = await readClaim(claim.name);
    if (found?.token !== claim.token) return 'changed';
    if (found.mtimeMs !== claim.mtimeMs) return { owner: claim.text, renewedMs: 0 };
    if (await isFollowed(path, claim)) return 'changed';
  }
  return null;
}

async function isFollowed(path: string, claim: Claim): Promise<boolean> {
  return (await readClaim(followerName(path, claim))) !== null;
}

async function isRenewed(claim: Claim | null): Promise<boolean> {
  if (claim === null) return false;
  const found = await readClaim(claim.name);
  return found !== null && found.mtimeMs !== claim.mtimeMs;
}

/** Age of the claim by the file system's clock, so that clocks of hosts may differ. A time in the future counts as now. */
async function ageOf(path: string, { mtimeMs }: Claim): Promise<number> {
  // Without permission to write, use the host's clock.
  const time = await timeBeside(path).catch(() => Date.now());
  return Math.max(0, time - mtimeMs);
}

/** The time by the clock that sets the times of files in the folder of `path`: on a network file system, that of the server. */
async function timeBeside(path: string): Promise<number> {
  const name = draftName(path, newToken());
  const file = await open(name, 'wx');
  try {
    return (await file.stat()).mtimeMs;
  } finally {
    await file.close();
    await rm(name, { force: true });
  }
}

function now(): Instant {
  return { wall: Date.now(), monotonic: performance.now() };
}

function isFresh(since: Instant): boolean {
  const { wall, monotonic } = now();
  return Math.max(Math.abs(wall - since.wall), monotonic - since.monotonic) < FRESH_MS;
}
