// The two services called from Node with @grpc/grpc-js. Its twin for Python is `../python/test_closeout.py`.

import grpc from '@grpc/grpc-js';
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, beforeEach, test } from 'node:test';
import { call, caller, connect, details, exchange, stubs } from './closeout.js';

const OPPORTUNITY = process.env.OPPORTUNITY_ADDRESS ?? '127.0.0.1:50051';
const ORDER = process.env.ORDER_ADDRESS ?? '127.0.0.1:50052';
const PATIENCE = { seconds: 8 }; // how long a service may wait for the other one before it answers

const sales = stubs.crm.opportunity.v1;
const trade = stubs.crm.order.v1;
const customers = connect(OPPORTUNITY, sales.CustomerService);
const opportunities = connect(OPPORTUNITY, sales.OpportunityService);
const tasks = connect(OPPORTUNITY, sales.TaskService);
const closeOuts = connect(OPPORTUNITY, sales.CloseOutService);
const orderCustomers = connect(ORDER, trade.CustomerService);
const orders = connect(ORDER, trade.OrderService);
const orderTasks = connect(ORDER, trade.TaskService);
after(() => {
  for (const client of [customers, opportunities, tasks, closeOuts, orderCustomers, orders, orderTasks]) client.close();
});

// A tenant exists as soon as it is used; one for each test keeps them apart.
let ana;
beforeEach(() => {
  ana = caller(randomUUID(), 'ana');
});

// --- How a client uses the services ---

// A customer and an opportunity of it.
async function createOpportunity() {
  const { customer } = await call(
    customers,
    'CreateCustomer',
    { customer: { display_name: 'Brightwater Mills' }, max_wait: PATIENCE },
    ana,
  );
  const { opportunity } = await call(
    opportunities,
    'CreateOpportunity',
    {
      opportunity: { customer: customer.name, title: 'Data platform', amount: { currency_code: 'EUR', units: 1200 } },
      wait: 'WAIT_PEER', // so that an order for it works at once
      max_wait: PATIENCE,
    },
    ana,
  );
  return opportunity;
}

// A selling task, on the opportunity service.
async function createTask(opportunity) {
  const task = { parent: opportunity.name, kind: 'TASK_KIND_QUOTE', title: 'Send the offer' };
  return (await call(tasks, 'CreateTask', { task }, ana)).task;
}

// A draft order of the opportunity, on the order service.
async function createOrder(opportunity) {
  const line = { product: 'Platform', quantity: 2, unit_price: { currency_code: 'EUR', units: 600 } };
  const order = { customer: opportunity.customer, opportunity: opportunity.name, lines: [line] };
  return (await call(orders, 'CreateOrder', { order }, ana)).order;
}

// An order task, on the order service.
async function createOrderTask(order) {
  const task = { parent: order.name, kind: 'TASK_KIND_PROCURE', title: 'Reserve the servers' };
  return (await call(orderTasks, 'CreateTask', { task }, ana)).task;
}

// Closes an opportunity out, and waits for both sides.
function closeOut(opportunity, more = {}) {
  const request = { name: opportunity.name, reason: 'closeOutReasons/BUDGET_FROZEN', max_wait: PATIENCE, ...more };
  return call(opportunities, 'CloseOutOpportunity', request, ana);
}

const stateOf = {
  order: async ({ name }) => (await call(orders, 'GetOrder', { name }, ana)).order.state,
  orderTask: async ({ name }) => (await call(orderTasks, 'GetTask', { name }, ana)).task.state,
  task: async ({ name }) => (await call(tasks, 'GetTask', { name }, ana)).task.state,
};

// From the customer's record on the order service: draft orders, cancelled orders, deals lost.
async function tradeRecord(opportunity) {
  const { customer } = await call(orderCustomers, 'GetCustomer', { name: opportunity.customer }, ana);
  return [customer.draft_count, customer.cancelled_count, customer.deals_lost].map(Number);
}

// The close-out as it is kept, once what the other side answered is kept: a moment after the caller learns of it.
async function settled({ name }) {
  const until = Date.now() + 10_000;
  while (Date.now() < until) {
    const { close_out: kept } = await call(closeOuts, 'GetCloseOut', { name }, ana);
    if (kept.propagation === 'PROPAGATION_SETTLED') return kept;
  }
  assert.fail(`${name} is still not settled`);
}

// The error with which a call fails.
async function errorOf(answer) {
  try {
    await answer;
  } catch (error) {
    return error;
  }
  assert.fail('it was not refused');
}

// --- The tests ---

test('a close-out takes effect on both services', async () => {
  const opportunity = await createOpportunity();
  const task = await createTask(opportunity);
  const order = await createOrder(opportunity);
  const orderTask = await createOrderTask(order);
  assert.deepEqual(await tradeRecord(opportunity), [1, 0, 0]);

  const answer = await closeOut(opportunity, { detail: 'Their budget is frozen until spring.' });
  assert.equal(answer.opportunity.state, 'STATE_CLOSED_OUT');
  assert.equal(answer.close_out.outcome, 'OUTCOME_LOST');
  assert.equal(answer.close_out.propagation, 'PROPAGATION_SETTLED');

  assert.equal(await stateOf.task(task), 'TASK_STATE_CANCELLED');
  assert.equal(await stateOf.order(order), 'STATE_CANCELLED');
  assert.equal(await stateOf.orderTask(orderTask), 'TASK_STATE_CANCELLED');
  assert.deepEqual(await tradeRecord(opportunity), [0, 1, 1]);

  // Each effect has its receipt, wherever it took place.
  const receipts = answer.close_out.effects.map(({ side, kind, resource }) => `${side} ${kind} ${resource}`);
  for (const expected of [
    `SIDE_OPPORTUNITY EFFECT_KIND_TASK_CANCELLED ${task.name}`,
    `SIDE_OPPORTUNITY EFFECT_KIND_RECORD_CHANGED ${opportunity.customer}`,
    `SIDE_ORDER EFFECT_KIND_TASK_CANCELLED ${orderTask.name}`,
    `SIDE_ORDER EFFECT_KIND_RECORD_CHANGED ${opportunity.customer}`,
  ]) {
    assert.ok(receipts.includes(expected), `${expected} is not among\n${receipts.join('\n')}`);
  }
  assert.deepEqual(await settled(answer.close_out), answer.close_out);
});

test('every fault of a request is named with its field', async () => {
  const request = { name: 'opportunities/seven', detail: 'x'.repeat(2001) };
  const error = await errorOf(call(opportunities, 'CloseOutOpportunity', request, ana));
  assert.equal(error.code, grpc.status.INVALID_ARGUMENT);
  const { ErrorInfo, BadRequest } = details(error);
  assert.deepEqual([ErrorInfo.domain, ErrorInfo.reason], ['closeout.crm', 'INVALID_FIELDS']);
  const fields = BadRequest.field_violations.map((violation) => violation.field);
  assert.deepEqual(fields.sort(), ['detail', 'name', 'reason']);
});

test('what is closed out is not closed out again', async () => {
  const opportunity = await createOpportunity();
  await closeOut(opportunity);
  const error = await errorOf(closeOut(opportunity));
  assert.equal(error.code, grpc.status.FAILED_PRECONDITION);
  const { ErrorInfo, PreconditionFailure } = details(error);
  assert.deepEqual([ErrorInfo.domain, ErrorInfo.reason], ['closeout.crm', 'ALREADY_CLOSED']);
  const [violation] = PreconditionFailure.violations;
  assert.deepEqual([violation.type, violation.subject], ['ALREADY_CLOSED', opportunity.name]);
});

test('a repeated request_id gets the same answer and has no second effect', async () => {
  const opportunity = await createOpportunity();
  const request_id = randomUUID();
  const first = await closeOut(opportunity, { request_id });
  const second = await closeOut(opportunity, { request_id });
  assert.deepEqual(first, second);
  const { close_outs } = await call(closeOuts, 'ListCloseOuts', { subject: opportunity.name }, ana);
  assert.equal(close_outs.length, 1);
  assert.deepEqual(await tradeRecord(opportunity), [0, 0, 1]);
});

test('a request_id is refused with another request', async () => {
  const opportunity = await createOpportunity();
  const request_id = randomUUID();
  await closeOut(opportunity, { request_id });
  const error = await errorOf(closeOut(opportunity, { request_id, detail: 'Something else.' }));
  assert.equal(error.code, grpc.status.INVALID_ARGUMENT);
  const { ErrorInfo } = details(error);
  assert.deepEqual([ErrorInfo.domain, ErrorInfo.reason], ['closeout.crm', 'IDEMPOTENCY_KEY_REUSED']);
});

test('many are closed out in one call and again with the same answers', async () => {
  const both = [await createOpportunity(), await createOpportunity()];
  const names = [...both.map(({ name }) => name), `opportunities/${randomUUID()}`];
  const items = names.map((name, index) => ({ index, name, reason: 'closeOutReasons/BUDGET_FROZEN' }));
  const whole = { request_id: randomUUID(), wait: 'WAIT_PEER', max_wait: PATIENCE };
  const answers = async () => {
    const messages = [whole, { items: items.slice(0, 2) }, { items: items.slice(2) }];
    const results = await exchange(opportunities, 'BulkCloseOutOpportunities', messages, ana);
    return results.flatMap((message) => message.results).sort((one, other) => one.index - other.index);
  };
  const first = await answers();
  assert.deepEqual(
    first.map(({ done }) => done?.propagation),
    ['PROPAGATION_SETTLED', 'PROPAGATION_SETTLED', undefined],
  );
  assert.equal(first[2].error.code, grpc.status.NOT_FOUND);
  const named = (results) => results.map(({ done }) => done?.close_out);
  assert.deepEqual(named(await answers()), named(first));
});

test('a reopening takes everything back on both services', async () => {
  const opportunity = await createOpportunity();
  const task = await createTask(opportunity);
  const order = await createOrder(opportunity);
  const orderTask = await createOrderTask(order);
  await closeOut(opportunity);

  const request = { name: opportunity.name, note: 'The budget is back.', max_wait: PATIENCE };
  const answer = await call(opportunities, 'ReopenOpportunity', request, ana);
  assert.equal(answer.opportunity.state, 'STATE_OPEN');
  assert.equal(answer.close_out.state, 'CLOSE_OUT_STATE_REVERSED');
  assert.equal(answer.propagation, 'PROPAGATION_SETTLED');

  assert.equal(await stateOf.task(task), 'TASK_STATE_OPEN');
  assert.equal(await stateOf.order(order), 'STATE_DRAFT');
  assert.equal(await stateOf.orderTask(orderTask), 'TASK_STATE_OPEN');
  assert.deepEqual(await tradeRecord(opportunity), [1, 0, 0]);
});

test('both services say that they are serving', async () => {
  for (const address of [OPPORTUNITY, ORDER]) {
    const health = connect(address, stubs.grpc.health.v1.Health);
    assert.equal((await call(health, 'Check', {})).status, 'SERVING');
    health.close();
  }
});

test('reflection names the public services and no others of ours', async () => {
  async function ours(address) {
    const reflection = connect(address, stubs.grpc.reflection.v1.ServerReflection);
    const stream = reflection.ServerReflectionInfo({ deadline: Date.now() + 10_000 });
    stream.write({ list_services: '*' });
    stream.end();
    const names = [];
    for await (const answer of stream) names.push(...answer.list_services_response.service.map(({ name }) => name));
    reflection.close();
    return names.filter((name) => name.startsWith('crm.')).sort();
  }

  const shared = ['CloseOutReasonService', 'CloseOutService', 'CustomerService'];
  const both = [...shared, 'OperatorService', 'SettingsService', 'TaskService'];
  const sales = ['CompetitorService', 'CustomerCloseOutService', 'ExchangeRateService', 'OpportunityService'];
  const more = [...sales, 'PipelineService', 'StaleService', 'WinBackService'];
  assert.deepEqual(await ours(OPPORTUNITY), [...both, ...more].map((name) => `crm.opportunity.v1.${name}`).sort());
  assert.deepEqual(await ours(ORDER), [...both, 'OrderService'].map((name) => `crm.order.v1.${name}`).sort());
});
