import type { AgentMessage, DocumentStatus, HubEvent, PluginResult } from '../../lab/agent/hub.js';
import type { LabClock } from '../../lab/model/clock.js';
import type { AgentHub } from '../../lab/services/run-command/dispatch.js';

export interface FakeHub extends AgentHub {
  /** What waits for the agent of an instance, oldest first. */
  waiting(instanceId: string): readonly AgentMessage[];
  /** The agent takes its next message and acknowledges it. */
  take(instanceId: string): AgentMessage;
  /** The agent reports the end of a message it has taken; the code decides the status unless one is given. */
  finish(instanceId: string, message: AgentMessage, ending: Ending): void;
  disconnect(instanceId: string): void;
}

export interface Ending {
  readonly code: number;
  readonly status?: Exclude<DocumentStatus, 'InProgress'>;
  readonly stdout?: string;
  readonly stderr?: string;
}

/** Agents that do what a test says, nothing by themselves. Every instance asked about has one. */
export function fakeHub(clock: LabClock): FakeHub {
  const queues = new Map<string, AgentMessage[]>();
  const listeners = new Set<(event: HubEvent) => void>();
  const offline = new Set<string>();
  const queue = (instanceId: string) => {
    const found = queues.get(instanceId) ?? [];
    queues.set(instanceId, found);
    return found;
  };
  const emit = (event: HubEvent) => {
    for (const listener of listeners) listener(event);
  };
  return {
    deliver: (instanceId, message) => void queue(instanceId).push(message),
    withdraw: (instanceId, messageId) => {
      const index = queue(instanceId).findIndex((message) => message.messageId === messageId);
      if (index >= 0) queue(instanceId).splice(index, 1);
      return index >= 0;
    },
    onEvent: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    isOnline: (instanceId) => !offline.has(instanceId),
    isConnected: (instanceId) => !offline.has(instanceId),
    lastPing: () => clock.now(),
    describe: (instanceId) => ({
      agentVersion: '3.3.0.0',
      platform: { type: 'Linux', name: 'Debian GNU/Linux', version: '13' },
      address: '10.0.0.10',
      hostname: `host-of-${instanceId}`,
    }),
    waiting: (instanceId) => [...queue(instanceId)],
    take: (instanceId) => {
      const message = queue(instanceId).shift();
      if (!message) throw new Error(`Nothing waits for ${instanceId}.`);
      emit({ kind: 'acknowledged', instanceId, messageId: message.messageId });
      return message;
    },
    finish: (instanceId, { messageId, commandId }, ending) => {
      const plugin = pluginResult(clock, ending);
      emit({ kind: 'reply', instanceId, messageId, commandId, documentStatus: plugin.status, plugin });
    },
    disconnect: (instanceId) => void offline.add(instanceId),
  };
}

function pluginResult(clock: LabClock, { code, status, stdout = '', stderr = '' }: Ending): PluginResult {
  const now = clock.now();
  return {
    status: status ?? (code === 0 ? 'Success' : 'Failed'),
    code,
    standardOutput: stdout,
    standardError: stderr,
    output: stdout + stderr,
    startDateTime: new Date(now - 91).toISOString(),
    endDateTime: new Date(now).toISOString(),
  };
}
