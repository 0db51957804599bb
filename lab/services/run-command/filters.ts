import type { Input } from '../../wire/service.js';
import { constraint, records, text } from '../input.js';
import { invalidFilterKey } from './errors.js';
import { type Command, type Invocation, invocationStatus, isOpen, summaryOf } from './model.js';

const MOST_FILTERS = 5;

/** What the filters of ListCommands and ListCommandInvocations look at. */
interface Filterable {
  readonly requestedAt: number;
  readonly documentName: string;
  readonly status: string;
  readonly details: string;
  readonly open: boolean;
}

const TESTS: { readonly [key: string]: (item: Filterable, value: string) => boolean } = {
  InvokedAfter: (item, value) => item.requestedAt >= Date.parse(value),
  InvokedBefore: (item, value) => item.requestedAt < Date.parse(value),
  Status: (item, value) => item.status === value || item.details === value,
  ExecutionStage: (item, value) => item.open === (value === 'Executing'),
  DocumentName: (item, value) => item.documentName === value,
};

export function matchesCommand(input: Input): (command: Command) => boolean {
  const matches = readFilters(input);
  return (command) => {
    const { status, details } = summaryOf(command);
    const { requestedAt, documentName } = command;
    return matches({ requestedAt, documentName, status, details, open: command.invocations.some(isOpen) });
  };
}

export function matchesInvocation(input: Input): (invocation: Invocation) => boolean {
  const matches = readFilters(input);
  return (invocation) => {
    const { requestedAt, documentName } = invocation.command;
    const status = invocationStatus(invocation.details);
    return matches({ requestedAt, documentName, status, details: invocation.details, open: isOpen(invocation) });
  };
}

/** All filters must match. Their keys are written small on the wire, unlike everything else. */
function readFilters(input: Input): (item: Filterable) => boolean {
  const filters = records(input, 'Filters').map((filter) => {
    const test = TESTS[text(filter, 'key') ?? ''];
    if (!test) throw invalidFilterKey();
    const value = text(filter, 'value') ?? '';
    return (item: Filterable) => test(item, value);
  });
  if (filters.length > MOST_FILTERS) {
    throw constraint(`${filters.length} filters`, 'Filters', 'Member must have length less than or equal to 5');
  }
  return (item) => filters.every((matches) => matches(item));
}
