/** Where Chromium is installed; undefined if it is not. */
import { existsSync } from 'node:fs';

export const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((place) =>
  existsSync(place),
);
export const NO_CHROMIUM = 'Chromium is not installed; install it with: apt-get install chromium';
