/** Device truth: refuses a stage that was to run on a card and would run elsewhere. */
import { isCpu } from '../engine/device.js';
import { TandemError } from '../errors.js';
import type { PoolOptions } from './pool.js';
import type { Loaded } from './protocol.js';

/** Throws TANDEM_DEVICE_FALLBACK if a card was asked for and another device computes; `who` names the stage or setting that asked. */
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
      remedy: 'see which devices were found with: tandem doctor; or run it there anyway with --allow-fallback',
    },
  );
}
