import { byText, eachText, listOf, mapOf, pairsOf } from './json.js';
import type { CompiledRelease, ComposeModel, Json } from './model.js';
import { type TemplateVariable, variablesIn } from './template.js';

/** Set by the host for every release. */
const OWN = ['DEPLOY_RELEASE', 'DEPLOY_COMMIT', 'DEPLOY_ENVIRONMENT'];

/**
 * The variables that the models need on the host: `${…}` anywhere, `environment: [NAME]` passed through, and secrets or
 * configs from the environment. Read from the models themselves, because `docker compose config --variables` of 2.26
 * leaves out what has no default.
 */
export function variablesOf(models: readonly ComposeModel[]): CompiledRelease['variables'] {
  const found = new Map<string, TemplateVariable>();
  for (const variable of models.flatMap((model) => [...written(model), ...passedThrough(model)])) {
    const known = found.get(variable.name);
    found.set(variable.name, { ...variable, ...known, required: variable.required || known?.required === true });
  }
  return [...found.values()].filter(({ name }) => !OWN.includes(name)).sort((a, b) => byText(a.name, b.name));
}

function written(model: ComposeModel): readonly TemplateVariable[] {
  const found: TemplateVariable[] = [];
  eachText(model as Json, (text) => found.push(...variablesIn(text)));
  return found;
}

function passedThrough(model: ComposeModel): readonly TemplateVariable[] {
  const services = Object.values(model.services).flatMap(({ environment }) =>
    Object.entries(pairsOf(environment)).flatMap(([name, value]) => (value === null ? [name] : [])),
  );
  const sources = [model.configs, model.secrets].flatMap((section) =>
    Object.values(mapOf(section)).flatMap((definition) => listOf(mapOf(definition).environment).map(String)),
  );
  return [...services.map((name) => ({ name, required: false })), ...sources.map((name) => ({ name, required: true }))];
}
