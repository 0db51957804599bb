import * as core from '@actions/core';
import type { Log } from '../log.js';

/** The job log. What comes from builds, hosts and AWS can not speak to the runner: commands in it are defused. */
export const runnerLog: Log = {
  info: (line) => core.info(defuse(line)),
  warning: (line) => core.warning(line),
  debug: (line) => core.debug(line),
  group: async (title, work) => {
    core.startGroup(title);
    try {
      return await work();
    } finally {
      core.endGroup();
    }
  },
};

const ZERO_WIDTH_SPACE = '\u200b';

/** The runner takes every line of output that begins with `::` or contains `##[` for a command. */
export function defuse(text: string): string {
  return text.replace(/^(\s*):(?=:)/gm, `$1:${ZERO_WIDTH_SPACE}`).replaceAll('##[', `##${ZERO_WIDTH_SPACE}[`);
}
