/**
 * What the hub and agent.py say to each other: JSON by POST, every request with `instance` and `token`. `/register` names
 * the host, `/credentials` renews the role's, `/parameters` resolves `{{ssm:NAME}}`, `/poll` waits for messages,
 * `/acknowledge` and `/reply` answer them. It stands in for ec2messages; the replies carry the real agent's fields.
 */

/** The parameters of AWS-RunShellScript as the agent sees them: `commands` a list, the others strings. */
export interface ScriptParameters {
  readonly commands?: unknown;
  readonly workingDirectory?: string;
  readonly executionTimeout?: string;
}

export type AgentMessage =
  | {
      readonly kind: 'run';
      readonly messageId: string;
      readonly commandId: string;
      readonly parameters: ScriptParameters;
    }
  | {
      readonly kind: 'cancel';
      readonly messageId: string;
      /** The command that is to end. */
      readonly commandId: string;
    };

export type DocumentStatus = 'InProgress' | 'Success' | 'Failed' | 'TimedOut' | 'Cancelled' | 'SuccessAndReboot';

/** The plugin's part of a reply: up to 24,000 bytes of each stream, 2,500 of both merged, times as ISO 8601. */
export interface PluginResult {
  readonly status: Exclude<DocumentStatus, 'InProgress'>;
  readonly code: number;
  readonly standardOutput: string;
  readonly standardError: string;
  readonly output: string;
  readonly startDateTime: string;
  readonly endDateTime: string;
}

export interface AgentReply {
  readonly instanceId: string;
  readonly messageId: string;
  readonly commandId: string;
  readonly documentStatus: DocumentStatus;
  /** Why a document failed before its plugin ran. */
  readonly traceOutput?: string;
  readonly plugin?: PluginResult;
}

export type HubEvent =
  | { readonly kind: 'closed' }
  | { readonly kind: 'registered'; readonly instanceId: string }
  | { readonly kind: 'acknowledged'; readonly instanceId: string; readonly messageId: string }
  | ({ readonly kind: 'reply' } & AgentReply);

/** What a host says of itself when it registers. */
export interface HostDescription {
  readonly agentVersion: string;
  readonly platform: { readonly type: string; readonly name: string; readonly version: string };
  readonly address: string;
  readonly hostname: string;
}

/** Temporary credentials of the instance's role, handed out by the host's metadata service. */
export interface RoleCredentials {
  readonly role: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  /** Milliseconds since the epoch, of real time: SDKs on the host compare it with their own clock. */
  readonly expiresAt: number;
}
