/** `/metrics` for Prometheus: a registry a server, filled from the node's own numbers at each scrape. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Counter, Gauge, Registry } from 'prom-client';
import type { NodeNumbers } from './deps.ts';

export interface Metrics {
  readonly contentType: string;
  text(): Promise<string>;
  close(): void;
}

/**
 * Not by collectDefaultMetrics: what that starts is never ended, so every server that was closed would go on measuring.
 */
export function createMetrics(numbers: () => NodeNumbers): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({ name, help, registers, collect() { this.set(read()); } }); // prettier-ignore
  };
  const counter = (name: string, help: string, read: () => number): void => {
    new Counter({ name, help, registers, collect() { this.reset(); this.inc(read()); } }); // prettier-ignore
  };
  const counters = (name: string, help: string, label: string, read: () => Readonly<Record<string, number>>): void => {
    new Counter({
      name,
      help,
      registers,
      labelNames: [label],
      collect() {
        this.reset();
        for (const [kind, count] of Object.entries(read())) this.inc({ [label]: kind }, count);
      },
    });
  };

  gauge('vserver_sessions', 'Open sessions', () => numbers().sessions);
  gauge('vserver_users', 'Users who are online here', () => numbers().users);
  counters('vserver_logins_total', 'Logins by outcome', 'outcome', () => numbers().logins);
  counter('vserver_heartbeats_total', 'Heartbeats', () => numbers().heartbeats);
  counters('vserver_locates_total', 'Locates by outcome', 'outcome', () => numbers().locates);
  counters('vserver_session_ends_total', 'Sessions that ended', 'by', () => numbers().ends);
  counters('vserver_datagrams_total', 'Datagrams of the client protocol', 'kind', () => numbers().datagrams);
  gauge('vserver_directory_up', '1: the directory answers', () => (numbers().directoryUp ? 1 : 0));
  gauge('vserver_outbox_waiting', 'Location writes that wait for the directory', () => numbers().outboxWaiting);
  counters('vserver_messages_total', 'Messages between users by outcome', 'outcome', () => numbers().messages);
  gauge('vserver_presence_subscriptions', 'Who watches whom', () => numbers().subscriptions);
  counter('vserver_nat_rebindings_total', 'Outer addresses that moved', () => numbers().natRebindings);
  counter('vserver_rejected_fragments_total', 'XML fragments left out of a CONFIG', () => numbers().rejectedFragments);
  counters(
    'vserver_drift_total',
    'Differences between memory and directory that were mended',
    'kind',
    () => numbers().drift,
  );
  // On a node that stands alone an alert would take 0 for an outage.
  if (numbers().bus !== null) {
    gauge('vserver_bus_up', '1: NATS, the bus of the cluster, is there', () => (numbers().bus?.isUp === true ? 1 : 0));
    counters('vserver_bus_messages_total', 'Messages between the nodes', 'kind', () => numbers().bus?.messages ?? {});
  }

  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();
  const SECOND_NS = 1e9;
  gauge('nodejs_eventloop_lag_p50_seconds', 'Event loop delay', () => delay.percentile(50) / SECOND_NS);
  gauge('nodejs_eventloop_lag_p99_seconds', 'Event loop delay', () => delay.percentile(99) / SECOND_NS);
  gauge('nodejs_eventloop_lag_max_seconds', 'Event loop delay', () => delay.max / SECOND_NS);
  gauge('process_resident_memory_bytes', 'Resident memory', () => process.memoryUsage.rss());
  gauge('nodejs_heap_size_used_bytes', 'Heap in use', () => process.memoryUsage().heapUsed);
  counter('process_cpu_seconds_total', 'CPU time', () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  });
  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    close: () => void delay.disable(),
  };
}
