import { run, type ShellOptions, type ShellResult, tryRun } from './shell.js';

/** The docker command line, bound to one engine. */
export interface Docker {
  /** What a child process needs to reach the same engine: DOCKER_HOST, DOCKER_CONFIG, PATH. */
  readonly env: NodeJS.ProcessEnv;
  /** Gives back stdout; rejects when docker does. */
  (args: readonly string[], options?: ShellOptions): Promise<string>;
  attempt(args: readonly string[], options?: ShellOptions): Promise<ShellResult>;
}

export function dockerWith(env: NodeJS.ProcessEnv): Docker {
  const whole = { ...process.env, ...env };
  const docker = (args: readonly string[], options: ShellOptions = {}) =>
    run('docker', args, { ...options, env: { ...whole, ...options.env } });
  const attempt = (args: readonly string[], options: ShellOptions = {}) =>
    tryRun('docker', args, { ...options, env: { ...whole, ...options.env } });
  return Object.assign(docker, { env, attempt });
}
