import { describe, expect, test } from '@jest/globals';
import { readMetadata } from '../../scripts/metadata.js';
import { deployInputs, readDeployInputs } from '../../src/actions/deploy-inputs.js';
import { ProblemsError } from '../../src/problem.js';

const metadata = readMetadata('deploy');

/** What the runner would set: the defaults of action.yml under what the workflow gives. */
function environment(given: { [name: string]: string }): NodeJS.ProcessEnv {
  const defaults = Object.entries(metadata.inputs).map(([name, input]) => [name, input.default ?? '']);
  const inputs = { ...Object.fromEntries(defaults), ...given } as { [name: string]: string };
  return Object.fromEntries(Object.entries(inputs).map(([name, value]) => [`INPUT_${name.toUpperCase()}`, value]));
}

/** `getInput` of the runner's toolkit reads the process's own environment. */
function read(given: { [name: string]: string }, more: NodeJS.ProcessEnv = { AWS_REGION: 'eu-central-1' }) {
  const inputs = environment(given);
  const before = { ...process.env };
  Object.assign(process.env, inputs);
  try {
    return readDeployInputs({ ...inputs, ...more });
  } finally {
    process.env = before;
  }
}

function problemsOf(work: () => unknown): string[] {
  try {
    work();
  } catch (error) {
    if (error instanceof ProblemsError) return error.problems.map(({ message }) => message);
    throw error;
  }
  return [];
}

const smallest = { app: 'shop', 'target-group': 'shop-web', 'ecr-repository': 'shop' };

describe('the inputs of the deploy action', () => {
  test('are those that action.yml declares', () => {
    expect(Object.keys(deployInputs).sort()).toEqual(Object.keys(metadata.inputs).sort());
  });

  test('the smallest useful step needs three', () => {
    const { options, ssmDocument } = read(smallest);
    expect(options).toMatchObject({
      app: 'shop',
      environment: 'production',
      targetGroups: [{ nameOrArn: 'shop-web' }],
      strategy: 'auto',
      waveSize: { kind: 'share', percent: 25 },
      region: 'eu-central-1',
      rollbackOnFailure: true,
      dryRun: false,
    });
    expect(ssmDocument).toBe('AWS-RunShellScript');
  });

  test('everything that is wrong is told at once, with what is allowed', () => {
    const problems = problemsOf(() =>
      read({
        app: 'Shop!',
        strategy: 'canary',
        'wave-size': '0',
        'health-timeout': 'soon',
        cache: 'maybe',
        'dry-run': 'yes',
      }),
    );
    expect(problems).toEqual([
      "Input 'app' is 'Shop!', but must be lower-case letters, digits and hyphens, at most 40.",
      "Input 'target-group' is required.",
      "Input 'cache' is 'maybe', but must be one of: auto, gha, registry, none.",
      "Input 'strategy' is 'canary', but must be one of: auto, rolling, recreate.",
      "Input 'wave-size' is '0', but must be a number of hosts or a percentage from 1% to 100%.",
      "Input 'health-timeout' is 'soon', but must be a time: 90, 90s, 5m or 1h30m.",
      "Input 'dry-run' is 'yes', but must be one of: true, false.",
    ]);
  });

  test('a misspelt one is refused, since the runner only warns', () => {
    expect(problemsOf(() => read({ ...smallest, 'traget-group': 'x' }))).toEqual([
      "Input 'traget-group' does not exist.",
    ]);
  });

  test('a region is needed from somewhere', () => {
    expect(problemsOf(() => read(smallest, {}))).toEqual(["Input 'aws-region' is empty and AWS_REGION is not set."]);
  });

  test('a repository is needed unless an image is given', () => {
    expect(problemsOf(() => read({ app: 'shop', 'target-group': 'shop-web' }))).toHaveLength(1);
    const image = '123456789012.dkr.ecr.eu-central-1.amazonaws.com/shop:1.2';
    expect(read({ app: 'shop', 'target-group': 'shop-web', image }).options.image).toBe(image);
  });

  test.each([
    ['i-0123456789abcdef0\ni-01234567', { kind: 'instances', ids: ['i-0123456789abcdef0', 'i-01234567'] }],
    ['tag:Role=web=1', { kind: 'tag', key: 'Role', value: 'web=1' }],
    ['asg:shop', { kind: 'tag', key: 'aws:autoscaling:groupName', value: 'shop' }],
  ])('fleet %j', (fleet, expected) => {
    expect(read({ ...smallest, fleet }).options.fleet).toEqual(expected);
  });

  test('several target groups need a service each', () => {
    const groups = 'web=shop-web\napi=arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/a/1';
    expect(read({ ...smallest, 'target-group': groups }).options.targetGroups).toHaveLength(2);
    expect(problemsOf(() => read({ ...smallest, 'target-group': 'one\ntwo' }))).toEqual([
      "Input 'target-group' names several target groups, so each line must be SERVICE=NAME.",
    ]);
  });
});
