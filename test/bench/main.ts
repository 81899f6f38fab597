import { availableParallelism, loadavg, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { run } from '../cluster/run.ts';
import { repository } from '../support/build.ts';
import { Bed } from './bed.ts';
import { burst } from './scenarios/burst.ts';
import { floor } from './scenarios/floor.ts';
import { idle } from './scenarios/idle.ts';
import { restStart } from './scenarios/rest-start.ts';
import type { Scenario, ScenarioContext } from './scenarios/scenario.ts';
import { scale } from './scenarios/scale.ts';
import { start } from './scenarios/start.ts';
import { warm } from './scenarios/warm.ts';
import { warmNode } from './scenarios/warm-node.ts';

const scenarios: Record<string, Scenario> = {
  floor,
  start,
  burst,
  warm,
  'rest-start': restStart,
  'warm-node': warmNode,
  idle,
  scale,
};

const help = `Measures Bullpen's controller and gateway on a real API server with fake kubelets, all on this machine. Tables in Markdown go to standard
output, progress to standard error. docs/performance.md says what was found and how to read it.

  npm run --silent bench -- [options]

  --scenario NAME[,NAME]  only these; default: all
${Object.entries(scenarios)
  .map(([name, { title }]) => `      ${name.padEnd(10)} ${title}`)
  .join('\n')}
  --quick                 short runs, to see that it works: the figures mean little
  --repeat N              make each measurement so often; default 3, with --quick 1
  --load TEXT             of warm and rest-start, only the loads with this in their name
  --profile FOLDER        write a CPU profile of each controller and gateway there (open it with Chrome DevTools)

It needs what a test cluster of local binaries needs: Linux, and Go the first time. Let nothing else run beside it.
`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      scenario: { type: 'string', default: Object.keys(scenarios).join(',') },
      quick: { type: 'boolean', default: false },
      repeat: { type: 'string' },
      load: { type: 'string', default: '' },
      profile: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(help);
    return 0;
  }
  const names = values.scenario.split(',');
  const unknown = names.filter((name) => scenarios[name] === undefined);
  if (unknown.length > 0) throw new Error(`there is no scenario "${unknown.join('", "')}"; see --help`);
  const repeat = Number(values.repeat ?? (values.quick ? 1 : 3));
  if (!Number.isInteger(repeat) || repeat < 1) throw new Error('--repeat takes a whole number from 1');

  const log = (line: string): void => console.error(`[bench] ${line}`);
  const { quick, load, profile: profileFolder } = values;
  const context: ScenarioContext = { quick, repeat, load, log, profileFolder };
  console.log(`${await describeRun(values.quick)}\n`);
  for (const name of names) {
    const scenario = scenarios[name];
    if (scenario === undefined) continue;
    log(`${name}: ${scenario.title}`);
    console.log(`${await onFreshBed(scenario, context)}\n`);
  }
  return 0;
}

async function onFreshBed(scenario: Scenario, context: ScenarioContext): Promise<string> {
  const bed = await Bed.start(context, scenario.nodes);
  try {
    const load = loadavg()[0] ?? 0;
    return `${await scenario.run(bed, context)}\n\nLoad average of the machine before this: ${load.toFixed(1)}.`;
  } finally {
    await bed.close();
  }
}

async function describeRun(quick: boolean): Promise<string> {
  const { stdout } = await run('git', ['describe', '--always', '--dirty'], { cwd: repository }).catch(() => ({
    stdout: '?',
  }));
  const memory = Math.round(totalmem() / 2 ** 30);
  const machine = `${availableParallelism()} cores, ${memory} GiB, Node ${process.version}`;
  return `Bullpen ${stdout.trim()} on ${machine}${quick ? ' (quick: the figures mean little)' : ''}`;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error);
  process.exitCode = 1;
}
