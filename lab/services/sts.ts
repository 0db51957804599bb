import type { Service } from '../wire/service.js';

/** The lab's STS: who a caller is. */
export function createSts(): Service {
  return {
    id: 'sts',
    protocol: 'query',
    version: '2011-06-15',
    xmlNamespace: 'https://sts.amazonaws.com/doc/2011-06-15/',
    operations: {
      GetCallerIdentity: (_input, { principal, account }) => ({
        Arn: principal.arn,
        UserId: principal.userId,
        Account: account,
      }),
    },
  };
}
