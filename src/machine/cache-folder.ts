/** Where one user's downloads and measurements are kept between runs and projects. */
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/** The folder, by the platform's own custom; it need not exist yet. `XDG_CACHE_HOME` moves it anywhere. */
export function cacheFolder(
  env: NodeJS.ProcessEnv = process.env,
  platform = process.platform,
  home = homedir(),
): string {
  const chosen = env.XDG_CACHE_HOME;
  // The XDG rule: a relative path is to be ignored.
  if (chosen && isAbsolute(chosen)) return join(chosen, 'tandem');
  if (platform === 'win32') return join(env.LOCALAPPDATA ?? join(home, 'AppData', 'Local'), 'tandem', 'Cache');
  if (platform === 'darwin') return join(home, 'Library', 'Caches', 'tandem');
  return join(home, '.cache', 'tandem');
}
