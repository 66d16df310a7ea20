/**
 * A claim on a lock: a file that names its owner. The owner renews it by rewriting it. Claims form a chain: the name of the first is
 * the lock's path, and a claim that takes over from the claim with token `t` is named `<path>.<t>`. A name can be created only once,
 * so at most one claim follows another, and the last claim of the chain is the valid one.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { isLockedElsewhere } from './kernel-lock.js';
import { isAlive, type Owner, ownerHere } from './owner.js';

/** The JSON content of a claim's file. */
export interface ClaimText extends Owner {
  readonly token: string;
  /** Kernel and device on which the owner holds the kernel's lock on the file; `null` without a kernel lock. */
  readonly kernel: string | null;
}

export interface Claim {
  /** Name of its file. */
  readonly name: string;
  readonly token: string;
  /** `null` if the file is empty or has the format of another program. */
  readonly text: ClaimText | null;
  /** Whether the file has the format of another program. */
  readonly foreign: boolean;
  /** When it was last renewed, by the clock of the file system. */
  readonly mtimeMs: number;
  /** Whether the kernel's lock on it is held, and the kernel and device that reported it. */
  readonly locked: boolean | null;
  readonly seenOn: string | null;
}

/** Number of hexadecimal digits of a token, which is a part of file names. */
export const TOKEN_DIGITS = 12;
const TOKEN = new RegExp(`^[0-9a-f]{${TOKEN_DIGITS}}$`);

/** Largest size of a claim in bytes. */
const CLAIM_BYTES = 4096;

export function followerName(path: string, { token }: Pick<Claim, 'token'>): string {
  return `${path}.${token}`;
}

/** All claims, from the first to the valid one. Throws the system's errors. */
export async function readChain(path: string): Promise<Claim[]> {
  const chain: Claim[] = [];
  for (let next = await readClaim(path); next; next = await readClaim(followerName(path, next))) chain.push(next);
  return chain;
}

/** `null` if there is none. The file is opened each time because only opening makes a network file system ask its server. */
export async function readClaim(name: string): Promise<Claim | null> {
  let file: FileHandle;
  try {
    file = await open(name, 'r');
  } catch (error) {
    if (isGone(error)) return null;
    throw error;
  }
  try {
    const bytes = Buffer.alloc(CLAIM_BYTES);
    const { bytesRead } = await file.read(bytes, 0, CLAIM_BYTES, 0);
    const { mtimeMs } = await file.stat();
    const locked = isLockedElsewhere(file.fd);
    return {
      name,
      ...parse(bytes.toString('utf8', 0, bytesRead), mtimeMs),
      mtimeMs,
      locked,
      seenOn: await placeOf(file),
    };
  } catch (error) {
    if (isGone(error)) return null;
    throw error;
  } finally {
    await file.close();
  }
}

/** The kernel and the device of an open file: processes that agree on both see each other's locks. `null` if unknown. */
export async function placeOf(file: FileHandle): Promise<string | null> {
  const { boot } = await ownerHere();
  return boot === '' ? null : `${boot} ${(await file.stat({ bigint: true })).dev}`;
}

/** Whether the claim's owner is alive; `null` if this process cannot know. Then the lease decides. */
export async function isOwnerAlive({ text, locked, seenOn }: Claim): Promise<boolean | null> {
  if (text === null) return null;
  // A file server may keep a lock of another kernel after its host has died.
  const isNear = text.kernel !== null && text.kernel === seenOn;
  if (isNear && locked) return true;
  return (await isAlive(text)) ?? (isNear && locked === false ? false : null);
}

function isGone(error: unknown): boolean {
  return ['ENOENT', 'ESTALE'].includes((error as NodeJS.ErrnoException).code ?? '');
}

function parse(text: string, mtimeMs: number): Pick<Claim, 'token' | 'text' | 'foreign'> {
  // A claim without content still needs a token that differs from that of the next claim of this name.
  const token = createHash('sha256').update(`${mtimeMs} ${text}`).digest('hex').slice(0, TOKEN_DIGITS);
  // A system crash can leave a file empty or full of zeros.
  if (/^\0*$/.test(text)) return { token, text: null, foreign: false };
  try {
    const found = JSON.parse(text) as ClaimText;
    if (typeof found.host !== 'string' || !Number.isSafeInteger(found.pid) || found.pid <= 0)
      throw new Error('not ours');
    return { token: TOKEN.test(found.token) ? found.token : token, text: found, foreign: false };
  } catch {
    return { token, text: null, foreign: true };
  }
}
