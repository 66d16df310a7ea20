/** A claim before it is published: its file is complete, and has the kernel's lock if possible, when other processes first see it. */
import { randomBytes } from 'node:crypto';
import { type FileHandle, link, open, readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type ClaimText, placeOf, readClaim, TOKEN_DIGITS } from './claim.js';
import { lockDescriptor } from './kernel-lock.js';
import { ownerHere } from './owner.js';

/** Error codes of file systems without hard links. */
const NO_LINKS = new Set(['EPERM', 'EACCES', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EINVAL', 'EISDIR', 'UNKNOWN']);

/** Every claim has this many characters, so that a rewrite replaces the whole content. */
const LENGTH = 512;

export function newToken(): string {
  return randomBytes(TOKEN_DIGITS / 2).toString('hex');
}

export function draftName(path: string, token: string): string {
  return `${path}.${token}.new`;
}

export class Draft {
  readonly token: string;
  #claim: ClaimText;
  readonly #draft: string;
  #file: FileHandle;
  #name: string | null = null;
  #kept = false;

  private constructor(claim: ClaimText, draft: string, file: FileHandle) {
    this.token = claim.token;
    this.#claim = claim;
    this.#draft = draft;
    this.#file = file;
  }

  get text(): string {
    return JSON.stringify(this.#claim).padEnd(LENGTH);
  }

  static async make(path: string): Promise<Draft> {
    const token = newToken();
    const name = draftName(path, token);
    const file = await open(name, 'wx+');
    try {
      const kernel = lockDescriptor(file.fd) ? await placeOf(file) : null;
      const draft = new Draft({ ...(await ownerHere()), token, kernel }, name, file);
      await rewrite(file, draft.text);
      return draft;
    } catch (error) {
      await file.close();
      await rm(name, { force: true });
      throw error;
    }
  }

  /** Publishes the claim under an unused name. Returns `false` if the name exists or the draft was removed. */
  async publish(name: string): Promise<boolean> {
    if (!(await this.#link(name))) return false;
    this.#name = name;
    // On some file systems other processes, or other names of the file, do not show the lock. A process that has read the claim without it will see this rewrite.
    if (this.#claim.kernel !== null && !(await readClaim(name))?.locked) {
      this.#claim = { ...this.#claim, kernel: null };
      await rewrite(this.#file, this.text);
    }
    return true;
  }

  async #link(name: string): Promise<boolean> {
    try {
      await link(this.#draft, name);
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      if (NO_LINKS.has(code)) return this.#create(name);
      if (code !== 'EEXIST' && code !== 'ENOENT') throw error;
      // If a server's answer was lost, the request is repeated and fails because the name exists.
      if (code === 'ENOENT' || (await this.#file.stat()).nlink < 2) return false;
    }
    return true;
  }

  /** Hands over the file: the caller closes and removes it from now on. */
  keep(): FileHandle {
    this.#kept = true;
    return this.#file;
  }

  /** Removes the draft file, and the published name unless the claim was kept. */
  async discard(): Promise<void> {
    const name = this.#name;
    if (!this.#kept && name !== null && (await readClaim(name))?.token === this.token) await rm(name, { force: true });
    await rm(this.#draft, { force: true });
    if (!this.#kept) await this.#file.close();
  }

  /** Without hard links the file is empty for a moment; a process that reads it empty waits. */
  async #create(name: string): Promise<boolean> {
    let file: FileHandle;
    try {
      file = await open(name, 'wx+');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
      throw error;
    }
    await this.#file.close();
    this.#file = file;
    this.#name = name;
    lockDescriptor(file.fd);
    await rewrite(file, this.text);
    return true;
  }
}

/** Settles when other processes see the new content, also through a file server. */
export async function rewrite(file: FileHandle, text: string): Promise<void> {
  await file.write(text, 0);
  await file.datasync();
}

/** Removes all files of claims and drafts of `path`, except `keep`. */
export async function sweep(path: string, keep: ReadonlySet<string>): Promise<void> {
  const folder = dirname(path);
  const left = new RegExp(`^\\.[0-9a-f]{${TOKEN_DIGITS}}(\\.new)?$`);
  for (const file of await readdir(folder)) {
    if (!file.startsWith(basename(path)) || !left.test(file.slice(basename(path).length))) continue;
    const name = join(folder, file);
    if (!keep.has(name)) await rm(name, { force: true });
  }
}
