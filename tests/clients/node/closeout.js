// What a Node program needs beside `proto/`: the stubs, who is calling, and what an error says.

import grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const PROTO = process.env.PROTO ?? 'proto';
const DEADLINE = 10; // seconds, for each call

// Where a package of npm keeps its protos.
const of = (name, folder) => join(dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)), folder);

// Fields keep the names they have in proto/; enums are their names and 64-bit numbers are text.
const types = loadSync(
  [
    'crm/opportunity/v1/close_out_service.proto',
    'crm/opportunity/v1/customer_service.proto',
    'crm/opportunity/v1/opportunity_service.proto',
    'crm/opportunity/v1/task_service.proto',
    'crm/order/v1/customer_service.proto',
    'crm/order/v1/order_service.proto',
    'crm/order/v1/task_service.proto',
    'google/rpc/error_details.proto',
    'google/rpc/status.proto',
    'grpc/reflection/v1/reflection.proto',
    'health/v1/health.proto',
  ],
  {
    includeDirs: [PROTO, of('@grpc/reflection', 'build/proto'), of('grpc-health-check', 'proto')],
    keepCase: true,
    enums: String,
    longs: String,
    defaults: true,
  },
);

// The stubs, by package: `stubs.crm.opportunity.v1.TaskService`.
export const stubs = grpc.loadPackageDefinition(types);

// A client of one service. Those of one address share a connection.
export const connect = (address, Service) => new Service(address, grpc.credentials.createInsecure());

// The metadata that every call carries: for which tenant, who calls, and in which role.
export function caller(tenant, principal, role = 'admin') {
  const metadata = new grpc.Metadata();
  metadata.set('x-tenant-id', tenant);
  metadata.set('x-principal', principal);
  metadata.set('x-roles', role);
  return metadata;
}

// One call with a deadline, as a promise.
export function call(client, method, request, metadata = new grpc.Metadata()) {
  const deadline = Date.now() + DEADLINE * 1000;
  return new Promise((resolve, reject) => {
    client[method](request, metadata, { deadline }, (error, answer) => (error ? reject(error) : resolve(answer)));
  });
}

// One call that takes and gives messages in both directions, with a deadline: everything it gave, as a promise.
export function exchange(client, method, messages, metadata) {
  const stream = client[method](metadata, { deadline: Date.now() + DEADLINE * 1000 });
  const given = [];
  return new Promise((resolve, reject) => {
    stream.on('data', (message) => given.push(message));
    stream.on('error', reject);
    stream.on('end', () => resolve(given));
    for (const message of messages) stream.write(message);
    stream.end();
  });
}

// What an error says beside its code and message, by type: `details(error).ErrorInfo.reason`.
export function details(error) {
  const [bytes] = error.metadata.get('grpc-status-details-bin');
  const status = types['google.rpc.Status'].deserialize(bytes);
  const found = {};
  for (const { type_url: url, value } of status.details) {
    const name = url.slice(url.lastIndexOf('/') + 1);
    found[name.slice(name.lastIndexOf('.') + 1)] = types[name].deserialize(value);
  }
  return found;
}
