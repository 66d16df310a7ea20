/** Device truth: a stage that was to run on a card and would not is refused, whatever asked for it. */
import { isCpu } from '../engine/registry.js';
import { TandemError } from '../errors.js';
import type { PoolOptions } from './pool.js';
import type { Loaded } from './protocol.js';

/** Throws TANDEM_DEVICE_FALLBACK when a card was asked for and another device computes; `who` is what asked. */
export function checkDevice(
  who: string,
  { device, engineOptions: { provider } }: Pick<PoolOptions, 'device' | 'engineOptions'>,
  { ranOn, deviceName }: Loaded,
): void {
  if (isCpu(device) || ranOn === 'gpu') return;
  throw new TandemError(
    'TANDEM_DEVICE_FALLBACK',
    `${who} asked for ${device}, but ${provider} would compute on ${deviceName}`,
    {
      remedy: 'see what was found with: tandem doctor; or run it there all the same with --allow-fallback',
    },
  );
}
