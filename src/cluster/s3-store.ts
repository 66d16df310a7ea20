/** A store in a bucket of an S3-compatible service: the first commit wins by `PUT` with `If-None-Match: *`. */
import { createWriteStream } from 'node:fs';
import { open, rm, stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AwsClient } from 'aws4fetch';
import { TandemError } from '../errors.js';
import { checkKey, type Store } from './store.js';

/** Tries of a request whose answer shows nothing wrong with it: no connection, a timeout, 409, 429, 5xx. */
const TRIES = 6;
const FIRST_WAIT_MS = 200;
/** Of a request without a file. */
const TIMEOUT_MS = 30_000;
/** A file of more bytes is sent in parts. */
const PART_BYTES = 64 << 20;
/** Longest that one part, or a file of one part, may take. */
const PART_TIMEOUT_MS = 600_000;

export class S3Store implements Store {
  readonly name: string;
  readonly #client: AwsClient;
  /** With a `/` at its end. */
  readonly #base: string;
  readonly #bucket: string;
  readonly #prefix: string;

  private constructor(client: AwsClient, endpoint: string, bucket: string, prefix: string) {
    this.#client = client;
    this.#bucket = `${endpoint}/${bucket}`;
    this.#base = `${this.#bucket}/${prefix}`;
    this.#prefix = prefix;
    this.name = `s3://${bucket}/${prefix}`.replace(/\/$/, '');
  }

  /**
   * `s3://BUCKET/PREFIX`. AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION and AWS_ENDPOINT_URL (or
   * AWS_ENDPOINT_URL_S3) are read from the environment. Throws TANDEM_USAGE, TANDEM_PACKAGE_MISSING.
   */
  static async open(where: string, env: NodeJS.ProcessEnv = process.env): Promise<S3Store> {
    const [, bucket, rest = ''] = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/(.*))?$/.exec(where) ?? [];
    const prefix = rest.replace(/\/+$/, '');
    if (bucket === undefined || (prefix !== '' && !/^[\w!.*'()/-]+$/.test(prefix))) {
      throw new TandemError('TANDEM_USAGE', `"${where}" is no bucket`, { remedy: 'write s3://BUCKET/PREFIX' });
    }
    const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey, AWS_SESSION_TOKEN: token } = env;
    if (!accessKeyId || !secretAccessKey) {
      throw new TandemError(
        'TANDEM_USAGE',
        `${where} needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment`,
        {
          remedy: 'export both; AWS_ENDPOINT_URL names a service that is not Amazon',
        },
      );
    }
    const region = env.AWS_REGION ?? env.AWS_DEFAULT_REGION ?? 'us-east-1';
    const endpoint = env.AWS_ENDPOINT_URL_S3 ?? env.AWS_ENDPOINT_URL ?? `https://s3.${region}.amazonaws.com`;
    const { AwsClient } = await library();
    const client = new AwsClient({
      ...{ accessKeyId, secretAccessKey, region, service: 's3', retries: 0 },
      ...(token ? { sessionToken: token } : {}),
    });
    return new S3Store(client, endpoint.replace(/\/+$/, ''), bucket, prefix === '' ? '' : `${prefix}/`);
  }

  async get(key: string): Promise<Uint8Array | null> {
    const response = await this.#ask('GET', this.#url(key), {}, [200, 404]);
    if (response.status === 404) return null;
    return new Uint8Array(await response.arrayBuffer());
  }

  /** A try whose answer was lost may have won: then what is there is what was sent. */
  async putIfAbsent(key: string, bytes: Uint8Array): Promise<boolean> {
    const headers = { 'if-none-match': '*' };
    let isLost = false;
    const onLost = () => {
      isLost = true;
    };
    const { status } = await this.#ask('PUT', this.#url(key), { headers, body: bytes, onLost }, [200, 412]);
    if (status === 200) return true;
    const there = isLost ? await this.get(key) : null;
    return there !== null && Buffer.from(there).equals(bytes);
  }

  async putFile(key: string, path: string): Promise<void> {
    const { size } = await stat(path);
    if (size > PART_BYTES) return this.#putParts(key, path, size);
    await this.#ask('PUT', this.#url(key), { body: await readRange(path, 0, size), timeout: PART_TIMEOUT_MS }, [200]);
    await rm(path, { force: true });
  }

  async getFile(key: string, path: string): Promise<boolean> {
    const response = await this.#ask('GET', this.#url(key), { timeout: PART_TIMEOUT_MS }, [200, 404]);
    if (response.status === 404) return false;
    try {
      await pipeline(Readable.fromWeb(response.body as never), createWriteStream(path));
    } catch (cause) {
      throw this.#failed(`${key} was not read to its end: ${(cause as Error).message}`, cause);
    }
    return true;
  }

  pathOf(): null {
    return null;
  }

  async list(prefix: string): Promise<string[]> {
    const keys: string[] = [];
    for (let token: string | null = ''; token !== null; ) {
      const query = new URLSearchParams({ 'list-type': '2', prefix: this.#prefix + prefix });
      if (token !== '') query.set('continuation-token', token);
      const response = await this.#ask('GET', `${this.#bucket}?${query}`, {}, [200]);
      const xml = await response.text();
      for (const [, key] of xml.matchAll(/<Key>([^<]*)<\/Key>/g)) keys.push(unescaped(key!).slice(this.#prefix.length));
      token = tagOf(xml, 'IsTruncated') === 'true' ? unescaped(tagOf(xml, 'NextContinuationToken') ?? '') : null;
    }
    return keys.sort();
  }

  async remove(key: string): Promise<void> {
    await this.#ask('DELETE', this.#url(key), {}, [200, 204, 404]);
  }

  async #putParts(key: string, path: string, size: number): Promise<void> {
    const url = this.#url(key);
    const begun = await (await this.#ask('POST', `${url}?uploads=`, {}, [200])).text();
    const upload = encodeURIComponent(unescaped(tagOf(begun, 'UploadId') ?? ''));
    try {
      const tags: string[] = [];
      for (let at = 0; at < size; at += PART_BYTES) {
        const body = await readRange(path, at, Math.min(PART_BYTES, size - at));
        const asked = `${url}?partNumber=${tags.length + 1}&uploadId=${upload}`;
        const { headers } = await this.#ask('PUT', asked, { body, timeout: PART_TIMEOUT_MS }, [200]);
        tags.push(headers.get('etag') ?? '');
      }
      const parts = tags.map((tag, n) => `<Part><PartNumber>${n + 1}</PartNumber><ETag>${tag}</ETag></Part>`);
      const body = Buffer.from(`<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`);
      const ended = await this.#ask('POST', `${url}?uploadId=${upload}`, { body, timeout: PART_TIMEOUT_MS }, [200]);
      const text = await ended.text();
      // The service may find out after it has answered 200.
      if (text.includes('<Error>')) throw this.#failed(`${key} was not stored: ${tagOf(text, 'Message') ?? text}`);
    } catch (error) {
      await this.#ask('DELETE', `${url}?uploadId=${upload}`, {}, [204, 404]).catch(() => {});
      throw error;
    }
    await rm(path, { force: true });
  }

  #url(key: string): string {
    return this.#base + checkKey(key);
  }

  /** Throws TANDEM_STORE_FAILED unless the answer is one of `expected`. */
  async #ask(
    method: string,
    url: string,
    { headers = {}, body, timeout = TIMEOUT_MS, onLost }: Asked,
    expected: readonly number[],
  ): Promise<Response> {
    let last: { what: string; cause?: unknown } = { what: 'no answer' };
    for (let n = 0; n < TRIES; n++) {
      if (n > 0) await sleep(FIRST_WAIT_MS * 2 ** (n - 1) * (0.5 + Math.random()));
      try {
        const signal = AbortSignal.timeout(timeout);
        const response = await this.#client.fetch(url, {
          method,
          headers,
          signal,
          ...(body ? { body: body as Uint8Array<ArrayBuffer> } : {}),
        });
        if (expected.includes(response.status)) return response;
        const text = (await response.text().catch(() => '')).slice(0, 2000);
        last = { what: `${response.status} ${tagOf(text, 'Code') ?? ''} ${tagOf(text, 'Message') ?? ''}`.trim() };
        const mayPass = response.status === 409 || response.status === 429 || response.status >= 500;
        if (!mayPass) throw this.#failed(last.what);
      } catch (cause) {
        if (cause instanceof TandemError) throw cause;
        last = { what: reasonOf(cause), cause };
        onLost?.();
      }
    }
    throw this.#failed(`${last.what}, ${TRIES} times`, last.cause);
  }

  #failed(what: string, cause?: unknown): TandemError {
    return new TandemError('TANDEM_STORE_FAILED', `the store of the shards, ${this.name}: ${what}`, {
      remedy: 'check the bucket, its region and endpoint (AWS_REGION, AWS_ENDPOINT_URL), and the rights of the key',
      cause,
    });
  }
}

interface Asked {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** Milliseconds. */
  readonly timeout?: number;
  /** Called when a try may have arrived though it had no answer. */
  readonly onLost?: () => void;
}

async function library(): Promise<typeof import('aws4fetch')> {
  try {
    return await import('aws4fetch');
  } catch (cause) {
    throw new TandemError('TANDEM_PACKAGE_MISSING', 'a bucket as the store of shards needs the package aws4fetch', {
      remedy: 'run: npm install --save-exact aws4fetch@1.0.20',
      cause,
    });
  }
}

async function readRange(path: string, from: number, length: number): Promise<Uint8Array> {
  const file = await open(path, 'r');
  try {
    const into = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const { bytesRead } = await file.read(into, done, length - done, from + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return into;
  } finally {
    await file.close();
  }
}

function tagOf(xml: string, name: string): string | null {
  return new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1] ?? null;
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function unescaped(text: string): string {
  return text.replace(/&(amp|lt|gt|quot|apos|#\d+|#x[0-9a-f]+);/gi, (whole, name: string) => {
    if (!name.startsWith('#')) return ENTITIES[name.toLowerCase()] ?? whole;
    return String.fromCodePoint(/^#x/i.test(name) ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1)));
  });
}

/** fetch hides it in the cause. */
function reasonOf(error: unknown): string {
  const { message, cause } = error as Error & { cause?: { code?: string; message?: string } };
  return [message, cause?.code ?? cause?.message].filter(Boolean).join(': ');
}
