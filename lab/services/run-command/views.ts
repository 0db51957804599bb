import { type Command, type Invocation, invocationStatus, isError, isOpen, type Summary, summaryOf } from './model.js';
import { PLUGIN } from './request.js';

/** GetCommandInvocation shows this many characters of each stream, ListCommandInvocations this many of both. */
const STDOUT_LIMIT_CHARACTERS = 24_000;
const STDERR_LIMIT_CHARACTERS = 8_000;
const OUTPUT_LIMIT_CHARACTERS = 2_500;
/** Where the script did not run, or not to its end. */
const NO_CODE = -1;

const NO_CLOUD_WATCH = { CloudWatchLogGroupName: '', CloudWatchOutputEnabled: false };
const NO_NOTIFICATION = { NotificationArn: '', NotificationEvents: [], NotificationType: '' };

/** The `Command` structure. SendCommand shows a fresh one, whatever became of it meanwhile. */
export function commandView(command: Command, region: string, summary: Summary = summaryOf(command)): object {
  const count = (counted: (invocation: Invocation) => boolean) => command.invocations.filter(counted).length;
  return {
    CommandId: command.id,
    DocumentName: command.documentName,
    DocumentVersion: command.documentVersion,
    Comment: command.comment,
    ExpiresAfter: new Date(command.requestedAt + (command.timeoutSeconds + command.executionTimeoutSeconds) * 1000),
    Parameters: command.parameters,
    InstanceIds: command.instanceIds,
    Targets: command.targets.map(({ key, values }) => ({ Key: key, Values: values })),
    RequestedDateTime: new Date(command.requestedAt),
    Status: summary.status,
    StatusDetails: summary.details,
    OutputS3Region: region,
    OutputS3BucketName: command.outputS3BucketName,
    OutputS3KeyPrefix: command.outputS3KeyPrefix,
    MaxConcurrency: command.maxConcurrency,
    MaxErrors: command.maxErrors,
    TargetCount: command.invocations.length,
    CompletedCount: count((invocation) => !isOpen(invocation)),
    ErrorCount: count(isError),
    DeliveryTimedOutCount: count(({ details }) => details === 'DeliveryTimedOut'),
    ServiceRole: command.serviceRole,
    NotificationConfig: NO_NOTIFICATION,
    CloudWatchOutputConfig: NO_CLOUD_WATCH,
    TimeoutSeconds: command.timeoutSeconds,
  };
}

/** The `CommandInvocation` structure; its plugins only with Details. */
export function invocationView(invocation: Invocation, options: { region: string; details: boolean }): object {
  const { command } = invocation;
  return {
    CommandId: command.id,
    InstanceId: invocation.instanceId,
    InstanceName: invocation.instanceName,
    Comment: command.comment,
    DocumentName: command.documentName,
    DocumentVersion: command.documentVersion,
    RequestedDateTime: new Date(command.requestedAt),
    Status: invocationStatus(invocation.details),
    StatusDetails: invocation.details,
    TraceOutput: characters(invocation.traceOutput ?? '', OUTPUT_LIMIT_CHARACTERS),
    StandardOutputUrl: '',
    StandardErrorUrl: '',
    CommandPlugins: options.details ? [pluginView(invocation, options.region)] : [],
    ServiceRole: command.serviceRole,
    NotificationConfig: NO_NOTIFICATION,
    CloudWatchOutputConfig: NO_CLOUD_WATCH,
  };
}

function pluginView({ command, plugin, details }: Invocation, region: string): object {
  return {
    Name: PLUGIN,
    Status: invocationStatus(details),
    StatusDetails: details,
    ResponseCode: plugin?.code ?? NO_CODE,
    ...(plugin ? { ResponseStartDateTime: new Date(plugin.startDateTime) } : {}),
    ...(plugin ? { ResponseFinishDateTime: new Date(plugin.endDateTime) } : {}),
    Output: characters(plugin?.output ?? '', OUTPUT_LIMIT_CHARACTERS),
    StandardOutputUrl: '',
    StandardErrorUrl: '',
    OutputS3Region: region,
    OutputS3BucketName: command.outputS3BucketName,
    OutputS3KeyPrefix: command.outputS3KeyPrefix,
  };
}

/** GetCommandInvocation's answer: times as text, the streams apart and empty before the end. */
export function resultView({ command, plugin, instanceId, details }: Invocation): object {
  return {
    CommandId: command.id,
    InstanceId: instanceId,
    Comment: command.comment,
    DocumentName: command.documentName,
    DocumentVersion: command.documentVersion,
    PluginName: PLUGIN,
    ResponseCode: plugin?.code ?? NO_CODE,
    ExecutionStartDateTime: plugin?.startDateTime ?? '',
    ExecutionElapsedTime: plugin ? elapsed(Date.parse(plugin.endDateTime) - Date.parse(plugin.startDateTime)) : '',
    ExecutionEndDateTime: plugin?.endDateTime ?? '',
    Status: invocationStatus(details),
    StatusDetails: details,
    StandardOutputContent: characters(plugin?.standardOutput ?? '', STDOUT_LIMIT_CHARACTERS),
    StandardOutputUrl: '',
    StandardErrorContent: characters(plugin?.standardError ?? '', STDERR_LIMIT_CHARACTERS),
    StandardErrorUrl: '',
    CloudWatchOutputConfig: NO_CLOUD_WATCH,
  };
}

/** ISO 8601 as AWS writes it: PT0.091S, PT1H0.271S. */
export function elapsed(milliseconds: number): string {
  const hours = Math.floor(milliseconds / 3_600_000);
  const minutes = Math.floor((milliseconds % 3_600_000) / 60_000);
  const seconds = (milliseconds % 60_000) / 1000;
  return `PT${hours ? `${hours}H` : ''}${minutes ? `${minutes}M` : ''}${seconds}S`;
}

/** The first characters of a text, never half of one. */
export function characters(content: string, limit: number): string {
  return content.length <= limit ? content : Array.from(content).slice(0, limit).join('');
}
