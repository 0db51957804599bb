import { ServiceError } from './wire/service.js';

/** Makes an operation (`ssm:SendCommand`, `elasticloadbalancing:*`) fail the next `times` times. */
export interface ApiFault {
  readonly operation: string;
  readonly code: string;
  readonly message: string;
  readonly status: number;
  times: number;
}

/** The bad manners of an API, on demand. */
export class Faults {
  readonly #faults: ApiFault[] = [];

  add(fault: ApiFault): void {
    this.#faults.push(fault);
  }

  clear(): void {
    this.#faults.length = 0;
  }

  all(): readonly ApiFault[] {
    return this.#faults;
  }

  intercept(call: { readonly service: string; readonly operation: string }): ServiceError | undefined {
    const fault = this.#faults.find(({ operation, times }) => times > 0 && matches(operation, call));
    if (!fault) return undefined;
    fault.times -= 1;
    return new ServiceError(fault.code, fault.message, { status: fault.status });
  }
}

export function throttled(operation: string, times: number): ApiFault {
  return { operation, code: 'ThrottlingException', message: 'Rate exceeded', status: 400, times };
}

export function denied(operation: string, times: number): ApiFault {
  const message = `User: arn:aws:iam::123456789012:role/deploy is not authorized to perform: ${operation}`;
  return { operation, code: 'AccessDeniedException', message, status: 400, times };
}

function matches(pattern: string, call: { service: string; operation: string }): boolean {
  const [service, operation] = pattern.split(':');
  return service === call.service && (operation === '*' || operation === call.operation);
}
