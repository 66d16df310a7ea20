/** Runs commands in separate pid namespaces with their own host names, like containers of one machine that share a folder. */
import { spawnSync } from 'node:child_process';

export interface Surroundings {
  readonly host: string;
  /** Folders that are hidden by empty mounts. */
  readonly without?: readonly string[];
}

const UNSHARE = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc', '--uts'];

/** The reason why namespaces cannot be created here, or false. */
export const noNamespaces: string | false = (() => {
  const { status, stderr, error } = spawnSync('unshare', [...UNSHARE.slice(1), 'hostname', 'tandem-test'], {
    encoding: 'utf8',
  });
  return status === 0 ? false : `namespaces cannot be created here: ${error?.message ?? stderr.trim()}`;
})();

/** A command prefix: the command after it becomes process 1 of a new namespace. */
export function inNamespace({ host, without = [] }: Surroundings): readonly string[] {
  const hide = without.map((folder) => `mount -t tmpfs none '${folder}' && `).join('');
  return [...UNSHARE, 'sh', '-c', `hostname '${host}' && ${hide}exec "$@"`, 'sh'];
}
