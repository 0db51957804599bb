import { mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setOutput, summary } from '@actions/core';
import type { DeployOptions } from '../deploy/options.js';
import { type DeployResult, isGreen } from '../deploy/result.js';
import { formatDuration } from '../duration.js';
import type { TargetProof } from '../gate/watched.js';
import { describeProblem } from '../problem.js';

/** Sets the outputs, writes report.json and the job summary. */
export async function writeResult(options: DeployOptions, result: DeployResult): Promise<void> {
  const report = writeReport(options, result);
  setOutput('outcome', result.outcome);
  setOutput('release', result.release ?? '');
  setOutput('previous-release', result.previousRelease ?? '');
  setOutput('image', result.image?.reference ?? '');
  setOutput('image-tag', result.image?.tag ?? '');
  setOutput('image-digest', result.image?.digest ?? '');
  setOutput('repository', result.image?.repository ?? '');
  setOutput('targets', JSON.stringify(result.targets));
  setOutput('duration-seconds', String(result.durationSeconds));
  setOutput('report', report);
  await writeSummary(options, result);
}

function writeReport({ app, environment, commit }: DeployOptions, result: DeployResult): string {
  const folder = join(process.env.RUNNER_TEMP ?? tmpdir(), 'ec2-compose-deploy');
  mkdirSync(folder, { recursive: true });
  const path = join(folder, 'report.json');
  writeFileSync(path, `${JSON.stringify({ app, environment, commit, ...result }, null, 2)}\n`);
  return path;
}

/** Without a runner there is no summary to write to. */
async function writeSummary(options: DeployOptions, result: DeployResult): Promise<void> {
  if (!process.env.GITHUB_STEP_SUMMARY) return;
  const words = result.outcome.replace('-', ' ');
  const took = formatDuration(result.durationSeconds);
  summary.addRaw(
    `## ${isGreen(result.outcome) ? '✅' : '❌'} ${options.app} · ${options.environment}: ${words} in ${took}\n\n`,
  );
  if (result.release) summary.addRaw(`Release \`${result.release}\`${before(result)}\n\n`);
  for (const problem of result.problems) summary.addRaw(`- ${escapeMarkdown(describeProblem(problem))}\n`);
  if (result.targets.length > 0) summary.addRaw(`\n${targetTable(result.targets)}\n`);
  summary.addRaw(`\n${phaseTable(result)}\n`);
  await summary.write();
}

function before({ previousRelease }: DeployResult): string {
  return previousRelease ? `, before it \`${previousRelease}\`` : ', the first one';
}

function targetTable(targets: readonly TargetProof[]): string {
  const rows = targets.map(({ instance, port, outcome, albState, containerId = '', digest = '', restarts = '' }) =>
    row([`${instance}:${port}`, outcome, albState, containerId, digest.slice(0, 19), String(restarts)]),
  );
  return [
    row(['target', 'verdict', 'load balancer', 'container', 'image', 'restarts']),
    row(Array(6).fill('---')),
    ...rows,
  ].join('\n');
}

function phaseTable({ phases }: DeployResult): string {
  const rows = phases.map(({ phase, startedAt, endedAt, failed }) =>
    row([phase, `${((endedAt - startedAt) / 1000).toFixed(1)} s`, failed ? 'failed' : 'done']),
  );
  return [row(['phase', 'took', '']), row(Array(3).fill('---')), ...rows].join('\n');
}

function row(cells: readonly string[]): string {
  return `| ${cells.map(escapeMarkdown).join(' | ')} |`;
}

/** Text of others is text only: no HTML, no table cells, no emphasis. */
function escapeMarkdown(text: string): string {
  return text.replace(/[\\`*_[\]|<>&]/g, (character) => `&#${character.charCodeAt(0)};`).replace(/\s*\n\s*/g, ' ');
}
